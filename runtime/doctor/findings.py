"""What the doctor looked at, in one form for kernel features, tools and rights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    KERNEL = "kernel"
    TOOL = "tool"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`detail` is what was seen, `disables` what does not work without the thing, `remedy` what to do about it.

    Without a thing that is `needed` a node cannot run its policies; without another one it runs with less.
    """

    subject: Subject
    name: str
    present: bool
    needed: bool
    detail: str
    disables: str
    remedy: str

    @property
    def state(self) -> str:
        if self.present:
            return "ok"
        return "missing" if self.needed else "absent"


def is_fit(findings: tuple[Finding, ...]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.present or not finding.needed for finding in findings)
