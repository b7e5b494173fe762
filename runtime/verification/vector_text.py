"""Vectors in files: YAML to read and to edit, in the names of a pipeline. JSON is read as well, being YAML.

A step is a mapping whose first key says what it is: packet, wait_ms, sweep, reload, insert, modify or delete.
Written and read again, a vector is the same but for spans.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, assert_never

import yaml
from pydantic import Field, ValidationError

from compiler.ir.interpreter import VerdictKind
from compiler.ir.names import Names
from runtime.verification.entry_data import ChangeData, Data, change_to_data, data_to_change
from runtime.verification.vector import (
    START_MS,
    Accepted,
    PacketIn,
    Reload,
    Step,
    Sweep,
    Vector,
    Wait,
    Write,
    WriteKind,
    in_order,
    to_entries,
)


class InvalidVector(ValueError):  # noqa: N818  says what the text is
    """The text is no vector, or none of this pipeline; the message says where."""


class AcceptedData(Data):
    verdict: VerdictKind
    port: int | None = None
    reason: str | None = None
    bytes: str | None = None


class PacketData(Data):
    packet: str
    port: int
    about: str = ""
    gso_size: int = 0
    settled: bool = True
    accepted: tuple[AcceptedData, ...] = ()


class WaitData(Data):
    wait_ms: int


class SweepData(Data):
    sweep: bool


class ReloadData(Data):
    reload: Literal["whole", "fitting"]


class InsertData(Data):
    insert: ChangeData


class ModifyData(Data):
    modify: ChangeData


class DeleteData(Data):
    delete: ChangeData


StepData = Annotated[
    PacketData | WaitData | SweepData | ReloadData | InsertData | ModifyData | DeleteData,
    Field(union_mode="left_to_right"),
]


class VectorData(Data):
    name: str
    about: str = ""
    slots: int = 0
    start_ms: int = START_MS
    entries: tuple[ChangeData, ...] = ()
    steps: tuple[StepData, ...] = ()


def vector_to_text(vector: Vector, names: Names) -> str:
    data = VectorData(
        name=vector.name,
        about=vector.about,
        slots=vector.slots,
        start_ms=vector.start_ms,
        entries=tuple(change_to_data(change, names) for change in in_order(vector.entries)),
        steps=tuple(_step_to_data(step, names) for step in vector.steps),
    )
    plain = data.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(plain, sort_keys=False, width=1 << 16, allow_unicode=True)


def text_to_vector(text: str, names: Names) -> Vector:
    """Raises `InvalidVector`."""
    try:
        read: Any = yaml.safe_load(text)
        data = VectorData.model_validate(read)
        entries = to_entries(data_to_change(change, names) for change in data.entries)
        steps = tuple(_data_to_step(step, names) for step in data.steps)
    except ValidationError as problem:
        raise InvalidVector(_first(problem)) from problem
    except (yaml.YAMLError, ValueError) as problem:
        raise InvalidVector(str(problem)) from problem
    return Vector(
        name=data.name, about=data.about, slots=data.slots, start_ms=data.start_ms, entries=entries, steps=steps
    )


def read_vector(path: Path, names: Names) -> Vector:
    """Raises `InvalidVector` that names the file, OSError."""
    try:
        return text_to_vector(path.read_text(), names)
    except InvalidVector as problem:
        raise InvalidVector(f"{path}: {problem}") from problem


def write_vector(path: Path, vector: Vector, names: Names) -> None:
    path.write_text(vector_to_text(vector, names))


def _first(problem: ValidationError) -> str:
    """pydantic tells of every member of a union; the first is the nearest."""
    error = problem.errors()[0]
    place = ".".join(str(part) for part in error["loc"])
    return f"{place}: {error['msg']}"


def _step_to_data(step: Step, names: Names) -> StepData:
    match step:
        case PacketIn():
            return PacketData(
                packet=step.frame.hex(),
                port=step.port,
                about=step.about,
                gso_size=step.gso_size,
                settled=step.is_settled,
                accepted=tuple(_accepted_to_data(accepted) for accepted in step.accepted),
            )
        case Wait(ms=ms):
            return WaitData(wait_ms=ms)
        case Sweep():
            return SweepData(sweep=True)
        case Reload(is_fitting=is_fitting):
            return ReloadData(reload="fitting" if is_fitting else "whole")
        case Write(kind=kind, change=change):
            data = change_to_data(change, names)
            match kind:
                case WriteKind.INSERT:
                    return InsertData(insert=data)
                case WriteKind.MODIFY:
                    return ModifyData(modify=data)
                case WriteKind.DELETE:
                    return DeleteData(delete=data)
        case _:
            assert_never(step)


def _data_to_step(data: StepData, names: Names) -> Step:
    match data:
        case PacketData():
            return PacketIn(
                port=data.port,
                frame=bytes.fromhex(data.packet),
                gso_size=data.gso_size,
                is_settled=data.settled,
                accepted=tuple(_data_to_accepted(accepted) for accepted in data.accepted),
                about=data.about,
            )
        case WaitData():
            return Wait(ms=data.wait_ms)
        case SweepData():
            return Sweep()
        case ReloadData():
            return Reload(is_fitting=data.reload == "fitting")
        case InsertData():
            return Write(kind=WriteKind.INSERT, change=data_to_change(data.insert, names))
        case ModifyData():
            return Write(kind=WriteKind.MODIFY, change=data_to_change(data.modify, names))
        case DeleteData():
            return Write(kind=WriteKind.DELETE, change=data_to_change(data.delete, names))


def _accepted_to_data(accepted: Accepted) -> AcceptedData:
    return AcceptedData(
        verdict=accepted.verdict,
        port=accepted.egress_port,
        reason=accepted.drop_reason,
        bytes=None if accepted.packet is None else accepted.packet.hex(),
    )


def _data_to_accepted(data: AcceptedData) -> Accepted:
    return Accepted(
        verdict=data.verdict,
        egress_port=data.port,
        drop_reason=data.reason,
        packet=None if data.bytes is None else bytes.fromhex(data.bytes),
    )
