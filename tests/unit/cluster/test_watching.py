"""Lists and watches against a server that says what it is told: old versions, broken streams, errors, pages."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.cluster.apiserver import ApiServer
from agents.cluster.connecting import Connection
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object, name_of
from agents.cluster.watching import Watched

PATH: Final = "/api/v1/things"
GONE: Final = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 5 (9)"}
Answer = tuple[int, bytes]


def thing(name: str, version: int, **labels: str) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", "resourceVersion": str(version), "labels": labels}}


def listed(version: int, *items: Object, more: str = "") -> Answer:
    metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
    return 200, json.dumps({"kind": "List", "metadata": metadata, "items": items}).encode()


def event(kind: str, found: Object) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


class Script:
    """What is answered, in turn; `asked` are the queries. Behind the last one watches stay open."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked, self.ended = list(answers), list[dict[str, str]](), Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    script: Script

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.script.asked.append(query)
        if not self.script.answers:
            self.send_response(200)
            self.end_headers()
            self.script.ended.wait(20)
            return
        code, data = self.script.answers.pop(0)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def served(script: Script) -> Generator[ApiServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": script}))
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server = ApiServer(Connection(f"http://127.0.0.1:{http.server_address[1]}", ssl.create_default_context()))
    try:
        yield server
    finally:
        script.ended.set()
        server.close()
        http.shutdown()
        thread.join()
        http.server_close()


def watched(
    script: Script, monkeypatch: pytest.MonkeyPatch, fields: str = ""
) -> tuple[list[str], list[dict[str, str]]]:
    """Names that are there when the script is at its end, and what was asked."""
    monkeypatch.setattr("agents.cluster.watching._FIRST_WAIT_S", 0.01)
    stop, over = Event(), Event()
    with served(script) as server:
        found = Watched(server, PATH, lambda: over.set() if not script.answers else None, "app=web", fields)
        thread = Thread(target=found.run, args=(stop,))
        thread.start()
        while script.answers:
            over.wait(0.01)
        count = len(script.asked)
        while len(script.asked) == count and script.asked[-1].get("watch") != "true":
            over.wait(0.01)
        stop.wait(0.1)
        names = sorted(map(name_of, found.objects()))
        stop.set()
        script.ended.set()
        thread.join(20)
    return names, script.asked


def test_a_list_and_the_watch_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = event("ADDED", thing("b", 6)) + event("MODIFIED", thing("a", 7)) + event("DELETED", thing("b", 8))
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "30"}})
    names, asked = watched(Script(listed(5, thing("a", 3)), (200, stream + bookmark)), monkeypatch)
    assert names == ["a"]
    assert [query.get("resourceVersion") for query in asked] == [None, "5", "30"]
    assert {query["labelSelector"] for query in asked} == {"app=web"}


def test_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    names, asked = watched(Script(listed(5, thing("a", 1), more="next"), listed(5, thing("b", 2))), monkeypatch)
    assert names == ["a", "b"]
    assert [query.get("continue") for query in asked] == [None, "next", None]


@pytest.mark.parametrize(
    "broken",
    [
        (410, json.dumps(GONE).encode()),
        (200, event("ERROR", GONE)),
        (200, b'{"type": "ADDED", "obj\n'),
        (500, b"no JSON"),
        (200, b"[]\n"),
    ],
)
def test_a_watch_that_cannot_go_on_is_a_new_list(broken: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    names, asked = watched(Script(listed(5, thing("a", 1)), broken, listed(9, thing("b", 8))), monkeypatch)
    assert names == ["b"]
    assert [query.get("resourceVersion") for query in asked] == [None, "5", None, "9"]


def test_a_server_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = (403, json.dumps({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}).encode())
    names, _ = watched(Script(refusal, (503, b"starting"), listed(5, thing("a", 1))), monkeypatch)
    assert names == ["a"]


def test_what_we_wrote_ourselves_stays_until_a_newer_one_comes() -> None:
    with served(Script()) as server:
        found = Watched(server, PATH, lambda: None)
        found.put(thing("a", 7, by="us"))
        found.put(thing("a", 6, by="others"))
        assert found.objects() == [thing("a", 7, by="us")]
        found.put(thing("a", 8, by="others"))
        assert found.objects() == [thing("a", 8, by="others")]
        found.drop(thing("a", 8))
        assert found.objects() == []


def test_what_we_wrote_behind_a_list_is_not_lost_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(listed(5, thing("a", 1)))
    with served(script) as server:
        found = Watched(server, PATH, lambda: None)
        found.put(thing("new", 6))
        found.put(thing("old", 4))
        stop = Event()
        thread = Thread(target=found.run, args=(stop,))
        thread.start()
        while not found.is_synced:
            stop.wait(0.01)
        stop.set()
        script.ended.set()
        thread.join(20)
    assert sorted(map(name_of, found.objects())) == ["a", "new"]


def test_refusals_carry_the_servers_words() -> None:
    with served(Script((410, json.dumps(GONE).encode()), (502, b"bad gateway"), (200, b"{"))) as server:
        with pytest.raises(RefusedError, match=r"^too old resource version: 5 \(9\)$") as outdated:
            server.get(PATH)
        assert (outdated.value.code, outdated.value.reason) == (410, "Expired")
        with pytest.raises(RefusedError, match=r"^bad gateway$"):
            server.get(PATH)
        with pytest.raises(ClusterError, match=r"sent no JSON"):
            server.get(PATH)


def test_a_server_that_knows_no_such_field_is_asked_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kubernetes before 1.31 does not know those of definitions."""
    words = {
        "kind": "Status",
        "code": 400,
        "reason": "BadRequest",
        "message": "field label not supported: status.ready",
    }
    names, asked = watched(Script((400, json.dumps(words).encode()), listed(5, thing("a", 1))), monkeypatch, "x=true")
    assert names == ["a"]
    assert [query.get("fieldSelector") for query in asked] == ["x=true", None, None]
    names, asked = watched(Script(listed(5, thing("a", 1))), monkeypatch, "x=true")
    assert [query.get("fieldSelector") for query in asked] == ["x=true", "x=true"]
