"""How meters lie in BPF maps: what ebpf/include/turnout/meter.h declares, as bytes. Pure.

A meter has three arrays: configurations, on two sides, which the device writes and packets read; words, the other way
around once a cell has begun; and counters, three a cell, in the order of the colours.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from compiler.ir.metering import Bucket, Buckets, Color, Words
from compiler.ir.tables import DirectMeter, Meter, MeterType, MeterUnit, Table
from compiler.printers.layout_maps import MapKind, MapLayout, counter_map, sided_array

_BUCKET = struct.Struct("<QQQQII")
_BUCKETS = struct.Struct(f"<{_BUCKET.size}s{_BUCKET.size}sQ")
_WORDS = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLayout:
    """The maps of a meter: an indexed one, or that of a table, whose cells have the indices of its entries."""

    name: str
    table: str
    """The table of a direct meter, empty for an indexed one."""
    type: MeterType
    unit: MeterUnit
    size: int
    doc: str
    configs: MapLayout
    words: MapLayout
    colors: MapLayout

    @property
    def maps(self) -> tuple[MapLayout, ...]:
        return self.configs, self.words, self.colors


def meter_layout(meter: Meter) -> MeterLayout:
    return _layout(meter.name, "", meter, meter.size, meter.doc, is_opening=False)


def direct_meter_layout(table: Table, meter: DirectMeter, *, is_opening: bool) -> MeterLayout:
    """Of a table that only first packets ask the maps may lie among others, as those of the table itself."""
    name, doc = direct_meter_name(table.name), f"The meter of table {table.name}."
    return _layout(name, table.name, meter, table.size + 1, doc, is_opening=is_opening)


def direct_meter_name(table: str) -> str:
    return f"{table}_meter"


def _layout(name: str, table: str, meter: Meter | DirectMeter, size: int, doc: str, *, is_opening: bool) -> MeterLayout:
    return MeterLayout(
        name=name,
        table=table,
        type=meter.type,
        unit=meter.unit,
        size=size,
        doc=doc,
        configs=sided_array(f"{name}_config", _BUCKETS.size, size, may_be_inner=is_opening),
        words=_words(f"{name}_words", size, may_be_inner=is_opening),
        colors=counter_map(f"{name}_colors", size * len(Color)),
    )


def _words(name: str, size: int, *, may_be_inner: bool) -> MapLayout:
    return MapLayout(
        name=name,
        kind=MapKind.ARRAY,
        key_size=4,
        value_size=_WORDS.size,
        max_entries=size,
        may_be_inner=may_be_inner,
    )


def encode_words(words: Words) -> bytes:
    return _WORDS.pack(words.first, words.second)


def decode_words(raw: bytes) -> Words:
    return Words(*_WORDS.unpack(raw))


def encode_buckets(buckets: Buckets) -> bytes:
    """The configuration of a cell; one that says green has zeros."""
    return _BUCKETS.pack(_encode_bucket(buckets.first), _encode_bucket(buckets.second), 1)


def _encode_bucket(bucket: Bucket) -> bytes:
    return _BUCKET.pack(bucket.start_ns, bucket.base, bucket.floor, bucket.burst, bucket.multiplier, bucket.shift)


def decode_buckets(raw: bytes) -> Buckets | None:
    first, second, is_set = _BUCKETS.unpack(raw)
    return Buckets(first=_decode_bucket(first), second=_decode_bucket(second)) if is_set else None


def _decode_bucket(raw: bytes) -> Bucket:
    start_ns, base, floor, burst, multiplier, shift = _BUCKET.unpack(raw)
    return Bucket(start_ns=start_ns, base=base, floor=floor, burst=burst, multiplier=multiplier, shift=shift)
