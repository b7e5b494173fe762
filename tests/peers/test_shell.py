"""p4runtime-shell, which is not written here, drives a device: by names alone, as a person types them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from compiler.pipeline.assembly import pipeline
from tests.peers.conftest import Files, OpenShell
from tests.peers.handwritten import (
    ADDRESSES,
    CLIENT_PORT,
    MACS,
    NETWORK,
    ROUTER_MAC,
    SERVICE,
    SERVICE_ADDRESS,
    WEB_1_PORT,
    WEB_2_PORT,
    Call,
    Entry,
    Group,
    Member,
    backend,
    call,
    entries_of,
    everything,
    number,
    service,
    workloads,
)
from tests.peers.processes import PacketDevice
from tests.peers.shellclient import Shell, ShellError
from tests.peers.traffic import ask_for_gateway, connect, send_request

pytestmark = [pytest.mark.peer, pytest.mark.slow]
VERSIONS = (4, 6)


def test_p4info_as_the_shell_shows_it(shell: Shell) -> None:
    whole = pipeline()
    assert shell.do("names", kind="table") == sorted(table.name for table in whole.tables)
    assert shell.do("names", kind="action") == sorted(action.name for action in whole.actions)
    assert shell.do("names", kind="action_profile") == [
        "backends_ipv4",
        "backends_ipv6",
        "proxies_ipv4",
        "proxies_ipv6",
    ]
    assert shell.do("names", kind="counter") == ["drops", "service_replies", "service_requests"]
    counted = sorted(f"{table.name}_count" for table in whole.tables if table.counter_id is not None)
    assert shell.do("names", kind="direct_counter") == counted
    shell.do("actions_of", table="neighbor")
    assert shell.said == "deliver\nencapsulate\nmiss\n"
    shown = shell.do("described", kind="table", name="backend_ipv4")
    assert 'implementation_id: 285212692 ("backends_ipv4")' in shown
    assert shell.do("default_of", table="port") == ["miss"]


def test_everything_is_read_back_as_it_was_written(shell: Shell) -> None:
    for wish in everything():
        shell.insert(wish)
        assert shell.read_back(wish) == [wish.numbers()]
    for table, entries in entries_of(everything()).items():
        assert shell.read_table(table) == [entry.numbers() for entry in entries]
    for version in VERSIONS:
        one, two, group, *_ = service(version)
        assert shell.read_members(f"backends_ipv{version}") == [one.numbers(), two.numbers()]
        assert shell.read_groups(f"backends_ipv{version}") == [group.numbers()]


def test_changes_and_their_undoing(shell: Shell) -> None:
    for wish in everything():
        shell.insert(wish)
    moved = Entry(table="neighbor", match={"nexthop": "17"}, call=everything_deliver(port="19"))
    profile = "backends_ipv4"
    changed = Member(profile=profile, id=2, call=backend(4, "web-2", "8081"))
    weighted = Group(profile=profile, id=int(SERVICE), members=((1, 3), (2, 1)))
    for wish in (moved, changed, weighted):
        shell.modify(wish)
        assert shell.read_back(wish) == [wish.numbers()]
    for wish in reversed(everything()):
        shell.delete(wish)
        assert shell.read_back(wish) == []
    assert [shell.read_table(table) for table in entries_of(everything())] == [[]] * len(entries_of(everything()))


def everything_deliver(*, port: str) -> Call:
    out = {"network": NETWORK, "port": port, "mtu": "1450", "dst_mac": MACS["web-1"], "src_mac": ROUTER_MAC}
    return Call(action="deliver", params={**out, "vlan": "0"})


def test_a_set_of_actions_in_one_shot(shell: Shell, device: PacketDevice) -> None:
    for wish in workloads():
        shell.insert(wish)
    *_, to_service = service(4)
    actions = ((backend(4, "web-2"), 1),)
    one_shot = Entry(table="backend_ipv4", match={"service_id": SERVICE}, actions=actions)
    shell.insert(one_shot)
    shell.insert(to_service)
    assert shell.read_back(one_shot) == [one_shot.numbers()]
    assert shell.read_members("backends_ipv4") == []
    assert connect(device, 4, 41000).backend == "web-2"
    both = replace(one_shot, actions=((backend(4, "web-1"), 2), (backend(4, "web-2"), 1)))
    shell.modify(both)
    assert shell.read_back(both) == [both.numbers()]
    assert {connect(device, 4, port).backend for port in range(41001, 41031)} == {"web-1", "web-2"}


@pytest.mark.parametrize("version", VERSIONS)
def test_traffic_follows(shell: Shell, device: PacketDevice, version: int) -> None:
    assert send_request(device, version, 42000).verdict == "TO_KERNEL"
    for wish in (*workloads(), *service(version)):
        shell.insert(wish)
    assert ask_for_gateway(device) == ROUTER_MAC
    opened = [connect(device, version, port) for port in range(42001, 42021)]
    by_backend = Counter(one.backend for one in opened)
    assert by_backend.keys() == {"web-1", "web-2"}

    sent, received = sum(len(one.request) for one in opened), sum(len(one.reply) for one in opened)
    assert shell.do("read_counter", counter="service_requests", index=int(SERVICE)) == [[int(SERVICE), 20, sent]]
    assert shell.do("read_counter", counter="service_replies", index=int(SERVICE)) == [[int(SERVICE), 20, received]]
    (to_service,) = entries_of(service(version))[f"service_ipv{version}"]
    counted = [to_service.numbers()["match"], 20, sent]
    direct = f"service_ipv{version}_count"
    assert shell.do("read_direct_counter", counter=direct, match={}) == [counted]
    assert shell.do("read_direct_counter", counter=direct, match=to_service.match) == [counted]
    packets = {match["port"]: count for match, count in shell.do("read_counted", table="port")}
    assert packets == {CLIENT_PORT: 21, WEB_1_PORT: by_backend["web-1"], WEB_2_PORT: by_backend["web-2"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_learned_connections_are_read_and_deleted(shell: Shell, device: PacketDevice, version: int) -> None:
    for wish in (*workloads(), *service(version)):
        shell.insert(wish)
    opened = connect(device, version, 43000)
    forth, back = f"flow_ipv{version}", f"flow_reverse_ipv{version}"
    (flow,) = shell.read_table(forth)
    assert flow["match"]["src"] == number(ADDRESSES[version]["client"])
    assert flow["match"]["dst"] == number(SERVICE_ADDRESS[version])
    assert flow["call"]["action"] == f"translate_ipv{version}"
    assert flow["call"]["params"]["dst"] == number(ADDRESSES[version][opened.backend])
    ((idle_ns, timeout_ns),) = shell.do("read_idle", table=forth)
    assert 0 <= idle_ns < 60e9
    assert timeout_ns == 60e9  # of a connection that has only begun
    shell.do("delete_all", wish=asdict(Entry(table=forth, match={})))
    assert (shell.read_table(forth), shell.read_table(back)) == ([], [])
    with pytest.raises(ShellError, match=f"PERMISSION_DENIED, 'table {forth} is learned"):
        shell.insert(Entry(table=forth, match={name: str(value) for name, value in flow["match"].items()}))


def test_counters_are_set(shell: Shell) -> None:
    shell.do("write_counter", counter="drops", index=3, packets=9)
    assert shell.do("read_counter", counter="drops")[2:5] == [[2, 0, 0], [3, 9, 0], [4, 0, 0]]


REFUSED = [
    (
        Entry(table="port", match={"port": "16", "vlan": "4096"}, call=call("set_uplink")),
        "INVALID_ARGUMENT, 'table port, match field vlan: value 0x1000 does not fit in 12 bits'",
    ),
    (
        Entry(table="port", match={"port": "16"}, call=call("set_uplink")),
        "INVALID_ARGUMENT, 'table port, match field vlan: is missing, and an exact field cannot be left out'",
    ),
    (
        Entry(table="port", match={"port": "16", "vlan": "0"}, call=call("set_workload", network=NETWORK)),
        "INVALID_ARGUMENT, 'table port: action set_workload, parameter nexthop is missing'",
    ),
    (
        Entry(table="port", match={"port": "16", "vlan": "0"}, call=call("miss")),
        "PERMISSION_DENIED, 'table port: action miss can only be the default action, not an entry's'",
    ),
    (
        Entry(table="backend_ipv4", match={"service_id": SERVICE}, group_id=99),
        "NOT_FOUND, 'action profile backends_ipv4, group 99: there is no such group'",
    ),
    (
        Group(profile="backends_ipv4", id=5, members=((1, 1),)),
        "NOT_FOUND, 'action profile backends_ipv4, group 5: there is no member 1'",
    ),
]


def test_what_is_wrong_is_shown(shell: Shell) -> None:
    for wish, expected in REFUSED:
        with pytest.raises(ShellError) as refused:
            shell.insert(wish)
        assert (refused.value.kind, refused.value.text) == (
            "P4RuntimeWriteException",
            f"Error(s) during Write:\n\t* At index 0: {expected}\n",
        )
    for table in entries_of(everything()):
        assert shell.read_table(table) == []


def _duplicate(shell: Shell) -> None:
    shell.insert(workloads()[0])


def _absent(shell: Shell) -> None:
    shell.delete(workloads()[1])


def _in_use(shell: Shell) -> None:
    shell.delete(service(4)[0])


CONFLICTS: list[tuple[Callable[[Shell], None], str]] = [
    (_duplicate, "ALREADY_EXISTS, 'table network, entry network=0x1: it is there already'"),
    (_absent, "NOT_FOUND, 'table arp, entry network=0x1, address=0xa020001: there is no such entry'"),
    (_in_use, "FAILED_PRECONDITION, 'action profile backends_ipv4, member 1: it is in use (1 references)'"),
]


def test_conflicts_are_shown(shell: Shell) -> None:
    for wish in (workloads()[0], *service(4)):
        shell.insert(wish)
    for attempt, expected in CONFLICTS:
        with pytest.raises(ShellError) as refused:
            attempt(shell)
        assert refused.value.text == f"Error(s) during Write:\n\t* At index 0: {expected}\n"


def test_a_client_of_lower_id_reads_and_does_not_write(
    shell: Shell, device: PacketDevice, open_shell: OpenShell, next_election_id: int
) -> None:
    own, lower, higher = next_election_id, next_election_id - 1, next_election_id + 1
    shell.insert(workloads()[0])
    with open_shell(device.address) as second:
        second.connect(lower)
        assert second.said == "You are not the primary client, you only have read access to the server\n"
        assert second.read_table("network") == [workloads()[0].numbers()]
        with pytest.raises(ShellError) as refused:
            second.insert(workloads()[1])
        assert (refused.value.kind, refused.value.text) == (
            "PERMISSION_DENIED",
            f"Not primary: the election id given is {lower}, the primary's is {own}",
        )
        second.disconnect()
        second.connect(higher)
        assert second.said == ""
        second.insert(workloads()[1])
        with pytest.raises(ShellError, match=f"Not primary: the election id given is {own}, the primary's is {higher}"):
            shell.insert(workloads()[2])


def test_a_pipeline_that_is_refused(shell: Shell, files: Files, next_election_id: int, tmp_path: Path) -> None:
    shell.insert(workloads()[0])
    shell.disconnect()
    info, bundle = files
    cut = tmp_path / "cut.bundle"
    cut.write_bytes(bundle.read_bytes()[:-100])
    with pytest.raises(ShellError) as refused:
        shell.connect(next_election_id, config=(info, cut))
    assert refused.value.kind == "SystemExit"
    assert (
        "INVALID_ARGUMENT): p4_device_config is not a bundle: it is no zip file, or a damaged one" in refused.value.said
    )
    shell.connect(next_election_id)
    assert shell.read_table("network") == [workloads()[0].numbers()]


def test_a_device_without_a_pipeline(model_address: str, open_shell: OpenShell) -> None:
    with open_shell(model_address) as shell:
        assert shell.connect(1) == "1.5.0"
        assert shell.do("names", kind="table") == []


def test_another_device_id(device: PacketDevice, open_shell: OpenShell) -> None:
    with open_shell(device.address) as shell:
        with pytest.raises(ShellError) as refused:
            shell.connect(1, device_id=2)
        assert "NOT_FOUND): there is no device 2 here, only 1" in refused.value.said


REQUEST = """
updates {
  type: INSERT
  entity { action_profile_member {
    action_profile_id: 0x11000014 member_id: 1
    action { action_id: 0x01000014 params { param_id: 1 value: "\\n\\002\\000\\v" } params { param_id: 2 value: "P" } }
  } }
}
updates {
  type: INSERT
  entity { action_profile_group { action_profile_id: 0x11000014 group_id: 7 members { member_id: 1 weight: 1 } } }
}
"""


def test_a_batch_from_a_file(shell: Shell, tmp_path: Path) -> None:
    request = tmp_path / "request.txtpb"
    request.write_text(REQUEST)
    shell.do("write_file", path=str(request))
    assert shell.read_members("backends_ipv4") == [
        Member(profile="backends_ipv4", id=1, call=backend(4, "web-1", "80")).numbers()
    ]
    assert shell.read_groups("backends_ipv4") == [Group(profile="backends_ipv4", id=7, members=((1, 1),)).numbers()]
    with pytest.raises(ShellError) as refused:
        shell.do("write_file", path=str(request))
    assert refused.value.text.count("ALREADY_EXISTS") == 2
