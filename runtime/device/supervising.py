"""What the service manager that has started a device hears of it, in the words of sd_notify(3).

systemd and its like name a datagram socket in `NOTIFY_SOCKET`. A device that cannot be heard goes on: nothing here
raises, and nothing waits. Called by `runtime.device.server`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

LOG = logging.getLogger("turnout.device")
TELL_S = 0.5
"""Between two looks at how far the start is."""
PATIENCE_US = 60_000_000
"""What a start that goes on asks for, in microseconds from then on: one step may load a program and say nothing."""


class Supervisor:
    """`address` is a path, or `@name` in the abstract namespace; without one nobody hears."""

    def __init__(self, address: str | None) -> None:
        self._address = None
        if address and address[0] in "/@":
            self._address = f"\0{address[1:]}" if address[0] == "@" else address
        elif address:
            LOG.warning(
                "NOTIFY_SOCKET is %s, which is no unix socket: nobody is told when the device is ready", address
            )

    def ready(self, addresses: str) -> None:
        self._tell("READY=1", f"STATUS=serves {addresses}")

    def stopping(self) -> None:
        self._tell("STOPPING=1", "STATUS=ends")

    async def follow(self, doing: Callable[[], str]) -> None:
        """Tell how far a start is until cancelled; only one that goes on is given more time."""
        told = ""
        while True:
            words = doing()
            if words != told:
                self._tell(f"STATUS=starts: {words}", f"EXTEND_TIMEOUT_USEC={PATIENCE_US}")
                told = words
            await asyncio.sleep(TELL_S)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sending:
                sending.sendto(message.encode(), self._address)
        except OSError as problem:
            LOG.warning("the service manager does not hear (%s): %s", problem.strerror or problem, message)
