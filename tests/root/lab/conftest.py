"""A lab of the test's own: its name, its folder, and its end whatever happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.lab import netns
from runtime.lab.building import Builder, Outcome
from runtime.lab.state import LabState, read_state
from runtime.lab.teardown import down
from runtime.lab.topology import LabDevice, Topology, topology_of
from tests.unit.lab.policies import policies, shop


def stand_in(device: LabDevice, folder: Path) -> Sequence[str]:
    """A process that is ready at once, in place of a device."""
    return ["/bin/sh", "-c", f"echo ready {device.name}; exec sleep 600"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """`run` stands for /run/turnout."""

    name: str
    run: Path
    said: list[str] = field(default_factory=lambda: [])

    @property
    def folder(self) -> Path:
        return self.run / f"lab-{self.name}"

    def topology(self, text: str | None = None) -> Topology:
        return topology_of(policies(shop(str(self.run)) if text is None else text), self.name)

    def builder(self) -> Builder:
        return Builder(device_command=stand_in, say=self.said.append, run=self.run)

    def up(self, *, offloads: bool = True) -> Outcome:
        return self.builder().up(self.topology(), offloads=offloads)

    def down(self) -> bool:
        return down(self.name, self.run)

    def state(self) -> LabState:
        state = read_state(self.folder)
        assert state is not None
        return state

    def run_in(self, member: str, *command: str) -> subprocess.CompletedProcess[str]:
        namespace = f"tn-{self.name}.{member}"
        arguments = ["ip", "netns", "exec", namespace, *command]
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=30)

    def left(self) -> list[str]:
        """What exists of the lab: namespaces, processes in them, files."""
        found = [path.name for path in netns.FOLDER.glob(f"tn-{self.name}.*")] if netns.FOLDER.exists() else []
        found += [f"process {pid}" for pid in netns.processes_in(found)]
        return found + ([str(path) for path in self.run.rglob("*")] if self.run.exists() else [])


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    own = Lab(name=f"t{os.getpid()}", run=tmp_path / "run")
    own.run.mkdir()
    yield own
    own.down()
    assert own.left() == []
