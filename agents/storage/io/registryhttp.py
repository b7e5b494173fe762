"""HTTP to one registry: TLS, authentication and redirects; where it sends elsewhere, no credentials go along."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urljoin, urlsplit

import urllib3

from agents.storage.io.credentials import Credentials
from agents.storage.io.httprequests import TRIES, Requests, is_loopback, refusal
from agents.storage.io.registrylogin import RegistryLogin
from agents.storage.io.registryoptions import Connection
from agents.storage.wire.errors import ImageError

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class RegistryHttp:
    """`host` is where requests go and what errors call it; `scopes` are what tokens are asked for besides what the
    registry names. Used from several threads."""

    def __init__(
        self, host: str, connection: Connection, credentials: Credentials | None, scopes: Sequence[str] = ()
    ) -> None:
        self.host = host
        scheme = "http" if connection.plain_http or _is_loopback_without_tls(host, connection) else "https"
        self.url = f"{scheme}://{host}"
        self._requests = Requests(_context(connection))
        self._login = RegistryLogin(self.url, self._requests, credentials, scopes)

    def get(self, path: str, headers: Mapping[str, str], scope: str) -> urllib3.BaseHTTPResponse:
        """The answer, 200 or 206, its body unread. Raises ImageError with what the registry said."""
        response = self.send("GET", path, headers, scope=scope)
        if response.status not in (200, 206):
            raise refusal(response, f"{self.url}{path}")
        return response

    def send(
        self,
        method: str,
        place: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        scope: str = "",
        tries: int = TRIES,
    ) -> urllib3.BaseHTTPResponse:
        """Whatever is answered, its body unread. `place` is a path, or where the registry has sent to."""
        url = self.place(place, self.url)
        used = self._login.header
        response = self._follow(method, url, headers, body, used, tries)
        if response.status == 401 and self._is_own(url):
            response.drain_conn()
            response = self._follow(method, url, headers, body, self._login.authorize(response, used, scope), tries)
        return response

    def place(self, location: str, url: str) -> str:
        """Where an answer for `url` sends to."""
        found = urljoin(url, location)
        if urlsplit(found).scheme not in ("https", urlsplit(self.url).scheme):
            raise ImageError(f"{self.host} sends on to {found[:200]}, which is not encrypted")
        return found

    def close(self) -> None:
        self._requests.close()

    def _is_own(self, url: str) -> bool:
        return url.startswith(f"{self.url}/")

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, authorization: str, tries: int
    ) -> urllib3.BaseHTTPResponse:
        for _ in range(6):
            sent = dict(headers)
            if authorization and self._is_own(url):
                sent["Authorization"] = authorization
            response = self._requests.ask(method, url, sent, body, tries)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.drain_conn()
            url = self.place(location, url)
        raise ImageError(f"{self.host}: too many redirections")


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
    return is_loopback(host) and connection.ca_file is None and connection.verify
