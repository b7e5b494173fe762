"""A test-run level whose program is changed while its maps live on, by the device's own rules.

`runtime.device.kernel.variants` decides, as on a real device: the whole program before an entry goes into a table that
the running one has no code for, the one that fits once entries have settled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from compiler.ir.entries import EntryKey, TableEntry
from compiler.ir.nodes import Pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, Object, load
from runtime.device.kernel.variants import Variants
from runtime.verification.kernel_level import compiled
from runtime.verification.levels import HASH_SEED
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import Change


class RestartingLevel(TestRunLevel):
    """Begins with the whole program."""

    __test__ = False

    def __init__(self, pipeline: Pipeline, hook: Hook, *, hash_seed: int = HASH_SEED) -> None:
        super().__init__(pipeline, hook, hash_seed=hash_seed)
        self._held: dict[str, set[EntryKey]] = defaultdict(set)
        self._again: list[Object] = []
        self._variants = self._new_variants(self._object)

    def close(self) -> None:
        self._variants.close()
        for loaded in self._again:
            loaded.close()
        super().close()

    @property
    def switched_off(self) -> tuple[str, ...]:
        """The constants that are 0 in the running program."""
        return self._variants.switched_off

    def clear(self) -> None:
        super().clear()
        self._held.clear()
        self._variants.activate()

    def insert(self, *changes: Change) -> None:
        for change in changes:
            if isinstance(change, TableEntry):
                if not self._held[change.table]:
                    self._variants.need(self._held_tables() | {change.table})
                self._held[change.table].add(change.key)
            super().insert(change)

    def delete(self, change: Change) -> None:
        super().delete(change)
        if isinstance(change, TableEntry):
            self._held[change.table].discard(change.key)

    def reload(self, *, is_fitting: bool) -> None:
        if not is_fitting:
            self._load_anew()
            return
        # As a device does when nothing has been written for a second.
        for _ in range(3):
            self._variants.settle(self._held_tables() | self._learned_tables())
            self._variants.wait()

    def _load_anew(self) -> None:
        self._variants.close()
        while self._again:
            self._again.pop().close()
        self._again.append(self._loaded_over_maps({}))
        self._variants = self._new_variants(self._again[0])

    def _held_tables(self) -> frozenset[str]:
        return frozenset(table for table, keys in self._held.items() if keys)

    def _learned_tables(self) -> frozenset[str]:
        return frozenset(t.name for t in self.pipeline.tables if t.store is not None and self.learned(t.name))

    def _new_variants(self, whole: Object) -> Variants:
        made = Variants(self.pipeline, whole, self._loaded_over_maps, self._activate)
        made.activate()
        return made

    def _activate(self, loaded: Object) -> None:
        self.program = self.hook.first(loaded)

    def _loaded_over_maps(self, flags: Mapping[str, int]) -> Object:
        source = compiled(self.pipeline, self.hook)
        others = frozenset(self._object.programs) - self.hook.programs | self.hook.not_taken(source)
        constants = {**self.constants, **flags}
        settings = LoadSettings(name="verification", constants=constants, reuse=self._object.sharable, skip=others)
        return load(source, settings)
