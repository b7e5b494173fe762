"""Nothing leaks: drops are counted one by one, and every slot comes back. That pairs are whole, `wholeness` sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from compiler.ir.interpreter import Tally
from runtime.verification.comparison import Comparison
from runtime.verification.findings import Violation


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
    lives_ms = (profile.timeout_ms for store in comparison.pipeline.stores for profile in store.profiles)
    comparison.wait(max(lives_ms))
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
