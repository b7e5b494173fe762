"""Keeps an Envoy running behind an interface, and takes the interface down while nothing listens.

The device at the other end of the interface then sees a port that is down, and gives new connections to nobody, or
lets them pass, as their policies say. A proxy that ends is started again.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from compiler.policy.policyset import Address
from runtime.proxy.envoy import LISTEN_PORT, configuration
from runtime.proxy.steering import forget_ended_connections, set_link, steer, take_all

LOG = logging.getLogger("turnout.proxy")
LOOK_S: Final = 0.1
"""How often it is looked whether the proxy listens."""
AGAIN_S: Final = 0.5
"""From the end of a proxy to the start of the next."""
END_S: Final = 5.0
FLUSH_MS: Final = 500
"""How often Envoy writes its access log."""
LISTENS: Final = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """`folder` gets the configuration and, as NAME.access.log, the access log; `name` has no slash."""

    name: str
    interface: str
    addresses: tuple[Address, ...]
    gateways: tuple[Address, ...]
    http_ports: tuple[int, ...]
    folder: Path
    envoy: str

    @property
    def access_log(self) -> Path:
        return self.folder / f"{self.name}.access.log"


@dataclass(slots=True)
class Keeper:
    """One proxy. `run` returns when `stop` is set."""

    settings: ProxySettings
    stop: threading.Event = field(default_factory=threading.Event)
    _proxy: subprocess.Popen[bytes] | None = None
    _is_up: bool | None = None

    def run(self) -> None:
        """Raises as `runtime.bpf` and `runtime.proxy.steering` do, OSError when Envoy cannot be started."""
        settings = self.settings
        config = settings.folder / f"{settings.name}.envoy.json"
        config.write_text(json.dumps(self._configuration(), indent=1))
        take_all(settings.interface)
        forget_ended_connections()
        attachment = steer(settings.interface, settings.addresses, LISTEN_PORT)
        is_ready = False
        try:
            while not self.stop.is_set():
                self._keep_started(config)
                self._follow()
                if self._is_up and not is_ready:
                    is_ready = True
                    print("ready", flush=True)
                self.stop.wait(LOOK_S)
        finally:
            self._end()
            attachment.close()

    def _configuration(self) -> dict[str, object]:
        settings = self.settings
        return configuration(
            node=settings.name,
            addresses=settings.addresses,
            http_ports=settings.http_ports,
            access_log=str(settings.access_log),
        )

    def _keep_started(self, config: Path) -> None:
        if self._proxy is not None:
            code = self._proxy.poll()
            if code is None:
                return
            LOG.warning("the proxy has ended (%d), and is started again", code)
            self._follow()
            if self.stop.wait(AGAIN_S):
                return
        command = [self.settings.envoy, "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1"]
        command += ["--file-flush-interval-msec", str(FLUSH_MS)]
        self._proxy = subprocess.Popen([*command, "--log-level", "warning"], stdin=subprocess.DEVNULL)

    def _follow(self) -> None:
        """Let the interface be up exactly while the proxy listens."""
        is_running = self._proxy is not None and self._proxy.poll() is None
        is_up = is_running and is_listening(LISTEN_PORT, {address.version for address in self.settings.addresses})
        if is_up != self._is_up:
            set_link(self.settings.interface, self.settings.gateways, is_up=is_up)
            LOG.info("the proxy %s", "listens" if is_up else "does not listen")
            self._is_up = is_up

    def _end(self) -> None:
        if self._proxy is None or self._proxy.poll() is not None:
            return
        self._proxy.terminate()
        try:
            self._proxy.wait(END_S)
        except subprocess.TimeoutExpired:
            self._proxy.kill()
            self._proxy.wait()


def is_listening(port: int, versions: set[int]) -> bool:
    """Whether this namespace has a listener of each family at a port; a connection to find out would be logged."""
    tables = {4: "/proc/thread-self/net/tcp", 6: "/proc/thread-self/net/tcp6"}
    return all(_listens(Path(tables[version]).read_text().splitlines()[1:], port) for version in versions)


def _listens(rows: Sequence[str], port: int) -> bool:
    """Rows of proc(5), /proc/net/tcp: the second field ends with the port, the fourth is the state."""
    fields = (row.split() for row in rows)
    return any(row[1].endswith(f":{port:04X}") and row[3] == LISTENS for row in fields)


def keep(settings: ProxySettings) -> None:
    """Run a proxy until SIGTERM or SIGINT."""
    keeper = Keeper(settings)

    def end(_number: int, _frame: FrameType | None) -> None:
        keeper.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    keeper.run()
