"""The devices and pipelines that are fuzzed: a target, and a program in the text form, or turnout's own."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from compiler.ir.controller import CPU_PORT
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import ExecuteDirect
from compiler.ir.tables import Action
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.ir.walking import clones, multicasts
from compiler.pipeline.assembly import pipeline as whole_pipeline
from runtime.bpf.namespaces import entered
from runtime.device.modelwire import link_message
from runtime.device.target import MAX_PORT
from tests.conformance.conftest import COMMAND
from tests.conformance.kernel import PORTS, Topology, config_of, topology
from tests.conformance.oracle.device import Config
from tests.conformance.oracle.program import program
from tests.conformance.oracle.state import Declared
from tests.pipelines.replicating import naming

ROOT = Path(__file__).parents[3]
PIPELINES = Path(__file__).parents[1] / "pipelines"
WHOLE = "turnout"
NAMED_COPIES = "named-copies"
"""The program that replicates, with ports by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is fuzzed. The first of `programs` is the one that examples begin with."""

    target: str
    programs: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.target}-{self.programs[0]}"


SUBJECTS = (
    Subject(target="model", programs=("kinds", "plain")),
    Subject(target="model", programs=("metered", "plain")),
    Subject(target="model", programs=("referring", "plain")),
    Subject(target="model", programs=("named", "plain")),
    Subject(target="model", programs=("replicating", "plain")),
    Subject(target="model", programs=(NAMED_COPIES,)),
    Subject(target="model", programs=(WHOLE,)),
    Subject(target="kernel", programs=("kinds", "plain")),
    Subject(target="kernel", programs=("metered",)),
    Subject(target="kernel", programs=("referring",)),
    Subject(target="kernel", programs=("named",)),
    Subject(target="kernel", programs=("replicating",)),
    Subject(target="kernel", programs=(WHOLE,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A device, as a process of its own."""

    subject: Subject
    address: str
    pid: int
    log: Path
    configs: tuple[Config, ...]
    set_link: Callable[[int, bool], None]
    """Lets the link of a port go down, or come up."""


@contextmanager
def running(subject: Subject) -> Generator[Running]:
    """Until the end of the block; it must end cleanly, and may not have logged a traceback."""
    configs = tuple(config(name, subject.target) for name in subject.programs)
    with tempfile.TemporaryDirectory(prefix="turnout-fuzz-") as made, ExitStack() as held:
        folder = Path(made)
        arguments = ["--name", "fuzzed", "--listen", f"unix:{folder}/d.sock", "--target", subject.target]
        ports = held.enter_context(topology(f"fz{subject.programs[0]}")) if subject.target == "kernel" else None
        if ports is None:
            arguments += ["--wire", str(folder / "wire.sock")]
            arguments += [f"--port={number}={name}" for number, name in PORTS.items()]
        else:
            arguments += ["--state-dir", str(folder / "state"), "--ephemeral", *ports.arguments]
        log = folder / "device.log"
        with log.open("w") as errors, entered(ports.namespace) if ports is not None else nullcontext():
            process = subprocess.Popen(
                [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
            )
        assert process.stdout is not None
        with process.stdout:
            try:
                line = process.stdout.readline()
                assert line.startswith("ready "), log.read_text()
                address = line.removeprefix("ready ").strip()
                yield Running(
                    subject=subject,
                    address=address,
                    pid=process.pid,
                    log=log,
                    configs=configs,
                    set_link=partial(_set_link, folder / "wire.sock") if ports is None else partial(_pull, ports),
                )
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(timeout=30)
        assert code == 0, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()


def _set_link(wire: Path, port: int, is_up: bool) -> None:
    """Of the model."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as told:
        told.connect(str(wire))
        told.send(link_message(port, is_up=is_up))


def _pull(ports: Topology, port: int, is_up: bool) -> None:
    ports.set_link(port, is_up=is_up)


@cache
def config(name: str, target: str) -> Config:
    pipeline = named_pipeline(name)
    message = config_of(pipeline, target)
    message.cookie.cookie = len(name)
    declared = Declared(
        learned=frozenset(table.id for table in pipeline.tables if table.store is not None),
        metering=frozenset(action.id for action in pipeline.actions if _executes_meter(action)),
        ports=frozenset(PORTS if target == "kernel" else range(1, MAX_PORT + 1)),
        controller_port=CPU_PORT,
        port_names=frozenset(name.encode() for name in PORTS.values() if _names_ports(pipeline)),
        has_replication=multicasts(pipeline) and clones(pipeline),
        may_run_out=target == "kernel",
    )
    return Config(name=name, message=message, known=program(message.p4info), declared=declared)


def _names_ports(pipeline: Pipeline) -> bool:
    return any(one.is_port and one.sdn_bits is None for one in pipeline.types)


def _executes_meter(action: Action) -> bool:
    return any(isinstance(statement, ExecuteDirect) for statement in action.body)


@cache
def named_pipeline(name: str) -> Pipeline:
    if name == WHOLE:
        return whole_pipeline()
    if name == NAMED_COPIES:
        return naming("string")
    path = PIPELINES / f"{name}.ir"
    return check(from_text(path.read_text(), path=path.name))
