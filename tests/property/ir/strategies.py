"""Small pipelines that the verifier accepts, made by Hypothesis.

They have a chain of headers, some of them with a checksum, tables of every kind, a selector, a store with two learned
tables, and a control that looks all of them up, learns, and then changes the packet and sends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from compiler.ir.controller import ControllerField, ControllerHeader
from compiler.ir.expressions import (
    Binary,
    Concat,
    Const,
    Expr,
    Extend,
    FieldRef,
    Hash,
    IsValid,
    MetaRef,
    Not,
    Now,
    Operator,
    ParamRef,
    Peek,
    Random,
    Slice,
)
from compiler.ir.headers import ACCEPT, Case, Checksum, Coverage, Field, Header, HeaderType, Match, State
from compiler.ir.nodes import Control, DropReason, Heat, Pipeline
from compiler.ir.statements import (
    Advance,
    Apply,
    Assign,
    Change,
    Clone,
    Count,
    Drop,
    Execute,
    ExecuteDirect,
    Forward,
    If,
    Learn,
    Multicast,
    Pop,
    Punt,
    Push,
    PushedHeader,
    Reply,
    Rewrite,
    Run,
    Seek,
    Statement,
    ToKernel,
    Truncate,
)
from compiler.ir.tables import (
    Action,
    ActionRef,
    Counter,
    DirectMeter,
    Fewest,
    Key,
    MatchKind,
    Meter,
    MeterType,
    MeterUnit,
    Param,
    Profile,
    Selector,
    Store,
    Table,
    Transition,
    Turns,
)

_COMPARISONS = [operator for operator in Operator if operator.is_comparison]
_PLAIN = [Operator.ADD, Operator.SUB, Operator.AND, Operator.OR, Operator.XOR]
_SHIFTS = [Operator.SHL, Operator.SHR]
COLOR = Field(name="color", width_bits=2)
METADATA = (
    *(Field(name="ingress_port", width_bits=16), Field(name="flag", width_bits=1), COLOR),
    *(Field(name=f"m{width}", width_bits=width) for width in (3, 8, 16, 32, 128)),
)
_META = tuple(MetaRef(name=f.name, width_bits=f.width_bits) for f in METADATA)
_COLOR, _SOUGHT = MetaRef(name="color", width_bits=2), MetaRef(name="m16", width_bits=16)
_UNITS, _TYPES = st.sampled_from(MeterUnit), st.sampled_from(MeterType)
_METER = st.builds(DirectMeter, id=st.just(0x15000001), unit=_UNITS, type=_TYPES)
PARAMS = (Param(name="p", id=1, width_bits=16), Param(name="q", id=2, width_bits=32, format="ipv4"))
PACKET_IN_FIELDS = (
    ControllerField(name="kind", id=2, width_bits=8),
    ControllerField(name="port", id=1, width_bits=16),
)
docs = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=12).map(str.strip)
doc_texts = st.lists(docs, max_size=3).map("\n".join)


@dataclass(frozen=True)
class Readable:
    """What an expression may read."""

    references: tuple[FieldRef | MetaRef | ParamRef, ...] = _META
    headers: tuple[str, ...] = ()
    """All headers, for `IsValid`."""

    def with_params(self) -> Readable:
        added = tuple(ParamRef(name=p.name, width_bits=p.width_bits) for p in PARAMS)
        return Readable((*self.references, *added), self.headers)

    def with_fields(self, header: Header, header_type: HeaderType) -> Readable:
        added = tuple(FieldRef(header=header.name, name=f.name, width_bits=f.width_bits) for f in header_type.fields)
        return Readable((*self.references, *added), self.headers)


@st.composite
def expressions(draw: st.DrawFn, width: int, readable: Readable, depth: int = 2) -> Expr:
    """Expressions of so many bits."""
    if depth and draw(st.booleans()):
        return draw(_compound(width, readable, depth - 1))
    kind = draw(st.integers(0, 9))
    ref = draw(st.sampled_from(readable.references))
    if kind < 4:
        return _fitted(ref, width, draw(st.integers(0, max(0, ref.width_bits - width))))
    if kind == 4 and width <= 64:
        return Random(width_bits=width)
    if kind == 5 and width <= 64:
        return Hash(inputs=(ref, Now()), width_bits=width)
    if kind == 6 and width == 1 and readable.headers:
        return IsValid(header=draw(st.sampled_from(readable.headers)))
    return Const(value=draw(st.integers(0, (1 << width) - 1)), width_bits=width)


def _fitted(ref: FieldRef | MetaRef | ParamRef, width: int, low: int) -> Expr:
    if ref.width_bits > width:
        return Slice(operand=ref, high=low + width - 1, low=low)
    return ref if ref.width_bits == width else Extend(operand=ref, width_bits=width)


@st.composite
def _compound(draw: st.DrawFn, width: int, readable: Readable, depth: int) -> Expr:
    same = expressions(width, readable, depth)
    match draw(st.sampled_from(["not", "binary", "shift", "concat" if width > 1 else "compare"])):
        case "not":
            return Not(operand=draw(same))
        case "binary":
            return Binary(operator=draw(st.sampled_from(_PLAIN)), left=draw(same), right=draw(same))
        case "shift":
            distance = Const(value=draw(st.integers(0, width - 1)), width_bits=8)
            return Binary(operator=draw(st.sampled_from(_SHIFTS)), left=draw(same), right=distance)
        case "concat":
            halves = (width // 2, width - width // 2)
            return Concat(parts=tuple(draw(expressions(half, readable, depth)) for half in halves))
        case _:
            sides = (draw(expressions(16, readable, depth)), draw(expressions(16, readable, depth)))
            return Binary(operator=draw(st.sampled_from(_COMPARISONS)), left=sides[0], right=sides[1])


@st.composite
def header_types(draw: st.DrawFn, name: str) -> HeaderType:
    widths = draw(st.lists(st.integers(1, 33), min_size=1, max_size=4))
    has_checksum = draw(st.booleans())
    fields = [Field(name="checksum", width_bits=16)] if has_checksum else []
    fields += [Field(name=f"f{i}", width_bits=width) for i, width in enumerate(widths)]
    rest = -sum(widths) % 16
    fields += [Field(name="rest", width_bits=rest)] if rest else []
    coverage = draw(st.sampled_from([Coverage.HEADER, Coverage.PAYLOAD]))
    checksum = Checksum(field="checksum", coverage=coverage) if has_checksum else None
    return HeaderType(name=name, fields=tuple(fields), checksum=checksum, doc=draw(doc_texts))


@st.composite
def _states(draw: st.DrawFn, headers: tuple[Header, ...], types: dict[str, HeaderType]) -> tuple[State, ...]:
    """A chain: from each header to the next one or to the end."""
    states: list[State] = []
    for place, header in enumerate(headers):
        following = f"s{place + 1}" if place + 1 < len(headers) else ACCEPT
        first = types[header.type].fields[-1]
        top = (1 << first.width_bits) - 1
        field_match = st.builds(Match, value=st.integers(0, top), mask=st.none() | st.integers(0, top))
        peeked = st.builds(Match, value=st.integers(0, 15), mask=st.none() | st.just(3))
        cases = draw(st.lists(st.tuples(field_match, peeked), max_size=2))
        states.append(
            State(
                name=f"s{place}",
                extract=header.name,
                select=(
                    FieldRef(header=header.name, name=first.name, width_bits=first.width_bits),
                    Peek(offset_bits=draw(st.integers(0, 9)), width_bits=4),
                ),
                cases=tuple(Case(matches=matches, next=ACCEPT) for matches in cases),
                default=following,
                doc=draw(doc_texts),
            )
        )
    return tuple(states)


_MISS = ActionRef(name="miss", in_entries=False, as_default=True)
STORE = Store(
    name="memory",
    size=8,
    ways=2,
    profiles=(
        Profile(name="fresh", id=1, timeout_ms=10, rank=0),
        Profile(name="old", id=2, timeout_ms=50, rank=1, is_over=True),
    ),
    events=("seen",),
    transitions=(
        Transition(current="fresh", event="seen", other="old", next="fresh", other_next="fresh"),
        Transition(current="fresh", event="seen", next="old"),
    ),
)


@st.composite
def _tables(draw: st.DrawFn, readable: Readable) -> tuple[Table, ...]:
    def key(number: int, kind: MatchKind) -> Key:
        return Key(name=f"k{number}", id=number, expr=draw(expressions(16, readable, 1)), match=kind)

    kinds = draw(st.lists(st.sampled_from([k for k in MatchKind if k is not MatchKind.LPM]), max_size=2))
    inputs = (draw(expressions(8, readable)),)
    turns = Turns(asked=draw(expressions(1, readable)), cell=draw(expressions(8, readable)))
    fewest = Fewest(asked=draw(expressions(1, readable)), store="memory")
    in_turn, by_count = draw(st.sampled_from(((False, False), (True, False), (True, True))))
    selector = Selector(
        name="choice",
        id=0x11000001,
        size=8,
        max_group_size=4,
        inputs=inputs,
        turns=turns if in_turn else None,
        fewest=fewest if by_count else None,
    )

    def table(name: str, number: int, keys: tuple[Key, ...], action: str) -> Table:
        return Table(
            name=name,
            id=0x02000000 + number,
            keys=keys,
            actions=(ActionRef(name=action), _MISS),
            default_action="miss",
            size=16,
            counter_id=0x13000000 + number if draw(st.booleans()) else None,
            meter=draw(_METER) if name == "mixed" else None,
            idle_timeout=name == "mixed" and draw(st.booleans()),
            selector=selector if name == "chosen" else None,
            store="memory" if name in ("flow", "back") else None,
            doc=draw(doc_texts),
        )

    exact = MatchKind.EXACT
    return (
        table("mixed", 1, (key(1, MatchKind.LPM), *(key(i, kind) for i, kind in enumerate(kinds, 2))), "police"),
        table("chosen", 2, (key(1, exact),), "put"),
        table("flow", 3, (key(1, exact), key(2, exact)), "known"),
        table("back", 4, (key(1, exact), Key(name="k2", id=2, expr=_SOUGHT, match=exact)), "known"),
    )


@st.composite
def _quiet(draw: st.DrawFn, readable: Readable, depth: int = 2) -> tuple[Statement, ...]:
    """Statements that leave the packet as it is."""
    target = st.sampled_from([ref for ref in _META if ref.name != "ingress_port"])
    found: list[Statement] = []
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["assign", "count", "meter", *(["if"] if depth else [])]))
        if kind == "assign":
            ref = draw(target)
            found.append(Assign(target=ref, value=draw(expressions(ref.width_bits, readable))))
        elif kind == "meter":
            found.append(Execute(meter="metered", index=draw(expressions(8, readable)), target=_COLOR))
        elif kind == "count":
            found.append(Count(counter="counted", index=draw(expressions(8, readable))))
        else:
            condition = draw(expressions(1, readable))
            then, otherwise = draw(_quiet(readable, depth - 1)), draw(_quiet(readable, depth - 1))
            found.append(If(condition=condition, then=then, otherwise=otherwise))
    return tuple(found)


@st.composite
def _loud(draw: st.DrawFn, header: Header, header_type: HeaderType, readable: Readable) -> tuple[Statement, ...]:
    """Statements that change the packet, and a verdict."""
    found: list[Statement] = []
    if draw(st.booleans()):
        said = draw(st.sampled_from([(), (("port", draw(expressions(16, readable))),)]))
        found.append(Clone(session=draw(expressions(16, readable)), values=said))
    names = [f for f in header_type.fields if f.name != "checksum"]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    changes = tuple(
        Change(
            target=FieldRef(header=header.name, name=f.name, width_bits=f.width_bits),
            value=draw(expressions(f.width_bits, readable)),
        )
        for f in chosen
    )
    found.append(Rewrite(changes=changes))
    if header_type.checksum is None:
        found.append(Assign(target=changes[0].target, value=changes[0].value))
    if draw(st.booleans()):
        found.append(Truncate(header=header.name, keep_bytes=draw(st.integers(1, 60))))
    if draw(st.booleans()):
        value = draw(expressions(8, Readable()))
        found.append(Push(headers=(PushedHeader(header="front", values=(("kind", value),)),)))
        if draw(st.booleans()):
            found.append(Pop(headers=("front",)))
    port = draw(expressions(16, Readable()))
    punt = Punt(values=(("port", port),), full="bad")
    group = Multicast(group=port, unknown="bad", values=punt.values, not_back=draw(st.booleans()))
    found.append(draw(st.sampled_from([Forward(port=port), Reply(), Drop(reason="bad"), punt, group])))
    return tuple(found)


def _actions(draw: st.DrawFn, readable: Readable) -> tuple[Action, ...]:
    inside = readable.with_params()
    learned = (*draw(_quiet(inside)), Advance(event="seen"))
    return (
        Action(name="miss", id=0x01000001, body=draw(_quiet(readable)), doc=draw(doc_texts)),
        Action(name="put", id=0x01000002, params=PARAMS, body=draw(_quiet(inside))),
        Action(name="police", id=0x01000004, body=(*draw(_quiet(readable)), ExecuteDirect(target=_COLOR))),
        Action(name="known", id=0x01000003, params=PARAMS, body=learned),
    )


def _learn(draw: st.DrawFn, readable: Readable) -> Apply:
    """Look both learned tables up; what misses both is learned."""
    arguments = (draw(expressions(16, readable)), draw(expressions(32, readable)))
    profile = Const(value=draw(st.sampled_from([1, 2])), width_bits=8)
    full = draw(st.sampled_from([(), (Drop(reason="bad"),)]))
    learn = tuple(
        Learn(table=name, action="known", arguments=arguments, profile=profile, on_full=full)
        for name in ("flow", "back")
    )
    first, tries = draw(st.integers(0, 1 << 15)), draw(st.integers(1, 64))
    free = Seek(table="back", target=_SOUGHT, first=first, tries=tries, on_none=full)
    before = (free,) if draw(st.booleans()) else ()
    return Apply(table="flow", on_miss=(*before, Apply(table="back", on_miss=learn)), on_hit=draw(_quiet(readable)))


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A pipeline that the verifier accepts."""
    front = HeaderType(name="front_type", fields=(Field(name="kind", width_bits=8), Field(name="pad", width_bits=8)))
    types = tuple(draw(header_types(f"t{i}")) for i in range(draw(st.integers(1, 3))))
    headers = tuple(Header(name=f"h{i}", type=header_type.name) for i, header_type in enumerate(types))
    names = tuple(header.name for header in headers)
    readable = Readable(headers=names).with_fields(headers[0], types[0])
    place = draw(st.integers(0, len(headers) - 1))
    deeper = readable if place == 0 else readable.with_fields(headers[place], types[place])
    unit = draw(_UNITS)
    last = draw(_loud(headers[place], types[place], deeper))
    end: tuple[Statement, ...] = (ToKernel(),) if draw(st.booleans()) else ()
    side = Control(name="side", body=(*draw(_quiet(readable)), Apply(table="chosen")), doc=draw(doc_texts))
    body = (
        *draw(_quiet(readable)),
        Execute(meter="metered", index=draw(expressions(8, readable)), target=_COLOR),
        Apply(table="mixed", on_hit=draw(_quiet(readable)), on_miss=draw(_quiet(readable))),
        _learn(draw, readable),
        Run(control="side"),
        If(condition=IsValid(header=names[place]), then=last, otherwise=end),
    )
    heat = draw(st.sampled_from(Heat))
    return Pipeline(
        name=draw(st.text(max_size=5)),
        version="1",
        header_types=(front, *types),
        headers=(Header(name="front", type="front_type"), *headers),
        metadata=METADATA,
        parser=draw(_states(headers, {header_type.name: header_type for header_type in types})),
        actions=_actions(draw, readable),
        stores=(STORE,),
        tables=draw(_tables(readable)),
        counters=(
            Counter(name="drops", id=0x12000001, size=4, doc=draw(doc_texts)),
            Counter(name="counted", id=0x12000002, size=100),
        ),
        drop_counter="drops",
        meters=(Meter(name="metered", id=0x14000001, size=9, unit=unit, type=draw(_TYPES), doc=draw(doc_texts)),),
        drop_reasons=(DropReason(name="bad", id=1, doc=draw(doc_texts)),),
        controls=(Control(name="main", body=body, heat=heat), side),
        main="main",
        packet_in=ControllerHeader(id=0x04000001, fields=PACKET_IN_FIELDS, doc=draw(doc_texts)),
        doc=draw(doc_texts),
    )
