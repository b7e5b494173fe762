"""bench.kubeproxy hears of rules when they are in the kernel, whichever program has put them there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Sequence

import pytest

from bench.kube.commits import Commits
from bench.kube.objects import needle
from bench.lab.programs import TrafficError
from runtime.lab.netns import ip_batch

SPACE = "turnout-test-commits"
NFT = """
table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 10.96.16.1 tcp dport 80 dnat to 10.9.64.2:7001
  }
}
"""
pytestmark = pytest.mark.root


@pytest.fixture
def commits() -> Generator[Commits]:
    ip_batch([f"netns add {SPACE}"])
    try:
        with Commits(SPACE) as listening:
            yield listening
    finally:
        ip_batch([f"netns del {SPACE}"])


def run(words: Sequence[str], text: str = "") -> None:
    subprocess.run(["ip", "netns", "exec", SPACE, *words], input=text, text=True, check=True, capture_output=True)


def test_rules_of_both_programs_are_heard_of(commits: Commits) -> None:
    commits.expect([needle("10.9.64.1"), needle("10.9.64.2")])
    begun = time.perf_counter()
    to = ["-p", "tcp", "-j", "DNAT", "--to-destination", "10.9.64.1:7001"]
    run(["iptables", "-t", "nat", "-A", "PREROUTING", *to])
    between = time.perf_counter()
    run(["nft", "-f", "-"], NFT)
    assert begun < between < commits.await_all(5) < time.perf_counter()


def test_what_was_there_before_is_not_looked_for(commits: Commits) -> None:
    run(["nft", "-f", "-"], NFT)
    commits.expect([needle("10.9.64.2")])
    with pytest.raises(TrafficError, match=r"1 endpoints are in no rule after 0\.2 s"):
        commits.await_all(0.2)
