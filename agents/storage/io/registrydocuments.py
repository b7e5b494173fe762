"""Documents of a registry that may be absent: manifests by a tag that nobody promised, and lists of referrers.

Absent is what the registry says with 404; anything else that is no answer is an ImageError.
"""

from __future__ import annotations

import re
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from agents.storage.io.httprequests import refusal
from agents.storage.io.registryhttp import RegistryHttp
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import INDEX_TYPES, MAX_DOCUMENT_BYTES
from agents.storage.wire.signatures import Referrer, parse_referrers

_PAGES: Final = 20
_NO_API: Final = frozenset({400, 404, 405, 501})
"""What registries from before distribution-spec 1.1 answer to a path they do not know."""
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next\b')


def document_of(response: urllib3.BaseHTTPResponse, what: str) -> bytes:
    """An answer's body, closed behind it."""
    try:
        document = response.read(MAX_DOCUMENT_BYTES + 1)
    except HTTPError as error:
        raise ImageError(f"{what}: the connection broke: {error}") from error
    finally:
        response.close()
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ImageError(f"{what}: more than {MAX_DOCUMENT_BYTES} bytes")
    return document


def find_document(host: RegistryHttp, path: str, accept: str, scope: str) -> bytes | None:
    response = host.send("GET", path, {"Accept": accept}, scope=scope)
    if response.status == 404:
        response.drain_conn()
        return None
    if response.status != 200:
        raise refusal(response, f"{host.url}{path}")
    return document_of(response, f"{host.host}{path}")


def referrer_pages(host: RegistryHttp, path: str, scope: str) -> tuple[Referrer, ...] | None:
    """All pages of what the referrers API lists (distribution-spec 1.1); None where it is missing."""
    found: list[Referrer] = []
    place = path
    for _ in range(_PAGES):
        response = host.send("GET", place, {"Accept": INDEX_TYPES[0]}, scope=scope)
        if response.status in _NO_API and place == path:
            response.drain_conn()
            return None
        if response.status != 200:
            raise refusal(response, f"{host.url}{path}")
        found += parse_referrers(document_of(response, f"{host.host}{path}"), f"{host.host}{path}")
        following = _NEXT.search(response.headers.get("Link", ""))
        if following is None:
            return tuple(found)
        place = host.place(following[1], f"{host.url}{place}" if place.startswith("/") else place)
    raise ImageError(f"{host.host}{path}: the list of referrers has more than {_PAGES} pages")
