"""What one client may take of a device, and what the device waits for. docs/device.md says what each is good for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

LARGEST = 1_000_000
"""Of any limit but these: gRPC keeps milliseconds and bytes in 31 bits."""
LARGEST_OF = {"message_mib": 1024}
MIB = 1 << 20


class LimitError(Exception):
    """A limit that cannot be; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All are whole numbers from 1. A *client* is `runtime.device.admission.client_of` an RPC."""

    connections: int = 128
    """Of one address, also such as have not finished TLS or HTTP/2."""
    handshake_s: int = 10
    """For TLS and HTTP/2 together."""
    idle_s: int = 600
    """A connection without an RPC is closed then."""
    keepalive_s: int = 10
    """A connection on which nothing came is asked whether it lives."""
    keepalive_timeout_s: int = 5
    """One that does not answer is closed."""
    calls: int = 64
    """RPCs of one client that are open, streams among them; also those of one connection."""
    reads: int = 8
    """Of those, `Read`s: each holds what it has still to tell."""
    requests: int = 16
    """Requests of one client that are received and worked on; its others wait."""
    receive_s: int = 30
    """For one request to be there."""
    message_mib: int = 16
    """Of one message to the device."""
    updates: int = 100_000
    """Of one `Write`."""
    error_bytes: int = 100
    """For what became of one update, on average over a batch; texts are left out beyond."""
    unread_s: int = 60
    """Who takes nothing of what waits for it loses its `Read` or its stream."""
    stream_rate: int = 5_000
    """Messages a second that are taken from one stream; more wait with the client."""

    @property
    def message_bytes(self) -> int:
        return self.message_mib * MIB

    def channel_options(self) -> tuple[tuple[str, int], ...]:
        """For gRPC's server."""
        return (
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.max_concurrent_streams", self.calls),
            ("grpc.server_handshake_timeout_ms", self.handshake_s * 1000),
            ("grpc.max_connection_idle_ms", self.idle_s * 1000),
            ("grpc.keepalive_time_ms", self.keepalive_s * 1000),
            ("grpc.keepalive_timeout_ms", self.keepalive_timeout_s * 1000),
            ("grpc.http2.ping_timeout_ms", self.keepalive_timeout_s * 1000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),  # for ever, as long as a client does nothing
            *_OPTIONS,
        )


_OPTIONS = (
    ("grpc.so_reuseport", 0),  # else two devices could share a port, and each get half of the clients
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # clients that ask more often are sent away
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: 16 MiB of gzip may be 16 GiB
)


def parse_limits(texts: Iterable[str]) -> Limits:
    """From `NAME=VALUE` each, such as `message-mib=64`. Raises `LimitError`."""
    known = {field.name.replace("_", "-"): field.name for field in fields(Limits)}
    given: dict[str, int] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or name not in known:
            raise LimitError(f"a limit is NAME=VALUE, with a name of {', '.join(known)}; not {text!r}")
        if known[name] in given:
            raise LimitError(f"limit {name} is given twice")
        largest = LARGEST_OF.get(known[name], LARGEST)
        if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= largest):
            raise LimitError(f"limit {name} is a whole number from 1 to {largest}, not {value!r}")
        given[known[name]] = int(value)
    return Limits(**given)
