"""Looking up what an object names, and saying so when it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from compiler.diagnostic import Code, Related, Report, did_you_mean
from compiler.policy import codes
from compiler.policy.kinds import ANNOTATION_PREFIX
from compiler.policy.located import Located, M
from compiler.policy.model import ClusterMeta, Kind, ObjectMeta
from compiler.policy.scalar import shortened
from compiler.span import Span

K = TypeVar("K", bound=Kind)
T = TypeVar("T")

DEFAULT_NAMESPACE: Final = "default"
_HINTS: Final = 50
"""Nearest names are looked for this often a kind: with thousands of wrong names the search would take minutes."""


def qualified(reference: str, namespace: str = DEFAULT_NAMESPACE) -> str:
    """The key "namespace/name" of a reference that may leave out the namespace."""
    return reference if "/" in reference else f"{namespace}/{reference}"


@dataclass(slots=True)
class Directory(Generic[T]):
    """The resolved objects of one kind by name (or "namespace/name").

    `refused` are names of objects that exist but have mistakes of their own.
    """

    kind: str
    found: Mapping[str, T]
    refused: frozenset[str] = frozenset()
    _hints_left: int = field(default=_HINTS)

    def find(self, name: str, span: Span, report: Report) -> T | None:
        """The object, or None with a diagnostic, or None in silence when the object itself was refused."""
        found = self.found.get(name)
        if found is None and name.rpartition("/")[2] not in self.refused:
            report.add(
                codes.UNKNOWN_REFERENCE, span, f"{self.kind} '{shortened(name)}' is not defined", hint=self._hint(name)
            )
        return found

    def _hint(self, name: str) -> str | None:
        if self._hints_left == 0:
            return None
        self._hints_left -= 1
        if not self.found:
            return f"no {self.kind} is defined in the given files"
        return did_you_mean(name, self.found)


def object_name(metadata: ClusterMeta) -> str:
    """ "namespace/name" of a namespaced object, the name of others."""
    return f"{metadata.namespace}/{metadata.name}" if isinstance(metadata, ObjectMeta) else metadata.name


def unique_objects(kind: str, located: Iterable[Located[K]], report: Report) -> dict[str, Located[K]]:
    """Objects by `object_name`; of two equal names the first one stays."""
    by_name: dict[str, Located[K]] = {}
    for item in located:
        name = item.known_name or object_name(item.model.metadata)
        first = by_name.setdefault(name, item)
        if first is not item:
            related = (Related(message="first defined here", span=first.span),)
            report.add(codes.DUPLICATE_OBJECT, item.span, f"{kind} '{name}' is defined twice", related=related)
    return by_name


@dataclass(slots=True)
class Claims:
    """Values that only one may hold, such as VNIs: remembers who was first and reports the others."""

    report: Report
    _holders: dict[object, tuple[str, Span]] = field(default_factory=lambda: {})

    def claim(self, value: object, holder: str, span: Span, code: Code, message: str) -> bool:
        """False, with a diagnostic, when another claim of `value` came first. `holder` is named at its place."""
        own = (holder, span)
        first = self._holders.setdefault(value, own)
        if first is own:
            return True
        related = (Related(message=f"first used here, by {first[0]}", span=first[1]),)
        self.report.add(code, span, message, related=related)
        return False

    def holder(self, value: object) -> tuple[str, Span] | None:
        return self._holders.get(value)


def check_annotations(
    located: Located[M], annotations: Mapping[str, str], known: tuple[str, ...], report: Report
) -> None:
    """Refuse annotations of turnout.dev that this kind does not have: they would do nothing."""
    for name in annotations:
        if name.startswith(ANNOTATION_PREFIX) and name not in known:
            span = located.key("metadata", "annotations", name)
            message = f"annotation '{shortened(name)}' means nothing here"
            expected = " or ".join(known) if known else f"no annotation of {ANNOTATION_PREFIX.rstrip('/')} on this kind"
            report.add(codes.UNKNOWN_ANNOTATION, span, message, expected=expected, hint=did_you_mean(name, known))
