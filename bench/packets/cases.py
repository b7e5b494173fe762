"""Which packets are measured: the kinds, and for each its frames, where they come in and what has to become of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from bench.packets.addresses import (
    CLIENT_PORT,
    LOCAL_SERVICE,
    SERVICE_PORT,
    SINGLE_SERVICE,
    TARGET_PORT,
    UPLINK,
    Version,
    client,
    gateway,
    remote_backend,
    service_address,
    unknown,
)
from bench.packets.frames import (
    SYN,
    Ends,
    arp_request,
    from_clients,
    neighbor_solicitation,
    tcp_frames,
    tunnelled,
    udp_frames,
)
from bench.packets.wrapper import Frames
from runtime.bpf.chains import Hook

MILLION = 1_000_000
_SLOTS_A_FLOW = 8
"""Two entries a flow, and a quarter of the slots taken: at a half, some sets are full already."""
_LEAST_SLOTS = 1 << 17
"""As many as a device has."""
NEW_FLOWS = 65_536


class Verdict(Enum):
    """What has to become of a packet: what the programs of tc and of XDP return for it."""

    FORWARD = (7, 4)
    REPLY = (7, 3)
    TO_KERNEL = (-1, 2)

    def of(self, hook: Hook) -> int:
        return self.value[hook is Hook.XDP]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way through the pipeline.

    `frames` makes the packets of so many flows to the services. `opening` makes those that open the flows, from the
    clients' port, where they are others. `change` is +1 where a tunnel's headers come on, -1 where they go.
    """

    name: str
    frames: Callable[[Version, int, int], Frames]
    port: int = CLIENT_PORT
    opening: Callable[[Version, int, int], Frames] | None = None
    verdict: Verdict = Verdict.FORWARD
    change: int = 0
    is_new: bool = False
    """Each packet opens a flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    kind: Kind
    hook: Hook
    version: Version
    flows: int
    services: int
    is_fast: bool = True
    """With the fast path for known connections, or without."""

    @property
    def slots(self) -> int:
        """A power of two."""
        return max(_LEAST_SLOTS, 1 << (self.flows * _SLOTS_A_FLOW - 1).bit_length())


def _to_services(version: Version, flows: int, services: int) -> Ends:
    addresses = [service_address(version, service) for service in range(1, services + 1)]
    return from_clients(version, np.arange(flows), addresses, SERVICE_PORT)


def _to(version: Version, flows: int, address: int, port: int = SERVICE_PORT) -> Ends:
    return from_clients(version, np.arange(flows), [address], port)


def _known(version: Version, flows: int, services: int) -> Frames:
    return tcp_frames(version, _to_services(version, flows, services))


def _new(version: Version, flows: int, services: int) -> Frames:
    return tcp_frames(version, _to_services(version, flows, services), flags=SYN)


def _local(version: Version, flows: int, _: int) -> Frames:
    return tcp_frames(version, _to(version, flows, service_address(version, LOCAL_SERVICE)))


def _new_local(version: Version, flows: int, _: int) -> Frames:
    return tcp_frames(version, _to(version, flows, service_address(version, LOCAL_SERVICE)), flags=SYN)


def _single(version: Version, flows: int, _: int) -> Frames:
    return tcp_frames(version, _to(version, flows, service_address(version, SINGLE_SERVICE)))


def _reply(version: Version, flows: int, _: int) -> Frames:
    called = _to(version, flows, remote_backend(version, 0), TARGET_PORT)
    return tunnelled(tcp_frames(version, called.swapped))


def _direct(version: Version, flows: int, _: int) -> Frames:
    return tcp_frames(version, _to(version, flows, remote_backend(version, 1)))


def _elsewhere(version: Version, flows: int, _: int) -> Frames:
    return udp_frames(version, _to(version, flows, unknown(version)))


def _underlay(version: Version, flows: int, _: int) -> Frames:
    return tcp_frames(version, _to(version, flows, unknown(version)))


def _question(version: Version, _: int, __: int) -> Frames:
    ask = arp_request if version == 4 else neighbor_solicitation
    return ask(client(version, 1), gateway(version))


KNOWN = Kind(name="known flow, NAT + VXLAN", frames=_known, change=1)
LOCAL = Kind(name="known flow, NAT, backend here", frames=_local)
REPLY = Kind(name="reply out of VXLAN, NAT back", frames=_reply, port=UPLINK, opening=_single, change=-1)
NEW = Kind(name="new flow each packet", frames=_new, change=1, is_new=True)
NEW_LOCAL = Kind(name="new flow each packet, backend here", frames=_new_local, is_new=True)
DIRECT = Kind(name="no service, route + VXLAN", frames=_direct, change=1)
UNDERLAY = Kind(name="untouched, on the uplink", frames=_underlay, port=UPLINK, verdict=Verdict.TO_KERNEL)
ELSEWHERE = Kind(name="untouched, no such route", frames=_elsewhere, verdict=Verdict.TO_KERNEL)
ANSWER = Kind(name="ARP or ND answered", frames=_question, verdict=Verdict.REPLY)
BOTH_HOOKS = (LOCAL, REPLY, UNDERLAY, ELSEWHERE)
"""Measured at 4,096 flows. The kernel encapsulates a tc packet once, so in repeated runs of one packet only XDP can."""
VERSIONS: tuple[Version, Version] = (4, 6)


def cases(*, is_quick: bool, is_roomy: bool) -> Iterator[Case]:
    """What is measured. `is_quick` takes the most telling ones; a million flows only where memory `is_roomy`."""
    sizes = (1, 4096, 65_536, *((MILLION,) if is_roomy and not is_quick else ()))
    for version in VERSIONS[:1] if is_quick else VERSIONS:
        for case in _of_version(version, sizes):
            yield case
            yield replace(case, is_fast=False)
    for services in () if is_quick else (500, 10_000):
        for kind in (KNOWN, NEW):
            yield Case(kind=kind, hook=Hook.XDP, version=4, flows=NEW_FLOWS, services=services)


def _of_version(version: Version, sizes: Sequence[int]) -> Iterator[Case]:
    for flows in sizes:
        yield Case(kind=KNOWN, hook=Hook.XDP, version=version, flows=flows, services=1)
    for hook in Hook:
        for kind in BOTH_HOOKS:
            yield Case(kind=kind, hook=hook, version=version, flows=4096, services=1)
        yield Case(kind=NEW_LOCAL, hook=hook, version=version, flows=NEW_FLOWS, services=1)
        yield Case(kind=ANSWER, hook=hook, version=version, flows=1, services=1)
    yield Case(kind=NEW, hook=Hook.XDP, version=version, flows=NEW_FLOWS, services=1)
    yield Case(kind=DIRECT, hook=Hook.XDP, version=version, flows=4096, services=1)
