"""Names and passwords for registries, from where Docker and podman keep them: config.json and credential helpers."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from agents.storage.wire.errors import ImageError

_HUB: Final = "https://index.docker.io/v1/"
_HELPER_S: Final = 30


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """`token` is an identity token, used instead of a password where a registry gave one."""

    name: str
    password: str
    token: str = ""


class CredentialFile:
    """`path`, else the first of $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json and ~/.docker/config.json.

    It is read anew each time that somebody asks, since passwords change; raises `ImageError` when it cannot be.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._must_exist = path or _default_path(), path is not None
        self._read()

    def find(self, registry: str) -> Credentials | None:
        """What is known for a registry (host with port); helpers are asked where the file says so."""
        keys = (_HUB, "docker.io", "index.docker.io") if registry == "docker.io" else (registry, f"https://{registry}")
        fields = self._read()
        helpers = _mapping(fields.get("credHelpers"))
        helper = next((helpers[key] for key in keys if key in helpers), fields.get("credsStore"))
        if isinstance(helper, str) and helper:
            found = _ask(helper, keys[0])
            if found is not None:
                return found
        auths = _mapping(fields.get("auths"))
        entry = next((_mapping(auths[key]) for key in keys if key in auths), None)
        return None if entry is None else self._of_entry(entry, registry)

    def _read(self) -> Mapping[str, Any]:
        try:
            fields = json.loads(self._path.read_text())
        except FileNotFoundError:
            if self._must_exist:
                raise ImageError(f"{self._path}: No such file or directory") from None
            return {}
        except (OSError, ValueError) as error:
            raise ImageError(f"{self._path}: cannot be read: {error}") from error
        return _mapping(fields)

    def _of_entry(self, entry: Mapping[str, Any], registry: str) -> Credentials | None:
        token = str(entry.get("identitytoken") or "")
        if "username" in entry:
            return Credentials(str(entry["username"]), str(entry.get("password", "")), token)
        if not entry.get("auth"):
            return Credentials("", "", token) if token else None
        try:
            name, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon, name, password = "", "", ""
        if not colon:
            raise ImageError(f"{self._path}: 'auth' of {registry} is not the base64 of name:password")
        return Credentials(name, password.rstrip("\0"), token)


def _default_path() -> Path:
    if written := os.environ.get("REGISTRY_AUTH_FILE"):
        return Path(written)
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _ask(helper: str, registry: str) -> Credentials | None:
    """`docker-credential-HELPER get`; None when it knows nothing of the registry."""
    program = shutil.which(f"docker-credential-{helper}")
    if program is None or "/" in helper:
        raise ImageError(f"docker-credential-{helper} is not in PATH, and config.json names it for {registry}")
    try:
        done = subprocess.run(
            [program, "get"], input=registry, capture_output=True, text=True, check=False, timeout=_HELPER_S
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"docker-credential-{helper} did not answer within {_HELPER_S} s") from error
    if done.returncode:
        if "credentials not found" in done.stdout + done.stderr:
            return None
        raise ImageError(f"docker-credential-{helper}: {(done.stderr or done.stdout).strip()[:200]}")
    answer = _mapping(json.loads(done.stdout))
    name, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    return Credentials("", "", secret) if name == "<token>" else Credentials(name, secret)
