"""What follows ports: when one goes down or comes back, groups with members that watch it get new rings, and multicast
groups and clone sessions copy to other ports of replicas with backups.

It is done as a Write would do it, new slices first and then one step for packets, but no client asks for it. A chunk of
groups is a step of its own, so that the first ones need not wait for the last.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

from runtime.device.portstates import PortStates
from runtime.device.refusals import RefusedError
from runtime.device.undo import UndoLog

LOG = logging.getLogger("turnout.device")
AT_ONCE = 32
"""Groups in one step."""


class Follower(Protocol):
    """Something that packets read and that ports decide."""

    def following(self, ports: Collection[int]) -> list[Callable[[], None]]:
        """What is to be done now that these ports have changed, step by step. A step may raise `RefusedError`."""
        ...


class Failover:
    """Of one instance. `commit` is its own: packets see all that was changed."""

    def __init__(
        self, followers: Iterable[Follower], states: PortStates, undo: UndoLog, commit: Callable[[], None]
    ) -> None:
        self._followers = tuple(followers)
        self._states = states
        self._undo = undo
        self._commit = commit
        self._changed: deque[int] = deque()
        """Ports that groups are still to follow."""
        self._lock = Lock()
        self._is_held = False
        states.follow(self._follow)

    @contextmanager
    def held(self) -> Generator[None]:
        """Within the block, which may be in a thread, ports that change are left for later; commits go on."""
        with self._lock:
            self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def close(self) -> None:
        self._states.leave(self._follow)

    def commit(self) -> None:
        """What a Write commits, perhaps in a thread; ports that change meanwhile are followed behind it."""
        self.between_batches(self._commit)

    def between_batches(self, step: Callable[[], None]) -> None:
        """Do what must not meet a commit, or be met by one."""
        with self._lock:
            step()
        self.catch_up()

    def catch_up(self) -> None:
        """Do what could not be done at once: a batch was under way, or the kernel refused. Called between batches."""
        if not self._changed or self._undo.mark or not self._lock.acquire(blocking=False):
            return
        try:
            if self._is_held:
                return
            self._rebuild_all(frozenset(self._changed.popleft() for _ in range(len(self._changed))))
        finally:
            self._lock.release()

    def _rebuild_all(self, changed: frozenset[int]) -> None:
        try:
            for follower in self._followers:
                steps = follower.following(changed)
                for first in range(0, len(steps), AT_ONCE):
                    self._do(steps[first : first + AT_ONCE])
        except RefusedError as refusal:
            self._undo.back_to(0)
            self._changed.extend(changed)
            LOG.error("groups cannot follow their ports yet: %s", refusal)  # noqa: TRY400  the refusal says it all

    def _follow(self, changed: frozenset[int]) -> None:
        self._changed.extend(changed)
        self.catch_up()

    def _do(self, steps: Iterable[Callable[[], None]]) -> None:
        for step in steps:
            step()
        self._commit()
