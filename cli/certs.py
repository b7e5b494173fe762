"""`turnout device certs`: a certificate authority for tests and labs, and the certificates it signs, as files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail
from runtime.device.certificates import CertificateError, Pair, Validity, make_authority, make_client, make_server
from runtime.device.listening import writable_by_all

HOSTS = ("localhost", "127.0.0.1", "::1")
AUTHORITY, SERVER = "ca", "server"
FILE_MODE, FOLDER_MODE = 0o600, 0o700


def certs(
    folder: Annotated[Path, typer.Argument(help="Where the files go; it is made, for its owner alone.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help=f"Name or address that clients reach the device by; default: {', '.join(HOSTS)}."),
    ] = None,
    client: Annotated[list[str] | None, typer.Option(help="NAME of a client; may be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long they are valid.")] = 365,
) -> None:
    """Make a CA for tests, a certificate for the device and one for each client.

    With a CA in the folder already, that one signs, for no longer than it is valid itself. Nothing is overwritten: to
    renew a certificate, remove its files.
    """
    try:
        made = _Folder(folder, Validity(now=datetime.now(UTC), days=days))
        made.write(hosts=host or (), clients=client or ())
    except CertificateError as problem:
        raise fail(str(problem)) from problem
    except OSError as problem:
        raise fail(f"{problem.filename or folder}: {(problem.strerror or str(problem)).lower()}") from problem


class _Folder:
    def __init__(self, path: Path, validity: Validity) -> None:
        self._path, self._validity = path, validity

    def write(self, *, hosts: Sequence[str], clients: Sequence[str]) -> None:
        """Everything is made and looked for before the first file is written."""
        wanted: dict[str, Pair] = {}
        authority = self._authority()
        if authority is None:
            authority = make_authority(self._validity)
            wanted[AUTHORITY] = authority
        if hosts or not self._has(SERVER):
            wanted[SERVER] = make_server(authority, hosts or HOSTS, self._validity)
        for name in clients:
            if name in (AUTHORITY, SERVER) or name in wanted:
                raise CertificateError(f"client name {name!r}: there is another file of this name")
            wanted[name] = make_client(authority, name, self._validity)
        if not wanted:
            raise CertificateError(
                f"{self._path} has everything already: name a --client, or remove what is to be renewed"
            )
        self._check_free(wanted)
        self._path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if writable_by_all(self._path):
            raise CertificateError(f"everybody may replace files in {self._path}: choose another folder")
        for name, pair in wanted.items():
            self._write(name, pair)

    def _authority(self) -> Pair | None:
        certificate, key = self._files(AUTHORITY)
        if not certificate.exists() and not key.exists():
            return None
        try:
            return Pair.from_pem(certificate.read_bytes(), key.read_bytes())
        except CertificateError as problem:
            raise CertificateError(f"{certificate} and {key}: {problem}") from problem

    def _check_free(self, names: Mapping[str, Pair]) -> None:
        taken = [str(path) for name in names for path in self._files(name) if os.path.lexists(path)]
        if taken:
            raise CertificateError(f"nothing is written, since these are there already: {', '.join(taken)}")

    def _write(self, name: str, pair: Pair) -> None:
        certificate, key = self._files(name)
        for path, content in ((key, pair.key_pem), (certificate, pair.certificate_pem)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
                file.write(content)
            typer.echo(str(path))

    def _has(self, name: str) -> bool:
        return any(os.path.lexists(path) for path in self._files(name))

    def _files(self, name: str) -> tuple[Path, Path]:
        return self._path / f"{name}.pem", self._path / f"{name}.key"
