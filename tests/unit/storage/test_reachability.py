"""How long an answer of a server counts, and which one is asked for again."""

from __future__ import annotations

import pytest

from agents.storage.io import reachability
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.reachability import Reachability
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume, Server

ONE = RemoteVolume(server=Server(host="one", port=1), size_bytes=1)


class Asked:
    """A server that answers, or does not, and how often it was asked."""

    def __init__(self) -> None:
        self.now_s, self.takes_s, self.problem = 100.0, 0.0, ""
        self.volumes: list[str] = []

    def check(self, digest: str, remote: RemoteVolume, tls: NbdTls | None) -> None:
        assert (remote, tls) == (ONE, None)
        self.volumes.append(digest)
        self.now_s += self.takes_s
        if self.problem:
            raise ImageError(self.problem)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(reachability, "check_served", made.check)
    return made


def test_a_good_answer_counts_for_a_while_and_for_its_volume(asked: Asked) -> None:
    known = Reachability(None, lambda: asked.now_s)
    for _ in range(2):
        known.check([("a", ONE), ("b", ONE)])
    assert asked.volumes == ["a", "b"]
    asked.now_s += 10
    known.check([("a", ONE)])
    assert asked.volumes == ["a", "b", "a"]


def test_who_wants_to_know_it_now_asks(asked: Asked) -> None:
    known = Reachability(None, lambda: asked.now_s)
    known.check([("a", ONE)])
    asked.problem = "refused"
    with pytest.raises(ImageError, match="refused"):
        known.check([("a", ONE)], within_s=0)


def test_a_server_that_refuses_is_asked_again_and_a_silent_one_is_not(asked: Asked) -> None:
    known = Reachability(None, lambda: asked.now_s)
    asked.problem = "refused"
    for _ in range(2):
        with pytest.raises(ImageError, match="refused"):
            known.check([("a", ONE)])
    assert asked.volumes == ["a", "a"]
    asked.problem, asked.takes_s = "silent", 5.0
    for volume in ("a", "b"):
        with pytest.raises(ImageError, match="silent"):
            known.check([(volume, ONE)], within_s=10 * (volume == "a"))
    assert asked.volumes == ["a", "a", "a"]
    asked.problem, asked.now_s = "", asked.now_s + 30
    known.check([("b", ONE)])
    assert asked.volumes == ["a", "a", "a", "b"]
