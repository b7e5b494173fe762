"""Ranges of ports of a DpuService: `port` to `endPort`, each of which is served by itself, at the same backends.

A port of the range is sent to the backends' port that is as many further than `targetPort`. Ranges are nothing to the
tables: each port has its entry and its group, so a range may not be as long as one likes.
"""

from __future__ import annotations

from typing import Final

from compiler.diagnostic import Report
from compiler.policy import codes, kinds
from compiler.policy.located import Located

MOST: Final = 1024
_LAST: Final = 65_535


def checked_lengths(located: Located[kinds.DpuService], report: Report) -> list[int]:
    """How many ports each item of spec.ports means; 1 for a range that cannot be."""
    return [_length(located, index, report) for index in range(len(located.model.spec.ports))]


def _length(located: Located[kinds.DpuService], index: int, report: Report) -> int:
    spec, path = located.model.spec.ports[index], ("spec", "ports", index, "endPort")
    if spec.end_port is None:
        return 1
    length, span = spec.end_port - spec.port + 1, located.at(*path)
    if length < 1:
        message = f"endPort {spec.end_port} is before port {spec.port}"
        report.add(codes.INVALID_VALUE, span, message, expected=f"{spec.port} to {_LAST}")
    elif length > MOST:
        message = f"ports {spec.port} to {spec.end_port} are {length} ports, each of which takes an entry"
        report.add(codes.INVALID_VALUE, span, message, expected=f"at most {MOST} ports")
    elif spec.node_port is not None or located.model.spec.type == "NodePort":
        message = "a range of ports has no node port: it would be that of each of them"
        key = "endPort" if spec.node_port is None else "nodePort"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "ports", index, key), message)
    elif (first := _beyond(located, index, length)) is not None:
        message = f"{length} ports from {first} on are more than there are"
        report.add(codes.INVALID_VALUE, span, message, expected=f"at most {_LAST - first + 1} ports")
    else:
        return length
    return 1


def _beyond(located: Located[kinds.DpuService], index: int, length: int) -> int | None:
    """The first port of some backend from which on there are not as many; None if there always are."""
    spec = located.model.spec
    firsts = (spec.ports[index].target_port or spec.ports[index].port, *(b.port for b in spec.backends if b.port))
    return next((first for first in firsts if first + length - 1 > _LAST), None)
