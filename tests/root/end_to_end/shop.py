"""The example's policies with what tests need besides, a lab of them, and the command line against it.

Added to examples/shop.yaml: workloads whose own MTU is 1500, so that path MTU discovery has something to discover, and
services of one backend each: `near` (web-1, on the client's node), `far` (web-3) and `big` (big-b, MTU 1500).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from finsy.proto import p4r

from runtime.client.session import Session
from runtime.lab import netns
from runtime.lab.state import RUN, LabState, read_state

ROOT = Path(__file__).parents[3]
TURNOUT = str(Path(sys.executable).with_name("turnout"))
DEVICES = ("dpu-a", "dpu-b")
CLIENT, WEB_1, WEB_2, WEB_3 = "shop.client", "shop.web-1", "shop.web-2", "shop.web-3"
BIG_A, BIG_B = "shop.big-a", "shop.big-b"
BLUE_CLIENT, BLUE_WEB = "blue.blue-client", "blue.blue-web"
ADDRESSES = {
    CLIENT: ("10.1.0.10", "fd00:10:1::10"),
    WEB_1: ("10.1.0.11", "fd00:10:1::11"),
    WEB_2: ("10.1.0.12", "fd00:10:1::12"),
    WEB_3: ("10.1.0.13", "fd00:10:1::13"),
    BIG_A: ("10.1.0.20", "fd00:10:1::20"),
    BIG_B: ("10.1.0.21", "fd00:10:1::21"),
}
"""IPv4 and IPv6."""
GATEWAY = ("10.1.0.1", "fd00:10:1::1")
WEB = ("10.96.0.10", "fd00:10:96::10")
SINGLE = {
    "near": ("10.96.0.20", "fd00:10:96::20"),
    "far": ("10.96.0.21", "fd00:10:96::21"),
    "big": ("10.96.0.22", "fd00:10:96::22"),
}
"""Addresses of the services of one backend."""
BACKEND_OF = {"near": WEB_1, "far": WEB_3, "big": BIG_B}
IPERF_PORT, SINK_PORT = 5201, 9000

Document = dict[str, Any]
Policies = list[Document]


def an_object(kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "turnout.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def find(policies: Policies, kind: str, name: str, namespace: str = "shop") -> Document:
    """One object of a policy set."""
    for document in policies:
        metadata = document["metadata"]
        if (document["kind"], metadata["name"]) == (kind, name) and metadata.get("namespace", namespace) == namespace:
            return document
    raise LookupError(f"{kind} {namespace}/{name}")


def shop_policies(folder: Path) -> Policies:
    """The policies; the devices' sockets are in `folder`."""
    policies: Policies = list(yaml.safe_load_all((ROOT / "examples/shop.yaml").read_text()))
    for name in DEVICES:
        find(policies, "Device", name)["spec"]["address"] = f"unix:{folder}/{name}.sock"
    for workload, node, device, port in ((BIG_A, "node-a", "dpu-a", 19), (BIG_B, "node-b", "dpu-b", 17)):
        _add_big(policies, workload, node, device, port)
    for name, workload in BACKEND_OF.items():
        labels = find(policies, "Workload", workload.partition(".")[2])["metadata"].setdefault("labels", {})
        labels["single"] = name
        policies.append(single_service(name, SINGLE[name]))
    return policies


def _add_big(policies: Policies, workload: str, node: str, device: str, port: int) -> None:
    name = workload.partition(".")[2]
    spec = {"type": "Pod", "network": "shop", "node": node, "addresses": list(ADDRESSES[workload])}
    policies.append(an_object("Workload", name, spec))
    entry = {"id": port, "name": name, "type": "workload", "workload": f"shop/{name}", "mtu": 1500}
    find(policies, "Device", device)["spec"]["ports"].append(entry)


def single_service(name: str, addresses: Sequence[str]) -> Document:
    ports = [
        {"name": "iperf-tcp", "protocol": "TCP", "port": IPERF_PORT, "targetPort": IPERF_PORT},
        {"name": "iperf-udp", "protocol": "UDP", "port": IPERF_PORT, "targetPort": IPERF_PORT},
        {"name": "sink", "protocol": "TCP", "port": 90, "targetPort": SINK_PORT},
        {"name": "echo", "protocol": "UDP", "port": 53, "targetPort": 5300},
    ]
    spec = {"network": "shop", "addresses": list(addresses), "ports": ports, "selector": {"single": name}}
    return an_object("DpuService", name, spec)


def many_services(count: int) -> Policies:
    """Services 10.97.x.y:80 with the three web workloads behind each."""
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]
    addresses = ([f"10.97.{number >> 8}.{number & 255}"] for number in range(count))
    return [
        an_object(
            "DpuService",
            f"many-{number}",
            {"network": "shop", "addresses": address, "ports": ports, "selector": {"app": "web"}},
        )
        for number, address in enumerate(addresses)
    ]


def write(path: Path, policies: Policies) -> Path:
    path.write_text(yaml.dump_all(policies, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path


def turnout(
    *words: str | Path, environment: Mapping[str, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command and wait."""
    own = {**os.environ, **(environment or {})}
    command = [TURNOUT, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s, env=own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """A lab. `path` is the file of its policies as they were when it was built."""

    name: str
    folder: Path
    policies: Policies = field(repr=False)

    @property
    def path(self) -> Path:
        return self.folder / "shop.yaml"

    def changed(self) -> Policies:
        """A copy to change."""
        return deepcopy(self.policies)

    def file(self, policies: Policies, name: str = "changed.yaml") -> Path:
        return write(self.folder / name, policies)

    def namespace(self, workload: str) -> str:
        return f"tn-{self.name}.workload.{workload}"

    def device_namespace(self, device: str) -> str:
        return f"tn-{self.name}.device.{device}"

    @property
    def underlay(self) -> str:
        return f"tn-{self.name}.underlay"

    def up(self, *, offloads: bool = True) -> subprocess.CompletedProcess[str]:
        return turnout("lab", "up", "--name", self.name, "--offloads", "on" if offloads else "off", self.path)

    def down(self) -> subprocess.CompletedProcess[str]:
        return turnout("lab", "down", "--name", self.name)

    def apply(self, policies: Policies | None = None, *options: str) -> subprocess.CompletedProcess[str]:
        return turnout("apply", *options, self.path if policies is None else self.file(policies))

    def applied(self, policies: Policies | None = None) -> subprocess.CompletedProcess[str]:
        """Apply, which must go well."""
        done = self.apply(policies)
        assert done.returncode == 0, done.stderr
        return done

    def device_options(self) -> list[str]:
        return [word for name in DEVICES for word in ("--device", f"{name}={self.address(name)}")]

    def address(self, device: str) -> str:
        return f"unix:{self.folder}/{device}.sock"

    def session(self, device: str) -> Session:
        return Session(self.address(device))

    def group_count(self, device: str) -> int:
        """How many groups of backends a device has."""
        with self.session(device) as session:
            return sum(1 for _ in session.read([p4r.Entity(action_profile_group=p4r.ActionProfileGroup())]))

    def show(self, what: str) -> list[Document]:
        shown = turnout("show", what, "-o", "json", *self.device_options())
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)

    def run_in(self, workload: str, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        words = ["ip", "netns", "exec", self.namespace(workload), *command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout_s)

    def start_in(self, workload: str, *command: str) -> subprocess.Popen[str]:
        words = ["ip", "netns", "exec", self.namespace(workload), *command]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def state(self) -> LabState:
        state = read_state(RUN / f"lab-{self.name}")
        assert state is not None
        return state

    def pid_of(self, device: str) -> int:
        return next(p.pid for p in reversed(self.state().processes) if (p.role, p.member) == ("device", device))

    def left(self) -> list[str]:
        """What exists of the lab: namespaces, processes, mounts, files."""
        found = [path.name for path in netns.FOLDER.glob(f"tn-{self.name}.*")] if netns.FOLDER.exists() else []
        found += [f"process {pid}" for pid in netns.processes_in(found)]
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"lab-{self.name}/" in line]
        found += [str(path) for path in RUN.glob(f"lab-{self.name}*")]
        return found + [str(path) for path in self.folder.glob("*.sock")]


@contextmanager
def standing_example(name: str, folder: Path, example: str) -> Generator[Shop]:
    """An example as it is, but for the addresses at which its devices listen: those of a lab whose name begins so."""
    lab = Shop(name=f"{name}{os.getpid()}", folder=folder, policies=[])
    for document in yaml.safe_load_all((ROOT / "examples" / example).read_text()):
        if document["kind"] == "Device":
            document["spec"]["address"] = lab.address(document["metadata"]["name"])
        lab.policies.append(document)
    with standing(lab) as built:
        yield built


@contextmanager
def standing(lab: Shop) -> Generator[Shop]:
    """It is up, with its policies applied; whoever changes it puts that back. Nothing of it is left afterwards."""
    write(lab.path, lab.policies)
    try:
        built = lab.up()
        assert built.returncode == 0, built.stderr
        lab.applied()
        yield lab
    finally:
        removed = lab.down()
    assert removed.returncode == 0, removed.stderr
    assert lab.left() == []
