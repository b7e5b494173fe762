"""A small pipeline with every kind of match field, a selector, a learned table; and a model that runs it."""

from __future__ import annotations

import pytest

from compiler.ir.expressions import MetaRef
from compiler.ir.headers import Field, State
from compiler.ir.nodes import Control, DropReason, Pipeline
from compiler.ir.tables import (
    Action,
    ActionRef,
    Counter,
    Key,
    MatchKind,
    Param,
    Profile,
    Selector,
    Store,
    Table,
)
from compiler.printers.bundle import Bundle
from runtime.device.contents import Contents, empty_contents
from runtime.device.modeltarget import ModelInstance, ModelTarget
from runtime.device.reads import Reader
from runtime.device.schema import Schema, schema
from runtime.device.updates import Writer

_WIDTHS = {"ingress_port": 16, "a": 12, "b": 32, "c": 8}
_REFS = (ActionRef(name="send"), ActionRef(name="nothing"), ActionRef(name="miss", in_entries=False, as_default=True))


def _key(name: str, number: int, field: str, match: MatchKind) -> Key:
    return Key(name=name, id=number, expr=MetaRef(name=field, width_bits=_WIDTHS[field]), match=match)


def _table(name: str, number: int, keys: tuple[Key, ...], *, size: int = 4, counted: bool = False) -> Table:
    return Table(
        name=name,
        id=0x02000000 + number,
        keys=keys,
        actions=_REFS,
        default_action="miss",
        size=size,
        counter_id=0x13000000 + number if counted else None,
    )


def _selected() -> Table:
    selector = Selector(
        name="hops",
        id=0x11000001,
        size=8,
        max_group_size=5,
        inputs=(MetaRef(name="b", width_bits=32),),
    )
    return Table(
        name="spread",
        id=0x02000004,
        keys=(_key("a", 1, "a", MatchKind.EXACT),),
        actions=_REFS,
        default_action="miss",
        size=4,
        selector=selector,
    )


def _learned() -> Table:
    return Table(
        name="known",
        id=0x02000005,
        keys=(_key("b", 1, "b", MatchKind.EXACT),),
        actions=(ActionRef(name="send"), ActionRef(name="miss", in_entries=False, as_default=True)),
        default_action="miss",
        size=8,
        store="memory",
        counter_id=0x13000005,
    )


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    exact = (_key("a", 1, "a", MatchKind.EXACT), _key("c", 2, "c", MatchKind.EXACT))
    lpm = (_key("a", 1, "c", MatchKind.EXACT), _key("b", 2, "b", MatchKind.LPM))
    mixed = (
        _key("b", 1, "b", MatchKind.TERNARY),
        _key("a", 2, "a", MatchKind.RANGE),
        _key("c", 3, "c", MatchKind.OPTIONAL),
    )
    return Pipeline(
        name="small",
        version="7",
        header_types=(),
        headers=(),
        metadata=tuple(Field(name=name, width_bits=width) for name, width in _WIDTHS.items()),
        parser=(State(name="start"),),
        actions=(
            Action(
                name="send",
                id=0x01000001,
                params=(Param(name="port", id=1, width_bits=9), Param(name="mac", id=2, width_bits=48, format="mac")),
                doc="Out of a port.",
            ),
            Action(name="nothing", id=0x01000002),
            Action(name="miss", id=0x01000003),
        ),
        stores=(
            Store(
                name="memory",
                size=8,
                ways=2,
                profiles=(Profile(name="short", id=1, timeout_ms=5000, rank=0),),
                events=(),
                transitions=(),
            ),
        ),
        tables=(
            _table("exact", 1, exact, counted=True),
            _table("lpm", 2, lpm),
            _table("mixed", 3, mixed),
            _selected(),
            _learned(),
        ),
        counters=(Counter(name="drops", id=0x12000001, size=4),),
        drop_counter="drops",
        drop_reasons=(DropReason(name="none", id=1, doc="No way."),),
        controls=(Control(name="main", body=()),),
        main="main",
    )


@pytest.fixture(scope="session")
def codecs(pipeline: Pipeline) -> Schema:
    return schema(pipeline)


@pytest.fixture
def instance(pipeline: Pipeline) -> ModelInstance:
    target = ModelTarget(clock=lambda: 0, random_bits=lambda _: 0, hash_seed=1)
    return target.prepare(Bundle(pipeline=pipeline))


@pytest.fixture
def contents(pipeline: Pipeline, codecs: Schema) -> Contents:
    return empty_contents(pipeline, tuple(codecs.tables.values()))


@pytest.fixture
def writer(codecs: Schema, contents: Contents, instance: ModelInstance) -> Writer:
    return Writer(codecs, contents, instance)


@pytest.fixture
def reader(codecs: Schema, contents: Contents, instance: ModelInstance) -> Reader:
    return Reader(codecs, contents, instance)
