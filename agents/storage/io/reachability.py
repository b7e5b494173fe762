"""Whether a volume on another node is to be had: asked before containers are to depend on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Final

from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.volumefiles import hexadecimal
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume, Server

_GOOD_S: Final = 10.0
_BAD_S: Final = 30.0
"""How long an answer counts: a pull asks for each of its layers, and a silent server takes seconds each time."""
_SLOW_S: Final = 0.5
"""One that says no at once may be asked again at once."""


def check_served(digest: str, remote: RemoteVolume, tls: NbdTls | None) -> None:
    """Raises ImageError where the server does not have it now, or one of another size."""
    with NbdClient(remote.server, hexadecimal(digest), tls=tls) as client:
        if client.size != remote.size_bytes:
            raise ImageError(
                f"{remote.server}: volume {digest} has {client.size} bytes, {remote.size_bytes} when it was adopted"
            )


class Reachability:
    """From several threads; one that asks holds up the others, who want to know the same."""

    def __init__(self, tls: NbdTls | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._tls, self._clock, self._lock = tls, clock, Lock()
        self._good, self._bad = dict[str, tuple[RemoteVolume, float]](), dict[Server, tuple[float, ImageError]]()

    def check(self, volumes: Iterable[tuple[str, RemoteVolume]], within_s: float = _GOOD_S) -> None:
        """Raises ImageError for the first that is not to be had. A good answer counts that is not older than
        `within_s`."""
        with self._lock:
            for digest, remote in volumes:
                self._check(digest, remote, within_s)

    def _check(self, digest: str, remote: RemoteVolume, within_s: float) -> None:
        now_s = self._clock()
        bad_until_s, why = self._bad.get(remote.server, (now_s, None))
        if why is not None and now_s < bad_until_s:
            raise why
        if self._is_good(digest, remote, now_s - within_s):
            return
        try:
            check_served(digest, remote, self._tls)
        except ImageError as error:
            if self._clock() - now_s >= _SLOW_S:
                self._bad[remote.server] = self._clock() + _BAD_S, error
            raise
        self._bad.pop(remote.server, None)
        self._good[digest] = remote, self._clock()

    def _is_good(self, digest: str, remote: RemoteVolume, since_s: float) -> bool:
        there, at_s = self._good.get(digest, (None, since_s))
        return there == remote and at_s > since_s
