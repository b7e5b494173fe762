"""Meters: configurations and their colour counters. Sections "MeterEntry & DirectMeterEntry" and "Direct Resources"."""

from __future__ import annotations

from finsy.proto import p4i, p4r

from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.program import Cells, Program
from tests.conformance.oracle.state import Forwarding

_TWO_RATES = p4i.MeterSpec.TWO_RATE_THREE_COLOR
_THREE_COLORS = p4i.MeterSpec.SINGLE_RATE_THREE_COLOR
Carrier = p4r.TableEntry | p4r.DirectMeterEntry | p4r.MeterEntry


def check_meter(known: Program, meter: int, given: p4r.TableEntry, found: Judgement) -> p4r.MeterConfig | None:
    """The configuration that an entry brings along; None is the default one, GREEN for every packet."""
    if not given.HasField("meter_config"):
        return None
    if not meter:
        found.refuse(Code.INVALID_ARGUMENT)
        return None
    return checked_config(known.meter_types[meter], given.meter_config, found)


def check_meter_of_default(meter: int, given: p4r.TableEntry, found: Judgement) -> None:
    """Packets that miss are not metered by this device."""
    if given.HasField("meter_config") or given.HasField("meter_counter_data"):
        found.refuse(Code.UNIMPLEMENTED if meter else Code.INVALID_ARGUMENT)


def checked_config(kind: int, given: p4r.MeterConfig, found: Judgement) -> p4r.MeterConfig:
    is_single = (given.pir, given.pburst) == (given.cir, given.cburst)
    if (kind != _THREE_COLORS and given.eburst) or (kind != _TWO_RATES and not is_single):
        found.refuse(Code.INVALID_ARGUMENT)
    numbers = (given.cir, given.cburst, given.pir, given.pburst, given.eburst)
    if min(numbers) < 0 or given.pir < given.cir or 0 in (given.cburst, given.pburst):
        found.allow(Code.INVALID_ARGUMENT)  # RFC 2697 and RFC 2698 say so, the specification does not
    made = p4r.MeterConfig()
    made.CopyFrom(given)
    return made


def check_executed(
    state: Forwarding, action: p4r.TableAction, config: p4r.MeterConfig | None, found: Judgement
) -> None:
    """An action that does not execute a direct meter takes no configuration for it ("Direct Resources")."""
    if config is not None and action.HasField("action") and action.action.action_id not in state.declared.metering:
        found.refuse(Code.INVALID_ARGUMENT)


def check_colors(meter: int, given: p4r.TableEntry, found: Judgement) -> None:
    if given.HasField("meter_counter_data"):
        if not meter:
            found.refuse(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)
        else:
            check_cleared(given.meter_counter_data, found)


def check_cleared(given: p4r.MeterCounterData, found: Judgement) -> None:
    """Colour counters can be set to 0 alone."""
    colors = (given.green, given.yellow, given.red)
    if any(color.packet_count or color.byte_count for color in colors):
        found.refuse(Code.INVALID_ARGUMENT)


def judge_meter(state: Forwarding, kind: int, given: p4r.MeterEntry) -> Judgement:
    found = Judgement()
    meter = state.known.meters.get(given.meter_id)
    if kind != p4r.Update.MODIFY:
        found.refuse(Code.INVALID_ARGUMENT)
    if meter is None:
        found.refuse(*UNKNOWN_ID, *(() if state.known.meters else (Code.UNIMPLEMENTED,)))
        return found
    check_index(meter, given, found)
    if given.HasField("counter_data"):
        check_cleared(given.counter_data, found)
    config = checked_config(meter.type, given.config, found) if given.HasField("config") else None
    index = given.index.index if given.HasField("index") else None
    found.change = lambda: state.meters[meter.id].set(index, config)
    return found


def check_index(cells: Cells, given: p4r.MeterEntry | p4r.CounterEntry, found: Judgement) -> None:
    if given.HasField("index") and given.index.index < 0:
        found.refuse(Code.INVALID_ARGUMENT)
    if given.HasField("index") and given.index.index >= cells.size:
        found.refuse(Code.OUT_OF_RANGE)
