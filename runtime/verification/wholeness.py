"""What holds of a store's slots when no packet is on its way: nothing half written, no half alone, counts that add up.

What counts for a member is in the map of counts, neither more nor less.

Pure: reads the bytes of the map of slots and the counted events, which the device's own programs keep as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from compiler.printers.layout_store import Slot, StoreLayout
from compiler.printers.store_programs import StoreEvent

_STAY = (StoreEvent.LEARNED, StoreEvent.FULL)
"""Events after which an entry is where it was."""


def flaws(
    store: StoreLayout, slots: bytes, events: Mapping[int, int], counts: Mapping[int, int] | None = None
) -> Iterator[str]:
    """What does not hold, a line each. `events` by index of the store's map, `counts` by number of a member."""
    size, found = store.map.value_size, dict[int, Slot]()
    for index in _candidates(store, slots):
        raw = slots[index * size : (index + 1) * size]
        slot = store.decode_slot(raw)
        if slot is not None:
            found[index] = slot
        elif any(raw[store.head_offset + 4 : store.head_offset + 5]) or _version(store, raw) & 1:
            yield f"{store.store.name}: slot {index} is half written"
    yield from _lonely(store, found)
    if counts is not None:
        yield from _miscounted(store, found.values(), counts)
    left = sum(count for event, count in events.items() if event not in _STAY)
    learned = events.get(StoreEvent.LEARNED, 0)
    if learned - left != len(found):
        yield f"{store.store.name}: {learned} entries were learned and {left} left, but {len(found)} are there"


def _candidates(store: StoreLayout, slots: bytes) -> Iterator[int]:
    """The slots that may be in use or half written: those of a table, or with an odd version."""
    size, head = store.map.value_size, store.head_offset
    heads = zip(slots[head::size], slots[head + 4 :: size], strict=True)
    return (index for index, (version, table) in enumerate(heads) if table or version & 1)


def _lonely(store: StoreLayout, found: Mapping[int, Slot]) -> Iterator[str]:
    for index, slot in found.items():
        if not slot.head.pair:
            continue
        other = found.get(slot.head.pair - 1)
        if other is None or other.head.pair != index + 1:
            yield f"{store.store.name}: slot {index} ({slot.table.table}) has lost its pair, slot {slot.head.pair - 1}"


def _miscounted(store: StoreLayout, found: Iterable[Slot], counts: Mapping[int, int]) -> Iterator[str]:
    over = {profile.id for profile in store.store.profiles if profile.is_over}
    true = Counter(slot.head.counted for slot in found if slot.head.counted and slot.head.profile not in over)
    for number in sorted({*true, *(number for number, count in counts.items() if count)}):
        if true[number] != counts.get(number, 0):
            entries = f"{true[number]} entries count for member {number}"
            yield f"{store.store.name}: {entries}, its count is {counts.get(number, 0)}"


def _version(store: StoreLayout, raw: bytes) -> int:
    return int.from_bytes(raw[store.head_offset : store.head_offset + 4], "little")
