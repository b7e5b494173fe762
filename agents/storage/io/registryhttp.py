"""HTTP to one registry: TLS, authentication, redirects, and trying again what may pass.

Credentials go to the registry itself and to the token server it names, over TLS or to this machine only; where a
registry sends elsewhere for a blob, nothing of them goes along.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import Any, Final, cast
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from agents.storage.io.credentials import Credentials
from agents.storage.wire.challenges import Challenge, parse_challenge
from agents.storage.wire.errors import ImageError

_TIMEOUT: Final = urllib3.Timeout(connect=15, read=60)
_TRIES: Final = 5
_CONNECTS: Final = 2
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LONGEST_WAIT_S: Final = 20.0
_ERROR_BYTES: Final = 16 << 10
_TOKEN_BYTES: Final = 1 << 20


class UnreachableError(ImageError):
    """A host that is not there, or does not answer; asking it more would take time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How registries are reached. `ca_file` is trusted besides the system's authorities."""

    ca_file: Path | None = None
    plain_http: bool = False
    verify: bool = True


class RegistryHttp:
    """`host` is where requests go; `name` what errors call it. Used from several threads."""

    def __init__(self, host: str, connection: Connection, credentials: Credentials | None) -> None:
        self.host = host
        self._credentials = credentials
        self.scheme = "http" if connection.plain_http or _is_loopback_without_tls(host, connection) else "https"
        self._pool = urllib3.PoolManager(
            maxsize=8, ssl_context=_context(connection), retries=False, timeout=_TIMEOUT, block=False
        )
        self._lock = Lock()
        self._authorization = ""

    def get(self, path: str, headers: Mapping[str, str], scope: str) -> urllib3.BaseHTTPResponse:
        """The answer, 200 or 206, its body unread. Raises ImageError with what the registry said."""
        url = f"{self.scheme}://{self.host}{path}"
        used = self._authorization
        response = self._follow(url, headers, used)
        if response.status == 401:
            response.drain_conn()
            response = self._follow(url, headers, self._authorize(response, used, scope))
        if response.status not in (200, 206):
            raise self._refusal(response, url)
        return response

    def close(self) -> None:
        self._pool.clear()

    def _follow(self, url: str, headers: Mapping[str, str], authorization: str) -> urllib3.BaseHTTPResponse:
        own = (urlsplit(url).scheme, urlsplit(url).netloc)
        for _ in range(6):
            parts = urlsplit(url)
            sent = dict(headers)
            if authorization and (parts.scheme, parts.netloc) == own:
                sent["Authorization"] = authorization
            response = self._try("GET", url, sent)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.drain_conn()
            url = urljoin(url, location)
            if urlsplit(url).scheme not in ("https", self.scheme):
                raise ImageError(f"{self.host} sends on to {url[:200]}, which is not encrypted")
        raise ImageError(f"{self.host}: too many redirections")

    def _try(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        """One request; what may pass (a lost connection, 429, 5xx) is tried again, a little later each time."""
        host = urlsplit(url).netloc
        for attempt in range(1, _TRIES + 1):
            wait_s = min(0.25 * 2**attempt, _LONGEST_WAIT_S)
            try:
                response = self._pool.request(
                    method, url, headers=headers, body=body, preload_content=False, redirect=False
                )
            except SSLError as error:
                raise ImageError(f"{host}: TLS failed: {_reason(error)}") from error
            except (NewConnectionError, ConnectTimeoutError) as error:
                if attempt == _CONNECTS:
                    raise UnreachableError(f"{host} cannot be reached: {_reason(error)}") from error
            except HTTPError as error:
                if attempt == _TRIES:
                    raise UnreachableError(f"{host} does not answer: {_reason(error)}") from error
            else:
                if response.status not in _PASSING or attempt == _TRIES:
                    return response
                wait_s = _retry_after_s(response, wait_s)
                response.drain_conn()
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    def _authorize(self, response: urllib3.BaseHTTPResponse, used: str, scope: str) -> str:
        """The header that the registry's challenge asks for; one thread at a time fetches it for all."""
        with self._lock:
            if self._authorization not in ("", used):
                return self._authorization
            challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
            match challenge.scheme:
                case "basic":
                    self._authorization = self._basic(f"{self.scheme}://{self.host}")
                case "bearer":
                    self._authorization = f"Bearer {self._token(challenge, scope)}"
                case _:
                    raise ImageError(f"{self.host} asks for authentication of a kind not known here")
            return self._authorization

    def _basic(self, url: str) -> str:
        if self._credentials is None:
            raise ImageError(f"{self.host} wants a name and a password, and config.json has none for it")
        self._check_safe(url)
        pair = f"{self._credentials.name}:{self._credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def _check_safe(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self.scheme == "http" and _is_loopback(parts.netloc)):
            raise ImageError(f"{parts.netloc}: passwords are not sent without TLS")

    def _token(self, challenge: Challenge, scope: str) -> str:
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise ImageError(f"{self.host} names no server for tokens")
        query = {"scope": challenge.parameters.get("scope") or scope}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        known = self._credentials
        if known is not None and known.token:
            self._check_safe(realm)
            form = {**query, "grant_type": "refresh_token", "refresh_token": known.token, "client_id": "turnout"}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._try("POST", realm, headers, urlencode(form).encode())
        else:
            headers = {"Authorization": self._basic(realm)} if known is not None else {}
            response = self._try("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}", headers)
        if response.status != 200:
            raise self._refusal(response, realm)
        return self._token_of(response.read(_TOKEN_BYTES))

    def _token_of(self, body: bytes) -> str:
        try:
            fields: object = json.loads(body)
        except ValueError:
            fields = None
        answer = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or any(sign in token for sign in "\r\n"):
            raise ImageError(f"{self.host}: the server for tokens answered without one")
        return token

    def _refusal(self, response: urllib3.BaseHTTPResponse, url: str) -> ImageError:
        """The registry's own words (distribution-spec, error codes) behind the status."""
        try:
            errors = json.loads(response.read(_ERROR_BYTES))["errors"]
            said = ", ".join(f"{error['code']}: {error['message']}" for error in errors)[:300]
        except (HTTPError, ValueError, KeyError, TypeError):
            said = response.reason or ""
        response.close()
        return ImageError(f"{urlsplit(url).netloc}{urlsplit(url).path}: {response.status} {said}".rstrip())


def _context(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if connection.ca_file is not None:
        try:
            context.load_verify_locations(connection.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ImageError(f"{connection.ca_file}: no certificates can be read from it: {error}") from error
    if not connection.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback_without_tls(host: str, connection: Connection) -> bool:
    """As containerd has it: a registry of this machine needs no TLS, unless an authority is given for it."""
    return _is_loopback(host) and connection.ca_file is None and connection.verify


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def _retry_after_s(response: urllib3.BaseHTTPResponse, otherwise_s: float) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isdigit() and len(text) < 6 else otherwise_s


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2][:200]
