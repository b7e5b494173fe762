"""kube-proxy in a node's namespace, in one of its modes: started, watched, counted, and taken away with its rules."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.kube.cluster import Cluster, running
from bench.kube.commits import Commits
from bench.kube.objects import CLUSTER, needle
from bench.lab.places import inside
from bench.lab.programs import TrafficError

COLD_S = 300.0
SETTINGS = ("net.netfilter.nf_conntrack_tcp_timeout_time_wait=10", "net.netfilter.nf_conntrack_checksum=0")
"""Seconds that a connection which has ended is remembered, as Turnout does; else those of many turns fill the table.
Checksums are taken for right, as where a network card has looked at them: forwarded packets come in without one."""


class Mode(StrEnum):
    """Of kube-proxy."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One that runs, with all rules of what was there when it was started."""

    mode: Mode
    space: str
    pid: int
    commits: Commits
    cold_s: float
    """From the start of the process until the rules were in the kernel."""

    def peak_memory_mb(self) -> float:
        return peak_memory_mb(self.pid)

    def endpoint_rules(self) -> int:
        """Rules that translate to an endpoint. To be asked when it has nothing to do: listing holds it up."""
        listed = _listed(self.mode, self.space)
        word = "-j DNAT" if self.mode is Mode.IPTABLES else " dnat "
        return sum(word in line for line in listed.splitlines())

    def connections(self) -> int:
        """Which the connection tracker of the namespace knows."""
        return int(_run(self.space, ["cat", "/proc/sys/net/netfilter/nf_conntrack_count"]))


@contextmanager
def proxying(cluster: Cluster, mode: Mode, space: str, endpoints: Sequence[str]) -> Generator[Proxy]:
    """kube-proxy, once these endpoints are in its rules; neither it nor a rule is there afterwards."""
    log = cluster.folder / f"proxy-{mode}.log"
    command = [str(cluster.program), "proxy", *_flags(cluster, mode)]
    try:
        with Commits(space) as commits:
            commits.expect(needle(endpoint) for endpoint in endpoints)
            begun = time.perf_counter()
            with running(space, command, log) as process:
                cold_s = _awaited(commits, process, log) - begun
                _run(space, ["sysctl", "-qw", *SETTINGS])
                yield Proxy(mode=mode, space=space, pid=process.pid, commits=commits, cold_s=cold_s)
    finally:
        _run(space, ["nft", "flush", "ruleset"])


def node_of(mode: Mode) -> str:
    """What its Node is called."""
    return f"node-{mode}"


def _flags(cluster: Cluster, mode: Mode) -> list[str]:
    return [
        f"--kubeconfig={cluster.kubeconfig}",
        f"--proxy-mode={mode}",
        f"--hostname-override={node_of(mode)}",
        f"--cluster-cidr={CLUSTER}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def _awaited(commits: Commits, process: subprocess.Popen[bytes], log: Path) -> float:
    try:
        return commits.await_all(COLD_S)
    except TrafficError as problem:
        last = log.read_text(errors="replace").splitlines()[-5:]
        ended = "" if process.poll() is None else ", and it has ended"
        raise TrafficError(f"kube-proxy: {problem}{ended}: {last}") from problem


def peak_memory_mb(pid: int) -> float:
    """The most that a process has had in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise TrafficError(f"process {pid} does not say how much memory it had")


def _listed(mode: Mode, space: str) -> str:
    words = ["iptables-save", "-t", "nat"] if mode is Mode.IPTABLES else ["nft", "list", "table", "ip", "kube-proxy"]
    return _run(space, words)


def _run(space: str, command: Sequence[str]) -> str:
    done = subprocess.run(inside(space, command), capture_output=True, text=True)
    if done.returncode:
        raise TrafficError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
