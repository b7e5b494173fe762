"""Entries of workloads that services have as backends: connections to them are known, also direct ones.

So what a client opens to such a service does not get the source port of a connection to the workload itself
(`compiler.pipeline.ports`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import TableEntry
from compiler.pipeline import ports
from compiler.policy.policyset import Address, Service, Workload


def served_entries(words: Vocabulary, services: Iterable[Service]) -> Iterator[TableEntry]:
    """Of services that have a network, so that their backends see their clients' own addresses."""
    call = words.call(ports.ACTION.name)
    for (network, address), workload in _workloads(services).items():
        yield words.entry(
            f"{ports.TABLE}_ipv{address.version}",
            call,
            workload.span,
            f"Workload {workload.key}",
            prefix_len=address.max_prefixlen,
            network=network,
            address=address,
        )


def _workloads(services: Iterable[Service]) -> dict[tuple[int, Address], Workload]:
    """By the number of the network and the address that services have them as backends at."""
    return {
        (service.network.id, backend.address): backend.workload
        for service in services
        for port in service.ports
        for backend in (*port.backends, *(port.outside or ()))
        if backend.workload is not None
    }
