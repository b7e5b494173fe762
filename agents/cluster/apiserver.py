"""Requests to an API server, and streams of what changes."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from agents.cluster.connecting import Connection
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object, resource_of
from agents.cluster.observing import NO_ANSWER, UNOBSERVED, RequestObserver

MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"
_TIMEOUT: Final = urllib3.Timeout(connect=5, read=15)
_PAGE: Final = 500


class ApiServer:
    """Used from several threads. Every method raises RefusedError for the server's no, ClusterError where it cannot be
    asked."""

    def __init__(self, connection: Connection, observer: RequestObserver = UNOBSERVED, agent: str = "turnout") -> None:
        """`agent` is who we say that we are."""
        self._connection, self._observer, self._agent = connection, observer, agent
        self._pool = urllib3.PoolManager(maxsize=8, ssl_context=connection.context, retries=False, timeout=_TIMEOUT)

    def close(self) -> None:
        self._pool.clear()

    def get(self, path: str, **query: str) -> Object:
        return self._ask("GET", path, query=query)

    def create(self, path: str, body: Object) -> Object:
        return self._ask("POST", path, body)

    def replace(self, path: str, body: Object) -> Object:
        return self._ask("PUT", path, body)

    def merge(self, path: str, body: Object) -> Object:
        """A merge patch (RFC 7386); with metadata.resourceVersion in it, only of that version."""
        return self._ask("PATCH", path, body, MERGE)

    def delete(self, path: str, body: Object) -> Object:
        return self._ask("DELETE", path, body)

    def list_all(self, path: str, query: Mapping[str, str]) -> tuple[list[Object], str]:
        """The objects, page by page, and the version from which to watch."""
        items: list[Object] = []
        more = ""
        while True:
            pages = {"limit": str(_PAGE), **({"continue": more} if more else {})}
            found = self._ask("GET", path, query={**query, **pages})
            items += cast("list[Object]", found.get("items") or [])
            more = str(found["metadata"].get("continue") or "")
            if not more:
                return items, str(found["metadata"]["resourceVersion"])

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str], lasts_s: int) -> Generator[Generator[Object]]:
        """Events (`type`, `object`) until the server ends it, after `lasts_s` at the latest."""
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(lasts_s)}
        url = f"{self._connection.server}{path}?{urlencode(asked)}"
        timeout = urllib3.Timeout(connect=5, read=lasts_s + 10)
        try:
            with self._observed("WATCH", path) as code:
                answer = self._pool.request(
                    "GET", url, headers=self._headers(), preload_content=False, redirect=False, timeout=timeout
                )
                code.append(answer.status)
            try:
                if answer.status != 200:
                    raise _refusal(answer.status, answer.read(1 << 16))
                yield _events(answer)
            finally:
                answer.close()
        except HTTPError as error:
            raise ClusterError(f"{path}: the watch broke: {error}") from error

    @contextmanager
    def _observed(self, method: str, path: str) -> Generator[list[int]]:
        """Around a request, which puts its answer's code into the list."""
        began_s, code = time.monotonic(), list[int]()
        try:
            yield code
        finally:
            told = str(code[0]) if code else NO_ANSWER
            self._observer.answered(method, resource_of(path), told, time.monotonic() - began_s)

    def _headers(self, content: str = _JSON) -> dict[str, str]:
        plain = {"Accept": _JSON, "Content-Type": content, "User-Agent": self._agent}
        return {**plain, **self._connection.headers()}

    def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        content: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        url = f"{self._connection.server}{path}" + (f"?{urlencode(query)}" if query else "")
        text = None if body is None else json.dumps(body).encode()
        try:
            with self._observed(method, path) as code:
                answer = self._pool.request(method, url, headers=self._headers(content), body=text, redirect=False)
                code.append(answer.status)
        except HTTPError as error:
            raise ClusterError(f"{self._connection.server} does not answer: {error}") from error
        if answer.status >= 300:
            raise _refusal(answer.status, answer.data)
        return _object(answer.data)


def _events(answer: urllib3.BaseHTTPResponse) -> Generator[Object]:
    """One JSON object a line."""
    rest = b""
    for part in answer.stream(1 << 16):
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.strip():
                yield _object(line)


def _object(data: bytes) -> Object:
    try:
        found: Any = json.loads(data)
    except ValueError as error:
        raise ClusterError(f"the API server sent no JSON: {data[:80]!r}") from error
    if not isinstance(found, dict):
        raise ClusterError(f"the API server sent no object: {data[:80]!r}")
    return cast(Object, found)


def refusal_of(status: Mapping[str, Any]) -> RefusedError:
    """Of a Status (meta/v1), as watches send it too."""
    return RefusedError(int(status.get("code") or 0), str(status.get("reason") or ""), str(status.get("message") or ""))


def _refusal(code: int, data: bytes) -> RefusedError:
    try:
        found = _object(data)
    except ClusterError:
        return RefusedError(code, "", data[:200].decode("utf-8", "replace"))
    return refusal_of({"code": code, **found})
