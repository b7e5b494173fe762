"""Redirects as Linux has them: rules of iptables or nftables in a node that routes, and the same Envoy on that node."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bench.lab.kernelway import CLIENT, KernelWay, kernel_way
from bench.lab.places import DIRECT_PORT, inside
from bench.lab.programs import TrafficError
from cli.proxy import envoy_program
from runtime.bpf.namespaces import entered
from runtime.proxy.envoy import LISTEN_PORT, configuration
from runtime.proxy.keeping import FLUSH_MS, is_listening

NODE = "node-a"
END_S, PATIENCE_S, LOOK_S = 5.0, 60.0, 0.1
_MARK, _TABLE = "1", "100"
_TPROXY = f"""
table ip bench {{
  chain prerouting {{
    type filter hook prerouting priority mangle;
    iifname "{CLIENT}" tcp dport {DIRECT_PORT} socket transparent 1 meta mark set {_MARK} accept
    iifname "{CLIENT}" tcp dport {DIRECT_PORT} tproxy to :{LISTEN_PORT} meta mark set {_MARK} accept
  }}
}}
"""


class Means(StrEnum):
    """What takes the client's connections to the proxy."""

    REDIRECT = "iptables REDIRECT"
    TPROXY = "nftables TPROXY"


@contextmanager
def intercepted(means: Means, prefix: str, folder: Path, cpu: int) -> Generator[tuple[KernelWay, int]]:
    """A node with the rules and an Envoy on that CPU, whose process id comes with it. Raises `TrafficError`."""
    with kernel_way(prefix) as way:
        space = way.namespace(NODE)
        _set_rules(means, space)
        with _envoy(means, space, folder, cpu) as process:
            yield way, process


def _set_rules(means: Means, space: str) -> None:
    if means is Means.REDIRECT:
        match = ("-i", CLIENT, "-p", "tcp", "--dport", str(DIRECT_PORT))
        _run(
            space,
            ["iptables", "-t", "nat", "-A", "PREROUTING", *match, "-j", "REDIRECT", "--to-ports", f"{LISTEN_PORT}"],
        )
        return
    _run(space, ["nft", "-f", "-"], _TPROXY)
    _run(space, ["ip", "rule", "add", "fwmark", _MARK, "lookup", _TABLE])
    _run(space, ["ip", "route", "add", "local", "default", "dev", "lo", "table", _TABLE])


@contextmanager
def _envoy(means: Means, space: str, folder: Path, cpu: int) -> Generator[int]:
    """As `turnout proxy run` starts it. Behind REDIRECT the original destination is asked of the connection tracker."""
    name = means.name.lower()
    addresses = (ip_address("10.9.0.1"),)
    log = str(folder / f"{name}.access.log")
    told: dict[str, Any] = configuration(node=name, addresses=addresses, http_ports=(), access_log=log)
    for listener in told["static_resources"]["listeners"]:
        listener["transparent"] = means is Means.TPROXY
    config = folder / f"{name}.json"
    config.write_text(json.dumps(told))
    command = [envoy_program(), "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1"]
    command += ["--file-flush-interval-msec", str(FLUSH_MS), "--log-level", "warning"]
    pinned = ["taskset", "-c", str(cpu), *inside(space, command)]
    process = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _await(space, process)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(space: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    with entered(space):
        while not is_listening(LISTEN_PORT, {4}):
            if process.poll() is not None or time.monotonic() > end:
                raise TrafficError(f"Envoy does not listen in {space}")
            time.sleep(LOOK_S)


def _run(space: str, command: Sequence[str], text: str = "") -> None:
    done = subprocess.run(inside(space, command), input=text, capture_output=True, text=True)
    if done.returncode:
        raise TrafficError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def pin(processes: Sequence[int], cpu: int) -> None:
    """All threads of these processes to one CPU."""
    for process in processes:
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cpu})
