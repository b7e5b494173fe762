"""Which devices a command talks to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cli.console import fail

SOCKETS = Path("/run/turnout")


def addresses(wanted: Iterable[str]) -> dict[str, str]:
    """Addresses by name, from `NAME=ADDRESS`, `ADDRESS` or the NAME of a socket in /run/turnout.

    Without any, all sockets there. Ends the command when there is none.
    """
    found = dict(_named(word) for word in wanted)
    if not found:
        found = {path.stem: f"unix:{path}" for path in sorted(SOCKETS.glob("*.sock"))}
    if not found:
        raise fail(f"no device has a socket in {SOCKETS}; name one with --device ADDRESS")
    return found


def _named(word: str) -> tuple[str, str]:
    name, separator, address = word.partition("=")
    if separator:
        return name, address
    if ":" in word:
        return Path(word).stem, word
    path = SOCKETS / f"{word}.sock"
    if not path.exists():
        raise fail(f"no device '{word}': {path} does not exist")
    return word, f"unix:{path}"
