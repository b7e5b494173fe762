"""A simple_switch_grpc of our own with the printed v1model program, its ports on wires, driven over P4Runtime.

Neither BMv2 nor p4c comes in a package that `./setup` could install: environment variables or PATH name them, and what
is missing is told. Meaning is for `bmv2_level`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finsy.proto import p4r

from compiler.ir.entries import Group, Member, TableEntry
from compiler.ir.interpreter import Tally
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.pipeline.portable import portable
from compiler.printers.p4.printing import print_v1model
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.client.contents import Contents
from runtime.client.plan import Kind, Step
from runtime.client.session import Session
from runtime.verification.offloads import VnetHeader
from runtime.verification.wires import Wires

P4C, P4TEST, BMV2 = "TURNOUT_P4C", "TURNOUT_P4TEST", "TURNOUT_BMV2"
PROGRAMS = {P4C: "p4c-bm2-ss", P4TEST: "p4test", BMV2: "simple_switch_grpc"}
START_TIMEOUT_S, SETTLE_S = 20, 0.5
PATIENCE_S, SILENCE_S = 2.0, 0.3
COMPILE_TIMEOUT_S = 120


class MissingTool(Exception):  # noqa: N818  what is the matter, not who
    """A P4 tool that this machine does not have."""


def find_tool(variable: str) -> str:
    """The path of a tool: what the variable says, else what PATH has. Raises `MissingTool` that names both."""
    name = PROGRAMS[variable]
    path = os.environ.get(variable) or shutil.which(name)
    if path is None:
        raise MissingTool(f"not installable: {name}; {variable} may name it")
    return path


def compiled_config(pipeline: Pipeline, folder: Path) -> Path:
    """The printed program, compiled by p4c. Raises `MissingTool`, CalledProcessError."""
    compiler = find_tool(P4C)
    program, config = folder / "pipeline.p4", folder / "pipeline.json"
    program.write_text(print_v1model(portable(pipeline)))
    command = [compiler, "--std", "p4-16", "-o", str(config), str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
    return config


@dataclass(frozen=True)
class Switch:
    session: Session
    contents: Contents
    names: Names
    wires: Wires

    def write(self, kind: Kind, entities: Iterable[Member | Group | TableEntry]) -> None:
        """In this order. Raises ValueError with what the switch refused."""
        steps = [Step(kind=kind, entity=entity) for entity in entities]
        if not steps:
            return
        errors = self.session.write(list(self.contents.updates(steps)))
        refused = [(step.entity, error) for step, error in zip(steps, errors, strict=True) if error is not None]
        if refused:
            raise ValueError(f"BMv2 refused {len(refused)} of {len(steps)} changes, first {refused[0]}")

    def exchange(self, port: int, packet: bytes, *, is_dropped: bool = False) -> tuple[int, bytes] | None:
        """Send a packet in at a port; returns the port and the bytes of what comes out, None for nothing.

        Where a drop is expected the wait is short.
        """
        self.wires.drain()
        self.wires.send(_interface(port), VnetHeader(), packet)
        for name in self.wires.waiting(SILENCE_S if is_dropped else PATIENCE_S):
            received = self.wires.receive(name, 0)
            if received is not None:
                return int(name.removeprefix("port")), received.frame
        return None

    def enable_digests(self) -> None:
        """Have each new connection told at once, and told again for every packet until it is known."""
        for digest in v1model_p4info(portable(self.names.pipeline)).digests:
            entry = p4r.DigestEntry(digest_id=digest.preamble.id)
            entry.config.max_list_size = 1
            entry.config.ack_timeout_ns = 1
            self.session.write([p4r.Update(type=p4r.Update.INSERT, entity=p4r.Entity(digest_entry=entry))])

    def digests(self, timeout_s: float) -> Iterator[p4r.DigestList]:
        """What the switch has told, until it is silent for so long."""
        while (message := self.session.message(timeout_s)) is not None:
            if message.HasField("digest"):
                yield message.digest

    def direct_counter(self, entry: TableEntry) -> Tally:
        entity = self.contents.entity(entry)
        entity.table_entry.counter_data.SetInParent()
        (found,) = self.session.read([entity])
        data = found.table_entry.counter_data
        return Tally(data.packet_count, data.byte_count)

    def indexed_counters(self, counter: str, indices: Sequence[int]) -> tuple[Tally, ...]:
        asked = [
            p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=self.names.counters[counter].id)) for _ in indices
        ]
        for entity, index in zip(asked, indices, strict=True):
            entity.counter_entry.index.index = index
        found = [entity.counter_entry.data for entity in self.session.read(asked)]
        return tuple(Tally(data.packet_count, data.byte_count) for data in found)


@contextmanager
def switch(pipeline: Pipeline, folder: Path, ports: Iterable[int]) -> Generator[Switch]:
    """Run BMv2; `folder` holds program, socket and logs. Raises `MissingTool`, CalledProcessError, ClientError."""
    binary, config = find_tool(BMV2), compiled_config(pipeline, folder)
    wires = Wires()
    try:
        for port in ports:
            wires.add(_interface(port))
        with _running(binary, wires, folder) as address, Session(address, device_id=1) as session:
            session.become_primary()
            session.set_pipeline(v1model_p4info(portable(pipeline)), config.read_bytes(), cookie=1)
            yield Switch(session=session, contents=Contents(pipeline), names=Names(pipeline), wires=wires)
    finally:
        wires.close()


def _interface(port: int) -> str:
    return f"port{port}"


_WITH_OWN_SYSFS = (
    *("unshare", "--mount", "--propagation", "private"),
    *("sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "bmv2"),
)
"""BMv2 reads in /sys whether a port is up, which shows the network namespace that it was mounted in. A port that is not
there counts as down, and a packet for a group whose members all watch such ones ends BMv2."""


@contextmanager
def _running(binary: str, wires: Wires, folder: Path) -> Generator[str]:
    """The address of a switch whose ports are the near ends."""
    listening = folder / "p4rt.sock"
    interfaces = [word for name in wires.ifindex for word in ("-i", f"{name.removeprefix('port')}@{name}")]
    options = ["--log-file", str(folder / "log"), "--", "--grpc-server-addr", f"unix:{listening}"]
    command = [*_WITH_OWN_SYSFS, binary, "--no-p4", "--device-id", "1", *interfaces, *options]
    with (folder / "output").open("wb") as output:
        with wires.near():
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not listening.exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.05)
            time.sleep(SETTLE_S)
            yield f"unix:{listening}"
        finally:
            process.terminate()
            process.wait(START_TIMEOUT_S)
