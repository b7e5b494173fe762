"""Authentication at one registry: the header that its challenge asks for, from a password or a server for tokens.

Credentials go to the registry itself and to the token server it names, over TLS or to this machine only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from threading import Lock
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

import urllib3

from agents.storage.io.credentials import Credentials
from agents.storage.io.httprequests import Requests, is_loopback, refusal
from agents.storage.wire.challenges import Challenge, parse_challenge
from agents.storage.wire.errors import ImageError

_TOKEN_BYTES: Final = 1 << 20


class RegistryLogin:
    """`url` is the registry's, without a path; `scopes` what tokens must be good for besides what a challenge names.
    Used from several threads."""

    def __init__(
        self, url: str, requests: Requests, credentials: Credentials | None, scopes: Sequence[str] = ()
    ) -> None:
        self._url, self._requests, self._credentials, self._scopes = url, requests, credentials, scopes
        self._lock = Lock()
        self.header = ""
        """Value of Authorization, empty until a challenge came."""

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc

    def authorize(self, response: urllib3.BaseHTTPResponse, used: str, scope: str) -> str:
        """The header that the registry's challenge asks for; one thread at a time fetches it for all."""
        with self._lock:
            if self.header not in ("", used):
                return self.header
            challenge = parse_challenge(response.headers.get("WWW-Authenticate", ""))
            match challenge.scheme:
                case "basic":
                    self.header = self._basic(self._url)
                case "bearer":
                    self.header = f"Bearer {self._token(challenge, scope)}"
                case _:
                    raise ImageError(f"{self._host} asks for authentication of a kind not known here")
            return self.header

    def _basic(self, url: str) -> str:
        if self._credentials is None:
            raise ImageError(f"{self._host} wants a name and a password, and config.json has none for it")
        self._check_safe(url)
        pair = f"{self._credentials.name}:{self._credentials.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def _check_safe(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (urlsplit(self._url).scheme == "http" and is_loopback(parts.netloc)):
            raise ImageError(f"{parts.netloc}: passwords are not sent without TLS")

    def _token(self, challenge: Challenge, scope: str) -> str:
        realm = challenge.parameters.get("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise ImageError(f"{self._host} names no server for tokens")
        named = (challenge.parameters.get("scope") or scope).split()
        scopes = list(dict.fromkeys((*named, *self._scopes)))
        service = [("service", found)] if (found := challenge.parameters.get("service")) else []
        known = self._credentials
        if known is not None and known.token:
            self._check_safe(realm)
            grant = {"grant_type": "refresh_token", "refresh_token": known.token, "client_id": "turnout"}
            form = urlencode([("scope", " ".join(scopes)), *service, *grant.items()])
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._requests.ask("POST", realm, headers, form.encode())
        else:
            headers = {"Authorization": self._basic(realm)} if known is not None else {}
            query = urlencode([*(("scope", one) for one in scopes), *service])
            response = self._requests.ask("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers)
        if response.status != 200:
            raise refusal(response, realm)
        return self._token_of(response.read(_TOKEN_BYTES))

    def _token_of(self, body: bytes) -> str:
        try:
            fields: object = json.loads(body)
        except ValueError:
            fields = None
        answer = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or any(sign in token for sign in "\r\n"):
            raise ImageError(f"{self._host}: the server for tokens answered without one")
        return token
