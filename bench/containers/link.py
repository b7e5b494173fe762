"""A node, and the machine that has registry and volumes: two network namespaces, and one shaped link between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

from runtime.lab.netns import ip_batch

NODE, SERVER = "turnout-bench-node", "turnout-bench-server"
NODE_ADDRESS, SERVER_ADDRESS = "10.231.7.2", "10.231.7.1"
_ENDS = ((NODE, NODE_ADDRESS), (SERVER, SERVER_ADDRESS))
_DEVICE = "shaped"


class Link:
    def set_rate(self, mbit: int) -> None:
        """Either way, of all that is sent."""
        for namespace, _ in _ENDS:
            limit = ("htb", "rate", f"{mbit}mbit", "quantum", "60000")
            _run("tc", "-n", namespace, "class", "replace", "dev", _DEVICE, "parent", "1:", "classid", "1:1", *limit)

    def megabytes(self) -> float:
        """What has passed so far, both ways together."""
        (found,) = json.loads(_run("ip", "-n", NODE, "-json", "-stats", "link", "show", "dev", _DEVICE))
        return sum(found["stats64"][way]["bytes"] for way in ("rx", "tx")) / 1e6


@contextmanager
def link() -> Generator[Link]:
    """The namespaces and what runs in them are gone afterwards."""
    try:
        ip_batch([f"netns add {name}" for name, _ in _ENDS])
        ip_batch([f"link add name {_DEVICE} netns {NODE} type veth peer name {_DEVICE} netns {SERVER}"])
        for namespace, address in _ENDS:
            ip_batch(
                [f"addr add {address}/30 dev {_DEVICE}", "link set lo up", f"link set {_DEVICE} up"],
                namespace=namespace,
            )
            shape = ("dev", _DEVICE, "root", "handle", "1:", "htb", "default", "1")
            _run("tc", "-n", namespace, "qdisc", "add", *shape)
        yield Link()
    finally:
        ip_batch([f"netns del {name}" for name, _ in _ENDS], force=True)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
