"""The ports of a device, which of them are down, and who must hear when that changes. Both targets have one.

An instance asks `down` whenever it makes the ring of a group, and is told when a port goes down or comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

Follow = Callable[[frozenset[int]], None]
"""Called with the ports that have changed, on the event loop's thread."""


class PortStates:
    """`ports` are those that there are, whether or not they are up; all are up at first, but for `down`."""

    def __init__(self, ports: Container[int], down: Iterable[int] = ()) -> None:
        self.ports = ports
        self.down = set(down)
        self._followers: list[Follow] = []

    def is_down(self, port: int) -> bool:
        """Whether nothing can leave by it: it is down, or there is none."""
        return port in self.down or port not in self.ports

    def follow(self, follower: Follow) -> None:
        """Have `follower` told from now on; may be called from any thread."""
        self._followers.append(follower)

    def leave(self, follower: Follow) -> None:
        """Nothing more is told; twice is fine."""
        if follower in self._followers:
            self._followers.remove(follower)

    def set_down(self, down: Iterable[int]) -> None:
        """These are down now, and no others."""
        now = set(down)
        changed = frozenset(self.down ^ now)
        if not changed:
            return
        self.down.clear()
        self.down |= now
        for follower in tuple(self._followers):
            follower(changed)

    def set(self, port: int, *, is_up: bool) -> None:
        """One port alone."""
        self.set_down(self.down - {port} if is_up else self.down | {port})
