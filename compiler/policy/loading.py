"""Policy files to a `PolicySet`, or to the reasons why not. The entrance of the package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

from compiler.collection import collection_paused
from compiler.diagnostic import (
    Code,
    Diagnostic,
    Report,
    Severity,
    has_errors,
    render_all,
    sorted_diagnostics,
    source_lines,
)
from compiler.policy import codes
from compiler.policy.document import read_documents
from compiler.policy.located import Objects
from compiler.policy.memory import Memory
from compiler.policy.policyset import PolicySet
from compiler.policy.resolution import resolve
from compiler.policy.sourcefiles import read_sources
from compiler.policy.validation import collect_objects
from compiler.span import Span

# What YAML 1.1 section 5.1 allows in a stream, less U+FEFF, which only may start one.
_NOT_YAML: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a run of `load` found.

    `policies` is empty as soon as there is one error, so that nobody applies half of what was meant. `sources` are
    the texts read, for rendering.
    """

    policies: PolicySet
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]

    @property
    def is_refused(self) -> bool:
        return has_errors(self.diagnostics)

    def render(self) -> str:
        """All diagnostics as text for people; empty when there are none."""
        return render_all(self.diagnostics, self.sources)


def load(paths: Iterable[str | PathLike[str]], memory: Memory | None = None) -> Loaded:
    """Read files and directories (recursively *.yaml, *.yml, *.json; hidden ones left out).

    With a memory, what it knows is not worked out once more; the same is loaded.
    """
    report = Report()
    sources = read_sources([Path(path) for path in paths], report)
    return _load(sources, report, memory)


def load_text(text: str, path: str = "<text>") -> Loaded:
    """Read one text as if it were the file `path`."""
    return load_texts({path: text})


def load_texts(sources: Mapping[str, str], memory: Memory | None = None) -> Loaded:
    """Read texts by path, as a watcher holds them; `memory` as of `load`."""
    return _load(sources, Report(), memory)


@collection_paused()
def _load(given: Mapping[str, str], report: Report, memory: Memory | None) -> Loaded:
    """Nodes and models, half a million for 5,000 services, are gone when the collector may look again."""
    sources = {path: text.removeprefix("\ufeff") for path, text in given.items()}
    objects, resolution = Objects(), Report()
    for path, text in sources.items():
        _read_text(path, text, objects, report, memory)
    policies = resolve(objects, resolution, memory or Memory())
    read = report.sorted()
    diagnostics = sorted_diagnostics((*read, *_worth_saying(resolution.sorted(), read)))
    if has_errors(diagnostics):
        policies = PolicySet()
    return Loaded(policies=policies, diagnostics=diagnostics, sources=sources)


def _worth_saying(found: Iterable[Diagnostic], read: tuple[Diagnostic, ...]) -> Iterable[Diagnostic]:
    """Leave out what may only follow from a mistake already named: an absence, when something could not be read."""
    unsaid = codes.ABSENCES if has_errors(read) else frozenset[Code]()
    if any(d.severity is Severity.ERROR and d.code in codes.NAMELESS for d in read):
        unsaid |= {codes.UNKNOWN_REFERENCE}
    return (diagnostic for diagnostic in found if diagnostic.code not in unsaid)


def _read_text(path: str, text: str, objects: Objects, report: Report, memory: Memory | None) -> None:
    bad = _NOT_YAML.search(text)
    if bad is not None:
        lines = source_lines(text[: bad.start()])
        span = Span(path=path, line=len(lines), column=len(lines[-1]) + 1)
        report.add(codes.CONTROL_CHARACTER, span, f"character U+{ord(bad.group()):04X} cannot stand in YAML")
        return
    if memory is not None and memory.read(path, text, objects):
        return
    documents = read_documents(path, text, report)
    for document in documents:
        collect_objects(document, objects, report)
