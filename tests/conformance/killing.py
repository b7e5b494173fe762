"""A `turnout device run` that can be killed and started again on the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

from runtime.bpf.namespaces import entered
from runtime.device.failpoints import VARIABLE, Point
from tests.conformance.client import Client
from tests.conformance.conftest import COMMAND
from tests.conformance.kernel import PORTS, Topology

ROOT = Path(__file__).parents[2]
END_S = 30


class Killable:
    """One device in its folder; of a kernel target with ports. `ports` None: the model."""

    def __init__(self, folder: Path, ports: Topology | None) -> None:
        self.folder, self.state, self.log = folder, folder / "state", folder / "device.log"
        self._namespace = ports.namespace if ports is not None else None
        self.address = f"unix:{folder}/d.sock"
        self._arguments = ["--name", "d", "--listen", self.address, "--state-dir", str(self.state)]
        self._arguments += ["--target", "model"] if ports is None else []
        self._ports = [] if ports is None else [f"{number}={name}" for number, name in PORTS.items()]
        self._process: subprocess.Popen[str] | None = None
        self._elected = 0
        self._fail_point = folder / "fail-point"
        self.start_s = 0.0
        """How long the last start took, until clients could connect."""

    def start(self, *more: str, ports: list[str] | None = None) -> None:
        """Until it is ready. `more` are further options, `ports` others than the topology's."""
        begun = time.monotonic()
        chosen = self._ports if ports is None else ports
        given = [*COMMAND, *self._arguments, *more, *(part for port in chosen for part in ("--port", port))]
        with self.log.open("w") as errors, entered(self._namespace) if self._namespace else nullcontext():
            self._process = subprocess.Popen(
                given,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, VARIABLE: str(self._fail_point)},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            self.kill()
            raise AssertionError(self.said)
        self.start_s = time.monotonic() - begun

    def kill(self) -> None:
        """Nothing of it runs on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def die_at(self, point: Point) -> None:
        """It will, when it next gets there."""
        unfinished = self._fail_point.with_suffix(".new")
        unfinished.write_text(point)
        unfinished.replace(self._fail_point)

    def dies(self) -> None:
        """Wait until it has died where it was told to."""
        assert self._process is not None
        code = self._process.wait(timeout=END_S)
        assert code == -signal.SIGKILL, self.said
        self.forget_point()
        self.kill()

    def forget_point(self) -> None:
        """It may go on past there."""
        self._fail_point.unlink()

    def end(self) -> None:
        """As a service manager would."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(timeout=END_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        assert code == 0, self.said
        assert "Traceback" not in self.said, self.said

    def primary(self, election_id: int | None = None) -> Client:
        """A new client that is the primary."""
        client = Client(self.address)
        self._elected = self._elected + 1 if election_id is None else election_id
        client.become_primary(self._elected)
        return client

    @property
    def said(self) -> str:
        return self.log.read_text()

    def __enter__(self) -> Killable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self.kill()
        if self._namespace is not None and self.state.exists():
            self.start("--ephemeral", "--clean")
            self.end()
