"""The port that a member of a group, or an action of a set, watches: messages to `Watch` and back, and what is refused.

Specification, sections "Action Profile Group Programming" and "One Shot Action Selector Programming". `watch_port` and
the deprecated `watch` are one choice of the message: at most one of them is there.
"""

from __future__ import annotations

from collections.abc import Callable

from finsy.proto import p4r

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import Watch
from runtime.device.bytestrings import to_bytes, to_int
from runtime.device.refusals import invalid, unimplemented
from runtime.device.translation import Ports

PORT_BITS = 32
"""As wide as P4Runtime's ports are."""
HIGHEST_WATCH = (1 << 31) - 1
"""Of the deprecated `watch`."""
Weighted = p4r.ActionProfileGroup.Member | p4r.ActionProfileAction


def decode_watch(given: Weighted, where: str, ports: Ports | None = None) -> Watch | None:
    """None for a member that watches nothing; `ports` where they are translated. Raises INVALID_ARGUMENT: no port."""
    match given.WhichOneof("watch_kind"):
        case "watch":
            number = given.watch  # pyright: ignore[reportDeprecated]
            if number < 0:
                raise invalid(f"{where}: watch {number}: a port is not negative")
            port = ports.decode_number(number, "watch", where) if number and ports is not None else number
            return Watch(port=port, is_number=True)
        case "watch_port":
            return Watch(port=_decode_port(given.watch_port, f"{where}, watch_port", ports))
        case None:
            return None


def _decode_port(value: bytes, where: str, ports: Ports | None) -> int:
    if value and ports is not None:
        return ports.decode(value, where)
    port = to_int(value, PORT_BITS, where) if value else 0
    if value and not port:
        raise invalid(f"{where}: 0 is no port; empty bytes say that none is watched")
    return port


def check_watch(watch: Watch | None, has_port: Callable[[int], bool], where: str) -> None:
    """Raises INVALID_ARGUMENT (there is no such port), UNIMPLEMENTED (a port that cannot be watched)."""
    if watch is None or not watch.port:
        return
    named = f"{where}: {'watch' if watch.is_number else 'watch_port'} {watch.port}"
    if watch.port == CPU_PORT:
        raise unimplemented(f"{named}: the controller's port has no link that could be watched")
    if not has_port(watch.port):
        raise invalid(f"{named}: this device has no such port")


def encode_watch(watch: Watch | None, into: Weighted, ports: Ports | None = None) -> None:
    """As it was written, a port in its shortest form; as bytes where it has got no such number since."""
    if watch is None:
        return
    number = watch.port
    if watch.is_number and number and ports is not None:
        number = ports.encode_number(number, HIGHEST_WATCH)
    if watch.is_number and number is not None:
        into.watch = number  # pyright: ignore[reportDeprecated]
    elif watch.port:
        into.watch_port = to_bytes(watch.port) if ports is None else ports.encode(watch.port)
    else:
        into.watch_port = b""
