"""Which devices a command talks to, and how it shows them who it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail
from runtime.client.channels import ClientTls

SOCKETS = Path("/run/turnout")
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", envvar="TURNOUT_TLS_CA", help="The authority of the devices, for addresses HOST:PORT."),
]
TlsCert = Annotated[
    Path | None, typer.Option("--tls-cert", envvar="TURNOUT_TLS_CERT", help="The certificate to show to devices.")
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", envvar="TURNOUT_TLS_KEY", help="Its private key.")]


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


def client_tls(ca: Path | None, cert: Path | None, key: Path | None) -> ClientTls | None:
    """None without any of them. Ends the command when only some are given."""
    if ca is None and cert is None and key is None:
        return None
    if ca is None or cert is None or key is None:
        raise fail("--tls-ca, --tls-cert and --tls-key go together: device and client show each other a certificate")
    return ClientTls(ca=ca, cert=cert, key=key)
