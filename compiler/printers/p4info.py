"""P4Info of a pipeline: the contract between controllers and devices, with the ids that the IR writes down.

The same for every profile: names have no control prefix, so name and alias are the IR's. Called by the compiler, and
by the device, which compares it with what a controller sends.
"""

from __future__ import annotations

from collections.abc import Mapping

from finsy.proto import p4i, p4t

from compiler.ir.controller import PACKET_IN, PACKET_OUT, PADDING, ControllerHeader, Digest, DigestField
from compiler.ir.expressions import width_bits
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import (
    Action,
    ActionRef,
    Counter,
    DirectMeter,
    Key,
    MatchKind,
    Meter,
    MeterType,
    MeterUnit,
    Param,
    Reference,
    Selector,
    Table,
)
from compiler.ir.translation import TranslatedType
from compiler.printers.p4.identifiers import direct_counter_name, direct_meter_name

Types = Mapping[str, TranslatedType]
ORGANIZATION = "turnout.dev"
_MATCH_TYPES = {
    MatchKind.EXACT: p4i.MatchField.EXACT,
    MatchKind.LPM: p4i.MatchField.LPM,
    MatchKind.TERNARY: p4i.MatchField.TERNARY,
    MatchKind.RANGE: p4i.MatchField.RANGE,
    MatchKind.OPTIONAL: p4i.MatchField.OPTIONAL,
}
_METER_UNITS = {MeterUnit.BYTES: p4i.MeterSpec.BYTES, MeterUnit.PACKETS: p4i.MeterSpec.PACKETS}
_METER_TYPES = {
    MeterType.TWO_RATE_THREE_COLOR: p4i.MeterSpec.TWO_RATE_THREE_COLOR,
    MeterType.SINGLE_RATE_THREE_COLOR: p4i.MeterSpec.SINGLE_RATE_THREE_COLOR,
    MeterType.SINGLE_RATE_TWO_COLOR: p4i.MeterSpec.SINGLE_RATE_TWO_COLOR,
}
_FORMATS = {"ipv4": "@format(IPV4_ADDRESS)", "ipv6": "@format(IPV6_ADDRESS)", "mac": "@format(MAC_ADDRESS)"}
"""Annotations by which clients show and read a value as people write it."""


def p4info(pipeline: Pipeline) -> p4i.P4Info:
    """A fresh message, parts in the order of the pipeline."""
    actions = {action.name: action for action in pipeline.actions}
    types = {one.name: one for one in pipeline.types}
    return p4i.P4Info(
        pkg_info=p4i.PkgInfo(
            name=pipeline.name,
            version=pipeline.version,
            organization=ORGANIZATION,
            doc=p4i.Documentation(brief=pipeline.doc),
        ),
        tables=[_table(table, actions, types) for table in pipeline.tables],
        actions=[_action(action, types) for action in pipeline.actions],
        action_profiles=[_profile(t.selector, t) for t in pipeline.tables if t.selector is not None],
        counters=[_counter(counter) for counter in pipeline.counters],
        direct_counters=[_direct_counter(t, t.counter_id) for t in pipeline.tables if t.counter_id is not None],
        meters=[_meter(meter) for meter in pipeline.meters],
        direct_meters=[_direct_meter(t, t.meter) for t in pipeline.tables if t.meter is not None],
        digests=[_digest(digest) for digest in pipeline.digests],
        type_info=_type_info(pipeline) if pipeline.digests or pipeline.types else None,
        controller_packet_metadata=[
            _controller_header(name, header, types)
            for name, header in ((PACKET_IN, pipeline.packet_in), (PACKET_OUT, pipeline.packet_out))
            if header is not None
        ],
    )


def _preamble(number: int, name: str, doc: str) -> p4i.Preamble:
    preamble = p4i.Preamble(id=number, name=name, alias=name)
    if doc:
        preamble.doc.brief = doc
    return preamble


def _table(table: Table, actions: dict[str, Action], types: Types) -> p4i.Table:
    made = p4i.Table(
        preamble=_preamble(table.id, table.name, table.doc),
        match_fields=[_match_field(key, types) for key in table.keys],
        action_refs=[_action_ref(ref, actions[ref.name]) for ref in table.actions],
        initial_default_action=_default_action(table, actions[table.default_action]),
        size=table.size,
        is_const_table=table.has_const_entries,
        has_initial_entries=bool(table.entries),
    )
    if table.restriction:
        made.preamble.annotations.append(f'@entry_restriction("{table.restriction}")')
    if table.has_const_default:
        made.const_default_action_id = actions[table.default_action].id
    if table.selector is not None:
        made.implementation_id = table.selector.id
    if table.counter_id is not None:
        made.direct_resource_ids.append(table.counter_id)
    if table.meter is not None:
        made.direct_resource_ids.append(table.meter.id)
    if table.idle_timeout:
        made.idle_timeout_behavior = p4i.Table.NOTIFY_CONTROL
    if table.store is not None:
        # The only value under which a read may carry how long an entry has been idle.
        made.idle_timeout_behavior = p4i.Table.NOTIFY_CONTROL
    return made


def _default_action(table: Table, action: Action) -> p4i.TableActionCall:
    arguments = [
        p4i.TableActionCall.Argument(param_id=param.id, value=canonical(value))
        for param, value in zip(action.params, table.default_arguments, strict=True)
    ]
    return p4i.TableActionCall(action_id=action.id, arguments=arguments)


def canonical(value: int) -> bytes:
    """A number as P4Runtime writes it: big-endian, as few bytes as it takes, at least one."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _match_field(key: Key, types: Types) -> p4i.MatchField:
    return p4i.MatchField(
        id=key.id,
        name=key.name,
        bitwidth=_sdn_bits(width_bits(key.expr), key.type, types),
        match_type=_MATCH_TYPES[key.match],
        annotations=_annotations(key.format, key.refers_to),
        type_name=_type_name(key.type),
    )


def _action_ref(ref: ActionRef, action: Action) -> p4i.ActionRef:
    if ref.in_entries and ref.as_default:
        return p4i.ActionRef(id=action.id, scope=p4i.ActionRef.TABLE_AND_DEFAULT)
    if ref.in_entries:
        return p4i.ActionRef(id=action.id, scope=p4i.ActionRef.TABLE_ONLY, annotations=["@tableonly"])
    return p4i.ActionRef(id=action.id, scope=p4i.ActionRef.DEFAULT_ONLY, annotations=["@defaultonly"])


def _action(action: Action, types: Types) -> p4i.Action:
    made = p4i.Action(
        preamble=_preamble(action.id, action.name, action.doc), params=[_param(param, types) for param in action.params]
    )
    if action.restriction:
        made.preamble.annotations.append(f'@action_restriction("{action.restriction}")')
    return made


def _param(param: Param, types: Types) -> p4i.Action.Param:
    return p4i.Action.Param(
        id=param.id,
        name=param.name,
        bitwidth=_sdn_bits(param.width_bits, param.type, types),
        annotations=_annotations(param.format, param.refers_to),
        type_name=_type_name(param.type),
    )


def _profile(selector: Selector, table: Table) -> p4i.ActionProfile:
    return p4i.ActionProfile(
        preamble=_preamble(selector.id, selector.name, ""),
        table_ids=[table.id],
        with_selector=True,
        size=selector.size,
        max_group_size=selector.max_group_size,
        sum_of_weights=p4i.ActionProfile.SumOfWeights(),
    )


def _counter(counter: Counter) -> p4i.Counter:
    return p4i.Counter(
        preamble=_preamble(counter.id, counter.name, counter.doc),
        spec=p4i.CounterSpec(unit=p4i.CounterSpec.BOTH),
        size=counter.size,
    )


def _direct_counter(table: Table, counter_id: int) -> p4i.DirectCounter:
    return p4i.DirectCounter(
        preamble=_preamble(counter_id, direct_counter_name(table), ""),
        spec=p4i.CounterSpec(unit=p4i.CounterSpec.BOTH),
        direct_table_id=table.id,
    )


def _meter(meter: Meter) -> p4i.Meter:
    return p4i.Meter(preamble=_preamble(meter.id, meter.name, meter.doc), spec=_meter_spec(meter), size=meter.size)


def _direct_meter(table: Table, meter: DirectMeter) -> p4i.DirectMeter:
    return p4i.DirectMeter(
        preamble=_preamble(meter.id, direct_meter_name(table), ""),
        spec=_meter_spec(meter),
        direct_table_id=table.id,
    )


def _meter_spec(meter: Meter | DirectMeter) -> p4i.MeterSpec:
    return p4i.MeterSpec(unit=_METER_UNITS[meter.unit], type=_METER_TYPES[meter.type])


def _digest(digest: Digest) -> p4i.Digest:
    """Its data is a structure of the digest's name."""
    spec = p4t.P4DataTypeSpec(struct=p4t.P4NamedType(name=digest.name))
    return p4i.Digest(preamble=_preamble(digest.id, digest.name, digest.doc), type_spec=spec)


def _data_type(field: DigestField) -> p4t.P4DataTypeSpec:
    if field.type:
        return p4t.P4DataTypeSpec(new_type=p4t.P4NamedType(name=field.type))
    bits = p4t.P4BitstringLikeTypeSpec(bit=p4t.P4BitTypeSpec(bitwidth=field.width_bits))
    return p4t.P4DataTypeSpec(bitstring=bits)


def _type_info(pipeline: Pipeline) -> p4t.P4TypeInfo:
    made = p4t.P4TypeInfo()
    for digest in pipeline.digests:
        for f in digest.fields:
            made.structs[digest.name].members.add(name=f.name, type_spec=_data_type(f))
    for one in pipeline.types:
        translated = made.new_types[one.name].translated_type
        translated.uri = one.uri
        if one.sdn_bits is None:
            translated.sdn_string.SetInParent()
        else:
            translated.sdn_bitwidth = one.sdn_bits
    return made


def _controller_header(name: str, header: ControllerHeader, types: Types) -> p4i.ControllerPacketMetadata:
    preamble = _preamble(header.id, name, header.doc)
    preamble.annotations.append(f'@controller_header("{name}")')
    fields = [
        p4i.ControllerPacketMetadata.Metadata(
            id=f.id,
            name=f.name,
            bitwidth=_sdn_bits(f.width_bits, f.type, types),
            annotations=["@padding"] if f.name.startswith(PADDING) else [],
            type_name=_type_name(f.type),
        )
        for f in header.fields
    ]
    return p4i.ControllerPacketMetadata(preamble=preamble, metadata=fields)


def _sdn_bits(width: int, name: str, types: Types) -> int:
    """The width that controllers see; 0 is that of a string."""
    return (types[name].sdn_bits or 0) if name else width


def _type_name(name: str) -> p4t.P4NamedType | None:
    return p4t.P4NamedType(name=name) if name else None


def _annotations(shown_as: str, references: tuple[Reference, ...]) -> list[str]:
    """In the spelling of p4c, which puts a space between the words of what it does not know."""
    shown = [_FORMATS[shown_as]] if shown_as else []
    return [*shown, *(f"@refers_to({one.table.replace('::', ' : : ')} , {one.field})" for one in references)]
