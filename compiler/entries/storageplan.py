"""What hosts are told of storage: for each volume the addresses that it is reached by.

By TCP these are the portals', and a device decides which target is behind one. RDMA cannot be rewritten on the way, so
a volume gets one of the targets that are up, by weight, and keeps it as long as those stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compiler.ir.hashing import mix64
from compiler.policy.policyset import Address, Backend, PolicySet, StoragePolicy, Transport

_SEED = 0x766F6C756D650000
_WORD_BITS = 64


def storage_plan(policies: PolicySet) -> list[dict[str, Any]]:
    """A record for each volume of each policy, as JSON takes it."""
    return [record for policy in policies.storage for record in _volumes(policy)]


def _volumes(policy: StoragePolicy) -> Iterator[dict[str, Any]]:
    for volume in policy.volumes:
        places = policy.portals if policy.transport is Transport.TCP else tuple(_targets(policy, volume))
        yield {
            "policy": policy.key,
            "network": policy.network.name,
            "volume": volume,
            "transport": str(policy.transport),
            "addresses": [_endpoint(*place) for place in places],
        }


def _targets(policy: StoragePolicy, volume: str) -> Iterator[tuple[Address, int]]:
    for version in (4, 6):
        found = _chosen(policy.targets_for_new(version), f"{policy.key}/{volume}")
        if found is not None:
            yield found.address, found.port


def _chosen(targets: tuple[Backend, ...], name: str) -> Backend | None:
    """By rendezvous: of a place for each unit of weight the one with the largest hash, so that few volumes move."""
    draws = {
        order: max(_draw(name, target, unit) for unit in range(target.weight)) for order, target in enumerate(targets)
    }
    return targets[max(draws, key=draws.__getitem__)] if draws else None


def _draw(name: str, target: Backend, unit: int) -> int:
    owner = target.workload.key if target.workload is not None else str(target.address)
    text = f"{name}|{owner}|{unit}".encode()
    words = [int.from_bytes(text[at : at + 8], "big") for at in range(0, len(text), 8)]
    return mix64(_SEED, [(word, _WORD_BITS) for word in words])


def _endpoint(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
