"""Batches that were once answered wrongly, or that chance meets too rarely: kept as text and played again.

A vector is a file of `p4.v1.WriteRequest` messages in text format, with a line `---` between them. Its comments begin
with what it shows, and `# program:` names the pipeline. Answers are not written down: the oracle judges them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finsy.proto import U128, p4r
from google.protobuf import text_format

from tests.conformance.fuzzing.driving import Driver

FOLDER = Path(__file__).parents[1] / "vectors"
_BETWEEN = "\n---\n"
_PROGRAM = "# program: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    name: str
    program: str
    requests: tuple[p4r.WriteRequest, ...]

    def play(self, driver: Driver, election_id: int) -> None:
        """On an empty pipeline; after each batch everything is read. Raises `DifferentError`."""
        for given in self.requests:
            request = p4r.WriteRequest()
            request.CopyFrom(given)
            request.device_id = 1
            request.election_id.CopyFrom(U128.encode(election_id))
            driver.write(request)
            driver.read_everything()


def read_vector(path: Path) -> Vector:
    text = path.read_text()
    program = next(line.removeprefix(_PROGRAM) for line in text.splitlines() if line.startswith(_PROGRAM))
    parts = text.split(_BETWEEN)
    requests = tuple(text_format.Parse(part, p4r.WriteRequest()) for part in parts)
    return Vector(name=path.stem, program=program, requests=requests)


def write_vector(path: Path, program: str, about: str, requests: Iterable[p4r.WriteRequest]) -> None:
    """Device and election ids are left out: whoever plays it has its own."""
    parts: list[str] = []
    for request in requests:
        kept = p4r.WriteRequest(updates=request.updates, atomicity=request.atomicity)
        parts.append(text_format.MessageToString(kept).rstrip())
    comments = "".join(f"# {line}\n" for line in about.splitlines())
    path.write_text(f"{comments}{_PROGRAM}{program}\n" + _BETWEEN.join(parts) + "\n")


def vectors() -> list[Vector]:
    return [read_vector(path) for path in sorted(FOLDER.glob("*.txtpb"))]
