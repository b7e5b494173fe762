"""Bringing learned entries over from a store of another layout, while packets of theirs pass (flow_before.h).

The program that has just been activated misses an entry here, looks there, and brings what it finds. Once no packet is
left in the program before it, nobody learns there any more; then the rest is brought by the device, slot by slot. After
that nothing needs to look there, and a program without that code takes over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from compiler.ir.nodes import Pipeline
from compiler.printers.store_programs import bring_context, read_bring, store_programs
from runtime.bpf.errors import BpfError
from runtime.bpf.maps import Map
from runtime.bpf.object import LoadSettings, Object
from runtime.bpf.testrun import run_syscall
from runtime.device.failpoints import Point, reached
from runtime.device.kernel.translation import Translation
from runtime.device.refusals import RefusedError

LOG = logging.getLogger("turnout.device")
FAST_PATH = "uses_fast_path"


def reading(settings: LoadSettings, translations: Sequence[Translation], before: Mapping[str, Map]) -> LoadSettings:
    """For a program that looks into the maps `before`. The fast path, which cannot, is switched off."""
    if not translations:
        return settings
    constants = {name: 0 if name == FAST_PATH else value for name, value in settings.constants.items()}
    for one in translations:
        constants |= one.constants
    reuse = {**settings.reuse, **{name: held.fd for name, held in before.items()}}
    return replace(settings, constants=constants, reuse=reuse, any_size=frozenset(before))


def sharable(pipeline: Pipeline, loaded: Object) -> dict[str, int]:
    """As `Object.sharable`, without the maps that are looked into."""
    others = {store_programs(store.name).before.map for store in pipeline.stores}
    return {name: fd for name, fd in loaded.sharable.items() if name not in others}


def maps_before(translations: Sequence[Translation]) -> Mapping[str, str]:
    """Names in the C of the maps that are looked into, by the names of their stores."""
    return {one.store: store_programs(one.store).before.map for one in translations}


class Bringing:
    """All stores of one program. `wait_for_packets` returns when no packet is in a program that was there before."""

    def __init__(
        self, loaded: Object, translations: Sequence[Translation], wait_for_packets: Callable[[], None]
    ) -> None:
        self._loaded, self._translations, self._wait_for_packets = loaded, translations, wait_for_packets
        self._is_over = False

    def go_on(self) -> bool:
        """Once packets pass the new program, until it returns that all is brought.

        What fails is no reason to refuse a pipeline that packets pass: it is said, and tried again with the next call.
        """
        if not self._is_over:
            try:
                self.run()
            except (BpfError, RefusedError) as problem:
                LOG.warning(
                    "learned entries are not all in their new layout yet, packets find them in the earlier one; it is "
                    "tried again: %s",
                    problem,
                )
                return False
            self._is_over = True
        return True

    def run(self) -> None:
        """Behind the activation of the program; what is there already stays. Raises `BpfError`, `RefusedError`."""
        reached(Point.READING)
        self._wait_for_packets()
        for one in self._translations:
            left = self._bring(one)
            LOG.info("store %s: learned entries go on in their new layout", one.store)
            if left:
                LOG.warning("store %s: %d learned entries have no place in the new layout and end", one.store, left)

    def _bring(self, one: Translation) -> int:
        program = self._loaded.program(store_programs(one.store).bring_all)
        first = left = 0
        while first < one.slots:
            first, more = read_bring(run_syscall(program.fd, bring_context(first)).context)
            left += more
            reached(Point.BRINGING)
        return left

    def let_go(self) -> None:
        """No program looks there any more: what is loaded for that, and the old slots, are not needed."""
        for one in self._translations:
            names = store_programs(one.store)
            self._loaded.program(names.bring_all).close()
            self._loaded.map(names.before.map).close()
