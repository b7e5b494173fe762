"""Nothing leaks: pairs are whole wherever they are kept, drops are counted one by one, every slot comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from compiler.ir.interpreter import Tally
from runtime.verification.comparison import Comparison
from runtime.verification.findings import Violation
from runtime.verification.kernel_level import KernelLevel

LONGEST_LIFE_MS = 7_440_000
"""The longest timeout of the pipeline."""


def check_pairs(comparison: Comparison) -> None:
    """Each entry has another half, which has it. Raises `Violation`."""
    for store in comparison.pipeline.stores:
        table = next(t.name for t in comparison.pipeline.tables if t.store == store.name)
        slots = comparison.reference.model.store_of(table).slots()
        _hold(comparison, "interpreter", {slot.index: slot.pair for slot in slots})
        for level in comparison.levels:
            if isinstance(level, KernelLevel):
                _hold(comparison, level.name, _pairs(level, store.name))


def _pairs(level: KernelLevel, store: str) -> dict[int, int | None]:
    """The index of each slot in use, and of its other half."""
    kept = next(layout for layout in level.layout.stores if layout.store.name == store)
    size, found = kept.map.value_size, dict[int, int | None]()
    with level.map(store).memory() as memory:
        for index in range(kept.map.max_entries):
            slot = kept.decode_slot(memory[index * size : (index + 1) * size])
            if slot is not None:
                found[index] = slot.head.pair - 1 if slot.head.pair else None
    return found


def _hold(comparison: Comparison, level: str, pairs: Mapping[int, int | None]) -> None:
    for index, other in pairs.items():
        if other is None or pairs.get(other) != index:
            said = f"{level}: slot {index} has its other half in {other}, which has {pairs.get(other or 0)}"
            raise Violation(said, comparison.vector("half a pair"))


def check_drops(comparison: Comparison, dropped: Mapping[str, Tally]) -> None:
    """The counter of drops says what was dropped, reason by reason. Raises `Violation`."""
    pipeline = comparison.pipeline
    for reason in pipeline.drop_reasons:
        (counted,) = comparison.reference.indexed_counters(pipeline.drop_counter, range(reason.id, reason.id + 1))
        wanted = dropped.get(reason.name, Tally(0, 0))
        if counted != wanted:
            said = f"{wanted} were dropped as {reason.name}, {counted} were counted"
            raise Violation(said, comparison.vector("uncounted drop"))


def check_all_slots_come_back(comparison: Comparison) -> None:
    """After the longest timeout a sweep leaves nothing. Raises `Difference`, `Violation`."""
    comparison.wait(LONGEST_LIFE_MS)
    comparison.sweep()
    comparison.compare_state()
    left = Counter(
        table.name
        for table in comparison.pipeline.tables
        if table.store is not None
        for _ in comparison.reference.learned(table.name)
    )
    if left:
        raise Violation(f"entries are left when all have expired: {dict(left)}", comparison.vector("lost slots"))
