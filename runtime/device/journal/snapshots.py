"""All contents of a pipeline in few records: what replay makes the same contents of.

Rows are immutable, so `records_of` takes references at once and encodes them piece by piece, while writes go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from finsy.proto import p4r

from compiler.ir.entries import MeterConfig
from compiler.ir.tables import Meter
from runtime.device.contents import TableContents
from runtime.device.journal.records import Hidden, Named, Record
from runtime.device.loaded import Loaded
from runtime.device.metercodec import encode_meter_config
from runtime.device.records import ActionSet, Row
from runtime.device.schema import TableCodec
from runtime.device.selectorcontents import SelectorContents
from runtime.device.wirerows import RowForm, inserts

PIECE = 250
"""Updates in one record."""


def records_of(loaded: Loaded) -> Iterator[Record]:
    """What was written into a pipeline up to now, as writes: members, groups, entries, meters. Replay orders them."""
    reader, contents = loaded.reader, loaded.contents
    parts: list[Iterable[Record]] = [
        [Named(space=s, value=v.hex(), number=n) for s, v, n in loaded.schema.translations.all()],
        _writes(reader.answer(p4r.Entity(action_profile_member=p4r.ActionProfileMember()))),
        _writes(reader.answer(p4r.Entity(action_profile_group=p4r.ActionProfileGroup()))),
    ]
    for codec in loaded.schema.tables.values():
        if codec.is_learned:
            continue
        selector = contents.tables[codec.name].selector
        if codec.table.entries or contents.tables[codec.name].default is not None:
            parts.append(_changes(codec, contents.tables[codec.name]))
        elif selector is not None and selector.set_count:
            parts.append(_sets(codec, selector, list(contents.tables[codec.name].rows.values())))
        elif codec.rows is not None:
            parts.append(_inserts(codec.rows, list(contents.tables[codec.name].rows.values())))
        else:
            parts.append(_writes(reader.answer(p4r.Entity(table_entry=_whole(codec)))))
    parts += (_meters(meter, dict(contents.meters[meter.name])) for meter in loaded.schema.meters.values())
    parts.append(_writes(reader.answer(p4r.Entity(digest_entry=p4r.DigestEntry()))))
    for engine in (
        p4r.PacketReplicationEngineEntry(multicast_group_entry=p4r.MulticastGroupEntry()),
        p4r.PacketReplicationEngineEntry(clone_session_entry=p4r.CloneSessionEntry()),
    ):
        parts.append(_writes(reader.answer(p4r.Entity(packet_replication_engine_entry=engine))))
    parts.append([Hidden(selector=s.selector.name, next_id=s.next_hidden_id) for s in contents.selectors.values()])
    return chain.from_iterable(parts)


def _inserts(form: RowForm, rows: list[Row]) -> Iterator[Record]:
    return (inserts(map(form.write, rows[first : first + PIECE])) for first in range(0, len(rows), PIECE))


def _writes(pieces: Iterable[bytes]) -> Iterator[Record]:
    for piece in pieces:
        made = p4r.WriteRequest()
        for entity in p4r.ReadResponse.FromString(piece).entities:
            made.updates.add(type=p4r.Update.INSERT).entity.CopyFrom(entity)
        yield made


def _changes(codec: TableCodec, table: TableContents) -> list[Record]:
    """Of a table that is not empty at first, what makes it what it is now."""
    updates: list[p4r.Update] = []
    for key in table.initial_keys - table.rows.keys():
        gone = codec.entry_key(key)
        named = p4r.TableEntry(
            table_id=codec.table.id, match=codec.encode_matches(gone.matches), priority=gone.priority
        )
        updates.append(p4r.Update(type=p4r.Update.DELETE, entity=p4r.Entity(table_entry=named)))
    for key, row in table.rows.items():
        if key not in table.const_keys:
            kind = p4r.Update.MODIFY if key in table.initial_keys else p4r.Update.INSERT
            updates.append(p4r.Update(type=kind, entity=p4r.Entity(table_entry=_entry(codec, row))))
    if table.default is not None:
        default = p4r.Entity(table_entry=codec.encode_default(table.default))
        updates.append(p4r.Update(type=p4r.Update.MODIFY, entity=default))
    return [p4r.WriteRequest(updates=updates[at : at + PIECE]) for at in range(0, len(updates), PIECE)]


def _entry(codec: TableCodec, row: Row) -> p4r.TableEntry:
    entry = codec.encode(row)
    if row.meter is not None:
        entry.meter_config.CopyFrom(encode_meter_config(row.meter))
    return entry


def _whole(codec: TableCodec) -> p4r.TableEntry:
    """Asks for all entries of a table, with the meters that they have."""
    asked = p4r.TableEntry(table_id=codec.table.id)
    if codec.table.meter is not None:
        asked.meter_config.SetInParent()
    return asked


def _meters(meter: Meter, configs: dict[int, MeterConfig]) -> Iterator[Record]:
    indices = list(configs)
    for first in range(0, len(indices), PIECE):
        made = p4r.WriteRequest()
        for index in indices[first : first + PIECE]:
            entry = p4r.MeterEntry(meter_id=meter.id, index=p4r.Index(index=index))
            entry.config.CopyFrom(encode_meter_config(configs[index]))
            made.updates.add(type=p4r.Update.MODIFY).entity.meter_entry.CopyFrom(entry)
        yield made


def _sets(codec: TableCodec, selector: SelectorContents, rows: list[Row]) -> Iterator[Record]:
    """Entries with action sets: their hidden ids decide how packets are spread, so they are kept."""
    expected = 0
    made = p4r.WriteRequest()
    for row in sorted(rows, key=lambda row: row.hidden_group):
        count = len(row.action.actions) if isinstance(row.action, ActionSet) else 0
        first = row.hidden_group - count
        if first != expected or len(made.updates) >= PIECE:
            if made.updates:
                yield made
            made = p4r.WriteRequest()
            yield Hidden(selector=selector.selector.name, next_id=first)
        made.updates.add(type=p4r.Update.INSERT).entity.table_entry.CopyFrom(_entry(codec, row))
        expected = row.hidden_group + 1
    if made.updates:
        yield made
