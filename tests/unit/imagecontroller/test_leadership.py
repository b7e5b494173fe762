"""The lease: taken, kept, left to others, taken over when it is old, given back."""

from __future__ import annotations

from threading import Event
from typing import Any, cast

import pytest

from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object
from agents.imagecontroller.io.leadership import Leadership


class Leases:
    """One lease, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.version, self.is_down = 0, False

    def get(self, path: str) -> Object:
        if self.is_down:
            raise ClusterError("down")
        if self.lease is None:
            raise RefusedError(404, "NotFound", "no lease")
        return self.lease

    def create(self, path: str, body: Object) -> Object:
        if self.lease is not None:
            raise RefusedError(409, "AlreadyExists", "there")
        return self._store(body)

    def replace(self, path: str, body: Object) -> Object:
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise RefusedError(409, "Conflict", "changed")
        return self._store(body)

    def _store(self, body: Object) -> Object:
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return self.lease["spec"]


class Contest:
    def __init__(self) -> None:
        self.leases, self.now = Leases(), 100.0

    def member(self, name: str) -> Leadership:
        server = cast(ApiServer, self.leases)
        return Leadership(server, "ns", "lease", name, 15, lambda: None, lambda: self.now)


@pytest.fixture
def contest() -> Contest:
    return Contest()


def test_the_first_one_leads_and_keeps_it(contest: Contest) -> None:
    a, b = contest.member("a"), contest.member("b")
    for _ in range(5):
        a.renew()
        b.renew()
        assert (a.is_ours, b.is_ours) == (True, False)
        contest.now += 9
    assert (contest.leases.spec["holderIdentity"], contest.leases.spec["leaseTransitions"]) == ("a", 0)


def test_who_does_not_renew_stops_before_another_one_may_lead(contest: Contest) -> None:
    a, b = contest.member("a"), contest.member("b")
    a.renew()
    b.renew()
    contest.now += 10
    b.renew()
    assert (a.is_ours, b.is_ours) == (False, False)
    contest.now += 5
    b.renew()
    assert (a.is_ours, b.is_ours) == (False, True)
    a.renew()
    assert not a.is_ours
    assert (contest.leases.spec["holderIdentity"], contest.leases.spec["leaseTransitions"]) == ("b", 1)


def test_one_of_two_that_are_as_fast(contest: Contest, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = contest.member("a"), contest.member("b")
    a.renew()
    stale = contest.leases.get("")
    a.renew()

    def get(_path: str) -> Object:
        return stale

    monkeypatch.setattr(contest.leases, "get", get)
    contest.now += 20
    b.renew()
    contest.now += 20
    b.renew()
    assert not b.is_ours


def test_a_server_that_is_down_takes_the_lead_away(contest: Contest) -> None:
    a = contest.member("a")
    a.renew()
    contest.leases.is_down = True
    with pytest.raises(ClusterError):
        a.renew()
    assert a.is_ours
    contest.now += 10
    assert not a.is_ours


def test_given_back(contest: Contest) -> None:
    a, b, stop = contest.member("a"), contest.member("b"), Event()
    a.renew()
    stop.set()
    a.run(stop)
    assert not a.is_ours
    b.renew()
    assert b.is_ours
