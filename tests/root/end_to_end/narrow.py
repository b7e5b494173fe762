"""A client beyond a narrow link: the router of the underlay has to tell servers how much it takes."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager

NARROW = 1300
BEYOND = ("192.0.2.1/24", "2001:db8:beef::1/64"), ("192.0.2.2/24", "2001:db8:beef::2/64")
"""The router's addresses towards a client beyond it, and that client's."""
FLAGS = ("-4", "-6")
PATIENCE_S = 60


@contextmanager
def narrow_link(underlay_name: str) -> Generator[str]:
    """A client's namespace behind the router's, by a link that takes `NARROW` bytes to it; it believes in 1500."""
    name, underlay = f"{underlay_name}.beyond", ["ip", "-netns", underlay_name]
    beyond = ["ip", "-netns", name]
    enter = ["ip", "netns", "exec"]
    commands = [
        ["ip", "netns", "add", name],
        [*underlay, "link", "add", "narrow0", "mtu", str(NARROW), "type", "veth", "peer", "name", "wide0"],
        [*underlay, "link", "set", "wide0", "netns", name],
        [*beyond, "link", "set", "wide0", "mtu", "1500", "up"],
        [*underlay, "link", "set", "narrow0", "up"],
        [*enter, underlay_name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
        [*enter, underlay_name, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0"],
        [*enter, name, "ethtool", "-K", "wide0", "gro", "off"],
    ]
    for here, there, route in zip(*BEYOND, ("default", "default"), strict=True):
        router = here.partition("/")[0]
        commands += [
            [*underlay, "address", "add", here, "dev", "narrow0", "nodad"],
            [*beyond, "address", "add", there, "dev", "wide0", "nodad"],
            [*beyond, "route", "add", route, "via", router],
        ]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
        yield name
    finally:
        subprocess.run([*underlay, "link", "del", "narrow0"], check=False, timeout=PATIENCE_S)
        subprocess.run(["ip", "netns", "del", name], check=False, timeout=PATIENCE_S)
