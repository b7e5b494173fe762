"""Programs of one pipeline over the same maps: with code for all tables, or for those in use.

The printed C has a constant `uses_<table>` for each table; where it is 0 the verifier takes the code out. The whole
program is loaded first and always at hand: as soon as an entry goes into a table that the running program has no code
for, the whole one takes over, in one step and before the entry is there. Once entries have settled, the program that
fits them is loaded beside it, in a thread, and takes over. So packets never wait, nor does whoever calls, and no
compiler is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from compiler.ir.nodes import Pipeline
from compiler.printers.features import features_of_tables
from runtime.bpf.errors import BpfError
from runtime.bpf.object import Object

_NOTHING: frozenset[str] = frozenset()
LOG = logging.getLogger("turnout.device")

Flags = Mapping[str, int]
LoadVariant = Callable[[Flags], Object]
"""Loads the program with these constants, on the maps of the whole one. Raises `BpfError`."""


class Variants:
    """Which program of a pipeline packets pass."""

    def __init__(
        self,
        pipeline: Pipeline,
        whole: Object,
        load: LoadVariant,
        activate: Callable[[Object], None],
    ) -> None:
        """`activate` lets packets pass what was loaded, which stays open until something else has taken over.

        Raises `BpfError`.
        """
        self._pipeline, self._whole, self._load, self._activate = pipeline, whole, load, activate
        self._everything: Flags = dict.fromkeys(features_of_tables(pipeline, _NOTHING), 1)
        self._running: Flags = self._everything
        self._wanted: Flags = self._everything
        self._fitted: Object | None = None
        self._renewed: Object | None = None
        """In place of the whole program that was given."""
        self._is_active = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="variants")
        self._loading: tuple[Flags, Future[Object]] | None = None
        self._renewing: Future[Object] | None = None
        self._is_stale = False
        """An entry has gone into a table for which the program that is being loaded has no code."""

    @property
    def switched_off(self) -> tuple[str, ...]:
        """The constants that are 0 in the running program."""
        return tuple(name for name, is_used in self._running.items() if not is_used)

    def activate(self) -> None:
        """Let packets pass the whole program. Raises `BpfError`."""
        self._activate(self._whole)
        self._is_active = True
        self._leave_fitted()

    def need(self, held_tables: frozenset[str]) -> None:
        """These tables are about to hold entries. Raises `BpfError`."""
        flags = features_of_tables(self._pipeline, held_tables)
        if self._loading is not None and _lacks(self._loading[0], flags):
            self._is_stale = True
        if _lacks(self._running, flags):
            self.activate()

    def settle(self, used_tables: Iterable[str]) -> None:
        """Called now and then with the tables that hold entries; has a program loaded once they are the same twice.

        A later call lets it take over.
        """
        before, self._wanted = self._wanted, features_of_tables(self._pipeline, frozenset(used_tables))
        if self._loading is not None:
            self._change_over(*self._loading)
        elif self._is_active and self._wanted != self._running and self._wanted == before:
            self._is_stale = False
            self._loading = self._wanted, self._thread.submit(self._load, self._wanted)

    def wait(self) -> None:
        """Until what is being loaded is loaded, if anything is."""
        if self._loading is not None:
            wait([self._loading[1]])

    def _change_over(self, flags: Flags, loading: Future[Object]) -> None:
        """To what is loaded, if that still is what is wanted."""
        if not loading.done():
            return
        self._loading = None
        try:
            fitted = loading.result()
        except BpfError as problem:
            LOG.warning("the program without unused tables does not load; the whole one goes on: %s", problem)
            self._wanted = self._running
            return
        if self._is_stale or self._wanted != flags:
            fitted.close()
            return
        try:
            self._activate(fitted)
        except BpfError as problem:
            LOG.warning("the program without unused tables cannot take over; the whole one goes on: %s", problem)
            fitted.close()
            return
        self._leave_fitted()
        self._fitted, self._running = fitted, flags
        LOG.info("switched off: %s", ", ".join(self.switched_off) or "nothing")

    def renew(self) -> bool:
        """The whole program is loaded anew, as all others are by now, and takes over if it runs.

        Called now and then, until it returns that this is done. Raises `BpfError`.
        """
        if self._renewing is None:
            self._renewing = self._thread.submit(self._load, self._everything)
        if not self._renewing.done():
            return False
        renewing, self._renewing = self._renewing, None
        before, self._renewed = self._renewed, renewing.result()
        self._whole = self._renewed
        if self._is_active and self._fitted is None:
            self.activate()
        if before is not None:
            before.close()
        return True

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        for unused in (self._renewing, self._loading[1] if self._loading is not None else None):
            if unused is not None and unused.exception() is None:
                unused.result().close()
        self._renewing = self._loading = None
        self._leave_fitted()
        if self._renewed is not None:
            self._renewed.close()
            self._renewed = None

    def _leave_fitted(self) -> None:
        """Packets that are still in it keep it alive; the descriptors are not needed."""
        if self._fitted is not None:
            self._fitted.close()
        self._fitted, self._running = None, self._everything


def _lacks(program: Flags, wanted: Flags) -> bool:
    """Whether it has no code for something that is used."""
    return any(is_used and not program[name] for name, is_used in wanted.items())
