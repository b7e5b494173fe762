"""Labs in real namespaces: what they consist of, repair, refusals, and that nothing stays."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.bpf.bpffs import mount_bpffs
from runtime.lab import netns, processes
from runtime.lab.building import Builder, Outcome
from runtime.lab.errors import LabError
from runtime.lab.state import write_state
from runtime.lab.status import status
from runtime.lab.topology import LabDevice
from tests.root.lab.conftest import Lab
from tests.unit.lab.policies import shop

pytestmark = pytest.mark.root


def addresses(lab: Lab, member: str, interface: str) -> set[str]:
    shown = json.loads(lab.run_in(member, "ip", "-json", "addr", "show", "dev", interface).stdout)
    return {f"{a['local']}/{a['prefixlen']}" for a in shown[0]["addr_info"] if a["scope"] == "global"}


def link(lab: Lab, member: str, interface: str) -> tuple[str, int]:
    """MAC and MTU."""
    shown = json.loads(lab.run_in(member, "ip", "-json", "link", "show", "dev", interface).stdout)
    return shown[0]["address"], shown[0]["mtu"]


def test_workloads_have_what_the_policy_says(lab: Lab) -> None:
    assert lab.up() is Outcome.BUILT
    for workload in lab.topology().workloads:
        member = f"workload.{workload.key.replace('/', '.')}"
        assert addresses(lab, member, "eth0") == set(map(str, workload.addresses))
        assert link(lab, member, "eth0") == (workload.mac, workload.mtu)
    routes = lab.run_in("workload.default.client", "ip", "route", "show", "default").stdout.split()
    assert routes[:5] == ["default", "via", "10.1.0.1", "dev", "eth0"]
    routes = lab.run_in("workload.default.client", "ip", "-6", "route", "show", "default").stdout.split()
    assert routes[:5] == ["default", "via", "fd01::1", "dev", "eth0"]


def test_devices_meet_in_the_underlay_and_representors_have_no_address(lab: Lab) -> None:
    lab.up()
    # That in the underlay, and the one of its node, at which node ports are called.
    assert addresses(lab, "device.dpu-a", "p0") == {"192.0.2.1/24", "198.51.100.1/32"}
    assert link(lab, "device.dpu-a", "p0") == ("02:00:00:00:aa:01", 1500)
    shown = json.loads(lab.run_in("device.dpu-a", "ip", "-json", "addr", "show", "dev", "client").stdout)
    assert shown[0]["addr_info"] == []
    answer = lab.run_in("device.dpu-a", "arping", "-c", "1", "-w", "2", "-i", "p0", "192.0.2.2")
    assert "02:00:00:00:aa:02" in answer.stdout


def test_without_a_pipeline_nothing_is_forwarded(lab: Lab) -> None:
    lab.up()
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.client.rp_filter"):
        assert lab.run_in("device.dpu-a", "sysctl", "-n", key).stdout == "0\n"
    answer = lab.run_in("workload.default.client", "curl", "-s", "--max-time", "1", "http://10.1.0.3:8080/")
    assert answer.returncode in (7, 28)


def test_servers_answer(lab: Lab) -> None:
    lab.up()
    for address, shown in (("10.1.0.3", "10.1.0.3"), ("[fd01::3]", "fd01::3")):
        answer = lab.run_in("workload.default.web-1", "curl", "-s", f"http://{address}:8080/")
        assert answer.stdout == f"web-1 {shown}\n"


def test_a_host_reaches_its_dpu_alone(lab: Lab) -> None:
    lab.up()
    answer = lab.run_in("node.node-a", "arping", "-c", "1", "-w", "2", "-i", "dpu0", "169.254.0.2")
    assert answer.returncode == 0
    assert addresses(lab, "node.node-a", "lo") == {"198.51.100.1/32"}


def test_up_again_changes_nothing(lab: Lab) -> None:
    lab.up()
    before = lab.state()
    assert lab.up() is Outcome.UNCHANGED
    assert lab.state() == before
    assert status(lab.name, lab.run).is_whole


def test_a_process_that_ended_is_started_again(lab: Lab) -> None:
    lab.up()
    first = {process.member: process for process in lab.state().processes}
    processes.end([first["dpu-a"].pid], 1.0)
    assert not status(lab.name, lab.run).is_whole
    assert lab.up() is Outcome.REPAIRED
    second = {process.member: process for process in lab.state().processes}
    assert second["dpu-a"] != first["dpu-a"]
    assert {**second, "dpu-a": None} == {**first, "dpu-a": None}
    assert status(lab.name, lab.run).is_whole


def test_a_lost_interface_makes_the_lab_anew(lab: Lab) -> None:
    lab.up()
    lab.run_in("device.dpu-a", "ip", "link", "delete", "client")
    assert lab.up() is Outcome.REBUILT
    assert lab.said[-3:] == [
        f"lab '{lab.name}' is not whole: building it anew",
        "making 9 namespaces",
        "starting 4 devices and servers",
    ]
    assert status(lab.name, lab.run).is_whole


def test_offloads(lab: Lab) -> None:
    def shown(member: str, interface: str) -> set[str]:
        lines = lab.run_in(member, "ethtool", "-k", interface).stdout.splitlines()
        wanted = ("tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload")
        return {line.partition(": ")[2] for line in lines if line.startswith(wanted)}

    places = [("workload.default.client", "eth0"), ("device.dpu-a", "client"), ("device.dpu-b", "p0")]
    assert lab.up(offloads=False) is Outcome.BUILT
    assert [shown(*place) for place in places] == [{"off"}] * 3
    assert lab.up(offloads=False) is Outcome.UNCHANGED
    assert lab.up(offloads=True) is Outcome.REPAIRED
    assert [shown(*place) for place in places] == [{"on"}] * 3


def test_down_takes_guests_mounts_and_sockets_with_it(lab: Lab) -> None:
    lab.up()
    stubborn = ["/bin/sh", "-c", "trap '' TERM; sleep 600"]
    guest = subprocess.Popen(["ip", "netns", "exec", f"tn-{lab.name}.workload.default.client", *stubborn])
    mount_bpffs(lab.folder / "dpu-a" / "bpf")
    with socket.socket(socket.AF_UNIX) as left_by_a_killed_device:
        left_by_a_killed_device.bind(str(lab.run / "dpu-a.sock"))
    assert lab.down()
    # A shell whose sleep is killed first says so by its own status.
    assert guest.wait(10) in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert lab.left() == []
    assert not lab.down()


def test_a_process_with_a_recycled_id_is_left_alone(lab: Lab) -> None:
    lab.up()
    stranger = subprocess.Popen(["sleep", "600"])
    state = lab.state()
    reused = replace(state.processes[0], pid=stranger.pid)
    write_state(lab.folder, replace(state, processes=(reused, *state.processes)))
    lab.down()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def refused(lab: Lab, text: str | None = None) -> LabError:
    with pytest.raises(LabError) as error:
        lab.builder().up(lab.topology(text))
    return error.value


def test_other_contents_are_refused(lab: Lab) -> None:
    lab.up()
    before = lab.state()
    error = refused(lab, shop(str(lab.run)).replace("mtu: 1400", "mtu: 1300"))
    assert str(error) == (
        f"lab '{lab.name}' is up with other nodes, devices or workloads\n"
        f"  hint: `turnout lab down --name {lab.name}` first"
    )
    assert lab.state() == before


def test_a_foreign_namespace_is_refused_and_stays(lab: Lab) -> None:
    foreign = f"tn-{lab.name}.node.node-b"
    subprocess.run(["ip", "netns", "add", foreign], check=True)
    try:
        assert refused(lab).message == f"namespace {foreign} exists, and no lab has recorded it"
        assert not lab.down()
        assert lab.left() == [foreign]
    finally:
        subprocess.run(["ip", "netns", "delete", foreign], check=True)


def test_two_labs_side_by_side_and_their_clash(lab: Lab) -> None:
    other = Lab(name=f"{lab.name}-b", run=lab.run)
    elsewhere = lab.run / "elsewhere"
    elsewhere.mkdir()
    lab.up()
    assert refused(other).message == f"lab '{lab.name}' already has a device at unix:{lab.run}/dpu-a.sock"
    other.builder().up(other.topology(shop(str(elsewhere))))
    other.down()
    elsewhere.rmdir()
    assert status(lab.name, lab.run).is_whole


def test_a_device_that_is_not_of_a_lab_is_not_replaced(lab: Lab) -> None:
    path = lab.run / "dpu-b.sock"
    with socket.socket(socket.AF_UNIX) as device:
        device.bind(str(path))
        device.listen()
        assert refused(lab).message == f"a device that is not of this lab already listens at unix:{path}"
    path.unlink()


def test_a_device_that_does_not_start_is_named_with_its_words(lab: Lab) -> None:
    def broken(device: LabDevice, folder: Path) -> Sequence[str]:
        return ["/bin/sh", "-c", f"echo {device.name} has no kernel >&2; exit 3"]

    with pytest.raises(LabError) as error:
        Builder(device_command=broken, say=lab.said.append, run=lab.run).up(lab.topology())
    log = lab.folder / "dpu-a.device.log"
    assert str(error.value) == (
        f"dpu-a: the device ended before it was ready; the end of {log}:\n    dpu-a has no kernel"
    )
    assert lab.up() is Outcome.REBUILT


def test_a_tagged_workload(lab: Lab) -> None:
    probe = f"tn-{lab.name}-probe"
    subprocess.run(["ip", "netns", "add", probe], check=True)
    try:
        netns.ip_batch(["link add link lo name v7 type vlan id 7"], namespace=probe)
    except LabError as error:
        if "Unknown device type" in error.message:
            pytest.skip("kernel lacks VLAN interfaces (CONFIG_VLAN_8021Q)")
    finally:
        subprocess.run(["ip", "netns", "delete", probe], check=True)
    lab.builder().up(lab.topology(shop(str(lab.run), vlan=", vlan: 7")))
    assert addresses(lab, "workload.default.web-2", "eth0.7") == {"10.1.0.4/16"}
    assert addresses(lab, "workload.default.web-2", "eth0") == set()


def test_only_root_builds(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refused(lab).message == "the lab makes network namespaces, which only root may"
    monkeypatch.undo()


def test_a_missing_tool_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    error = refused(lab)
    monkeypatch.undo()
    assert str(error) == "`ip` is not installed\n  hint: apt-get install iproute2"
