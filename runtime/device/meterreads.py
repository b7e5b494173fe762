"""Reads of meters: cells of indexed ones, and those of entries. Called by `runtime.device.reads`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from finsy.proto import p4r

from compiler.ir.entries import MeterConfig
from compiler.ir.tables import Meter
from runtime.device.cells import checked_index
from runtime.device.contents import Contents
from runtime.device.metercodec import encode_color_tallies, encode_meter_config
from runtime.device.records import ColorTallies
from runtime.device.refusals import invalid, not_found, unimplemented
from runtime.device.schema import Schema, TableCodec
from runtime.device.target import Instance

ReadEntries = Callable[[p4r.TableEntry, TableCodec], Iterator[p4r.Entity]]


class MeterReader:
    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._schema, self._contents, self._instance = schema, contents, instance

    def cells(self, request: p4r.MeterEntry) -> Iterator[p4r.Entity]:
        """One cell, all of a meter, or all of all meters; counters where they are asked for."""
        counted = request.HasField("counter_data")
        if request.meter_id == 0:
            if request.HasField("index"):
                raise invalid("an index is named together with its meter")
            return chain.from_iterable([self._cells(m, 0, m.size, counted) for m in self._schema.meters.values()])
        meter = self._schema.meter(request.meter_id)
        if request.HasField("index"):
            return self._cells(meter, checked_index(f"meter {meter.name}", meter.size, request.index.index), 1, counted)
        return self._cells(meter, 0, meter.size, counted)

    def _cells(self, meter: Meter, first: int, count: int, counted: bool) -> Iterator[p4r.Entity]:
        tallies = self._instance.meter_tallies(meter.name, first, count) if counted else None
        return _encoded_cells(meter, range(first, first + count), dict(self._contents.meters[meter.name]), tallies)

    def of_entries(self, request: p4r.DirectMeterEntry, read_entries: ReadEntries) -> Iterator[p4r.Entity]:
        """That of one entry, those of a table, or all; `read_entries` reads a table, with what lies beside entries."""
        asked = request.table_entry
        if asked.is_default_action:
            raise unimplemented("packets that miss a table are not metered")
        if asked.table_id == 0:
            if asked.match or asked.priority:
                raise invalid("match fields are named together with their table")
            codecs = [codec for codec in self._schema.tables.values() if codec.table.meter is not None]
            return chain.from_iterable([_of_table(request, codec, read_entries) for codec in codecs])
        codec = self._schema.table(asked.table_id)
        if codec.table.meter is None:
            raise invalid(f"table {codec.name} has no direct meter")
        return _of_table(request, codec, read_entries)


def _of_table(request: p4r.DirectMeterEntry, codec: TableCodec, read_entries: ReadEntries) -> Iterator[p4r.Entity]:
    asked = request.table_entry
    wanted = p4r.TableEntry(
        table_id=codec.table.id, match=asked.match, priority=asked.priority, meter_config=p4r.MeterConfig()
    )
    if request.HasField("counter_data"):
        wanted.meter_counter_data.SetInParent()
    entries = read_entries(wanted, codec)
    return map(_direct_cell, entries) if not asked.match else iter([_direct_cell(the_one(entries, codec, asked))])


def the_one(entries: Iterator[p4r.Entity], codec: TableCodec, asked: p4r.TableEntry) -> p4r.Entity:
    """The entry that was asked for. Raises NOT_FOUND."""
    found = next(entries, None)
    if found is None:
        raise not_found(f"{codec.shown(codec.decode_key(asked))}: there is no such entry")
    return found


def _encoded_cells(
    meter: Meter, indices: range, configs: Mapping[int, MeterConfig], tallies: list[ColorTallies] | None
) -> Iterator[p4r.Entity]:
    for at, index in enumerate(indices):
        made = p4r.MeterEntry(meter_id=meter.id, index=p4r.Index(index=index))
        if index in configs:
            made.config.CopyFrom(encode_meter_config(configs[index]))
        if tallies is not None:
            made.counter_data.CopyFrom(encode_color_tallies(tallies[at]))
        yield p4r.Entity(meter_entry=made)


def _direct_cell(entity: p4r.Entity) -> p4r.Entity:
    """The meter of an entry that was read with it."""
    entry = entity.table_entry
    made = p4r.DirectMeterEntry()
    made.table_entry.table_id, made.table_entry.priority = entry.table_id, entry.priority
    made.table_entry.match.extend(entry.match)
    if entry.HasField("meter_config"):
        made.config.CopyFrom(entry.meter_config)
    if entry.HasField("meter_counter_data"):
        made.counter_data.CopyFrom(entry.meter_counter_data)
    return p4r.Entity(direct_meter_entry=made)
