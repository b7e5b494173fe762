"""The record of what `turnout apply` has brought devices to: the texts of the policies, one file for each device.

Entries carry the policy object behind them to the device, as P4Runtime's metadata. A line is no part of that: it moves
with every edit above it, and would make an update of an entry that is the same. So lines are found by compiling the
recorded texts once more. The records lie where `apply` runs, not on devices, which may be elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1
FOLDER = "TURNOUT_APPLIED"
"""The environment variable that names another folder."""
_OF_ROOT = Path("/var/lib/turnout/applied")


class AppliedError(Exception):
    """A record that cannot be written or read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """`address` is where the device was reached, `sources` has the texts by path, as `load_texts` takes them."""

    device: str
    address: str
    sources: Mapping[str, str]


def applied_folder() -> Path:
    """Where this user's records are."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return _OF_ROOT
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "turnout/applied"


def write_applied(folder: Path, record: Applied) -> None:
    """Replace the record of a device, as a whole. Raises `AppliedError`."""
    path = folder / f"{record.device}.json"
    unfinished = path.with_name(f".{record.device}.{os.getpid()}.new")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({"format": FORMAT, **asdict(record)}), encoding="utf-8")
        unfinished.replace(path)
    except OSError as problem:
        raise AppliedError(f"cannot record what was applied in {path}: {_reason(problem)}") from problem


def read_applied(folder: Path) -> dict[str, Applied]:
    """The records by the device's name, sorted; empty when nothing was applied from here. Raises `AppliedError`."""
    return {record.device: record for record in map(_read, sorted(folder.glob("*.json")))}


def forget_applied(folder: Path, addresses: Collection[str]) -> None:
    """Remove the records of devices that were reached there: they are no more. What is no record is left alone."""
    for path in folder.glob("*.json"):
        with contextlib.suppress(AppliedError, OSError):
            if _read(path).address in addresses:
                path.unlink()


def _read(path: Path) -> Applied:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.pop("format") != FORMAT:
            raise AppliedError(f"{path} was written by another version of Turnout; apply again")
        return Applied(**plain)
    except OSError as problem:
        raise AppliedError(f"{path} cannot be read: {_reason(problem)}") from problem
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise AppliedError(f"{path} is no record of `turnout apply`; remove it, and apply again") from problem


def _reason(problem: OSError) -> str:
    return (problem.strerror or str(problem)).lower()
