"""Configurations and counters of meters: `p4.v1.MeterConfig` and `MeterCounterData`, to records and back. Pure.

What each type of meter takes is said in the specification's section "MeterEntry & DirectMeterEntry"; that bursts are
above 0, in RFC 2698 and RFC 2697.
"""

from __future__ import annotations

from finsy.proto import p4r

from compiler.ir.entries import MeterConfig
from compiler.ir.tables import MeterType
from runtime.device.records import ColorTallies
from runtime.device.refusals import invalid

_FIELDS = ("cir", "cburst", "pir", "pburst", "eburst")


def decode_meter_config(given: p4r.MeterConfig, kind: MeterType, where: str) -> MeterConfig:
    """Raises INVALID_ARGUMENT."""
    for name in _FIELDS:
        if getattr(given, name) < 0:
            raise invalid(f"{where}: {name} is {getattr(given, name)}, a rate or burst is not negative")
    if kind is MeterType.TWO_RATE_THREE_COLOR:
        _check_two_rates(given, where)
    else:
        _check_one_rate(given, kind, where)
    return MeterConfig(cir=given.cir, cburst=given.cburst, pir=given.pir, pburst=given.pburst, eburst=given.eburst)


def _check_two_rates(given: p4r.MeterConfig, where: str) -> None:
    if given.eburst:
        raise invalid(f"{where}: eburst is {given.eburst}, but a meter of two rates has no excess burst")
    if given.cir > given.pir:
        raise invalid(f"{where}: cir {given.cir} is above pir {given.pir}")
    for name in ("cburst", "pburst"):
        if not getattr(given, name):
            raise invalid(f"{where}: {name} is 0, no packet would ever fit; a burst is above 0")


def _check_one_rate(given: p4r.MeterConfig, kind: MeterType, where: str) -> None:
    for name, same in (("pir", "cir"), ("pburst", "cburst")):
        peak, committed = getattr(given, name), getattr(given, same)
        if peak != committed:
            raise invalid(f"{where}: {name} is {peak}, but of a meter of one rate it equals {same}, {committed}")
    if kind is MeterType.SINGLE_RATE_TWO_COLOR and given.eburst:
        raise invalid(f"{where}: eburst is {given.eburst}, but a meter of two colors has no excess burst")
    if not given.cburst and not given.eburst:
        what = "cburst is" if kind is MeterType.SINGLE_RATE_TWO_COLOR else "cburst and eburst are"
        raise invalid(f"{where}: {what} 0, no packet would ever fit")


def encode_meter_config(config: MeterConfig) -> p4r.MeterConfig:
    return p4r.MeterConfig(
        cir=config.cir, cburst=config.cburst, pir=config.pir, pburst=config.pburst, eburst=config.eburst
    )


def check_cleared(given: p4r.MeterCounterData, where: str) -> None:
    """A write only clears the counters. Raises INVALID_ARGUMENT."""
    for name in ("green", "yellow", "red"):
        counted: p4r.CounterData = getattr(given, name)
        if counted.packet_count or counted.byte_count:
            raise invalid(f"{where}: the counters of a meter can be set to 0 only, {name} is given otherwise")


def encode_color_tallies(tallies: ColorTallies) -> p4r.MeterCounterData:
    green, yellow, red = (p4r.CounterData(packet_count=one.packets, byte_count=one.bytes) for one in tallies)
    return p4r.MeterCounterData(green=green, yellow=yellow, red=red)
