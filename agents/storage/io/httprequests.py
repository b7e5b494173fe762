"""Single requests over HTTP: what may pass is tried again, what a server says no with becomes words."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from agents.storage.wire.errors import ImageError

TRIES: Final = 5
PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_TIMEOUT: Final = urllib3.Timeout(connect=15, read=60)
_CONNECTS: Final = 2
_LONGEST_WAIT_S: Final = 20.0
_ERROR_BYTES: Final = 16 << 10


class UnreachableError(ImageError):
    """A host that is not there, or does not answer; asking it more would take time."""


class Requests:
    """Used from several threads."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._pool = urllib3.PoolManager(maxsize=8, ssl_context=context, retries=False, timeout=_TIMEOUT, block=False)

    def close(self) -> None:
        self._pool.clear()

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, tries: int = TRIES
    ) -> urllib3.BaseHTTPResponse:
        """One request, its answer's body unread; what may pass (a lost connection, 429, 5xx) is tried again, a little
        later each time, or when the server says. One that wants to be left alone for long is not asked again."""
        host = urlsplit(url).netloc
        for attempt in range(1, tries + 1):
            wait_s = waiting_s(attempt)
            try:
                response = self._pool.request(
                    method, url, headers=headers, body=body, preload_content=False, redirect=False
                )
            except SSLError as error:
                raise ImageError(f"{host}: TLS failed: {_reason(error)}") from error
            except (NewConnectionError, ConnectTimeoutError) as error:
                if attempt == min(_CONNECTS, tries):
                    raise UnreachableError(f"{host} cannot be reached: {_reason(error)}") from error
            except HTTPError as error:
                if attempt == tries:
                    raise UnreachableError(f"{host} does not answer: {_reason(error)}") from error
            else:
                wait_s = wanted_wait_s(response, wait_s)
                if response.status not in PASSING or attempt == tries or wait_s > _LONGEST_WAIT_S:
                    return response
                response.drain_conn()
            time.sleep(wait_s)
        raise AssertionError("unreachable")


def waiting_s(attempt: int) -> float:
    """How long after the first, second, ... vain try the next one comes."""
    return min(0.25 * 2**attempt, _LONGEST_WAIT_S)


def wanted_wait_s(response: urllib3.BaseHTTPResponse, otherwise_s: float) -> float:
    """What Retry-After says (RFC 9110 section 10.2.3): seconds, or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdigit() and len(text) < 10:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return otherwise_s
    return max((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0)


def refusal(response: urllib3.BaseHTTPResponse, url: str) -> ImageError:
    """The registry's own words (distribution-spec, error codes) behind the status."""
    try:
        errors = json.loads(response.read(_ERROR_BYTES))["errors"]
        said = ", ".join(f"{error['code']}: {error['message']}" for error in errors)[:300]
    except (HTTPError, ValueError, KeyError, TypeError):
        said = response.reason or ""
    response.close()
    text = f"{urlsplit(url).netloc}{urlsplit(url).path}: {response.status} {said}".rstrip()
    wait_s = wanted_wait_s(response, 0)
    return ImageError(f"{text} (to be asked again in {wait_s:.0f} s)" if wait_s >= 1 else text)


def is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2][:200]
