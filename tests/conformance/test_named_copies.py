"""Replicas whose ports have names, or numbers of controllers ("Port Translation for PSA Extern APIs"), on both targets."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from tests.conformance.client import Client, RpcRefusedError, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import config_of
from tests.conformance.naming import BEHIND, number
from tests.conformance.test_replication import (
    ALL,
    CLONED,
    INVALID,
    TO_GROUP,
    arrived,
    frame,
    group,
    mirrored,
    sent,
    session,
)
from tests.conformance.wired import WiredDevice, wired
from tests.pipelines.replicating import naming


@pytest.fixture(scope="module", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    folder = tmp_path_factory.mktemp("names")
    with wired(request.param, naming("string"), folder, "ctc", named=BEHIND) as made:
        yield made


@pytest.fixture
def connect(device: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(device.address) as connect:
        yield connect


@pytest.fixture
def client(connect: Callable[[], Client], device: WiredDevice, next_id: int) -> Client:
    made = connect()
    made.become_primary(next_id)
    made.set_config("VERIFY_AND_COMMIT", device.config)
    return made


def by(name: str, more: str = "") -> str:
    return f'replicas {{ port: "{name}" {more} }}'


def instead(name: str, instance: int = 0) -> str:
    return f'backup_replicas {{ port: "{name}" instance: {instance} }}'


def read(*written: str) -> list[p4r.Entity]:
    return [text_format.Parse(one, p4r.Entity()) for one in written]


def errors(client: Client, *updates: str) -> list[tuple[int, str]]:
    with pytest.raises(RpcRefusedError) as refused:
        client.write(*updates)
    return refused.value.errors


def test_copies_leave_by_ports_with_names(device: WiredDevice, client: Client) -> None:
    written = (group(5, by("cache", instead("up1", 3)), by("web")), session(5, by("up1"), by("cpu", instead("web"))))
    client.write(*(f"INSERT {one}" for one in written))
    client.write(sent(TO_GROUP, 0x01000003, 5), mirrored(CLONED, 5))
    assert client.read(ALL) == read(*written)
    left = frame(TO_GROUP, CLONED, ttl=63)
    assert arrived(device, frame(TO_GROUP, CLONED), 17, 16, 1) == [left, left, frame(TO_GROUP, CLONED)]


PORTS = "the ports are 'cache', 'cpu', 'up1', 'web'"


def test_names_of_nothing(client: Client) -> None:
    assert errors(
        client,
        f"INSERT {group(1, by('cache'), by('rep16'))}",
        f"INSERT {group(1, by('cache', instead('rep16')))}",
        f"INSERT {session(1, by(''))}",
        f"INSERT {session(1, 'replicas { egress_port: 17 }')}",
        f"INSERT {group(1, by('cache', instead('cache', 1)))}",
        f"INSERT {group(1, by('cache'), by('cache'))}",
        f"INSERT {group(1, by('cache'))}",
    ) == [
        (INVALID, f"multicast group 1, replica 2: there is no port 'rep16'; {PORTS}"),
        (INVALID, f"multicast group 1, replica 1, backup 1: there is no port 'rep16'; {PORTS}"),
        (INVALID, "clone session 1, replica 1: the value is empty"),
        (INVALID, "clone session 1, replica 1: egress_port 17: ports have names here, which only the field for bytes can carry"),
        (INVALID, "multicast group 1, replica 1, backup 1: port 'cache' is that of the replica itself"),
        (INVALID, "multicast group 1, replica 2: port 'cache' has instance 0 already"),
        (0, ""),
    ]  # fmt: skip


def test_numbers_of_controllers(device: WiredDevice, client: Client) -> None:
    """32-bit numbers of `sdn=`, or a port's own; the controller's is P4Runtime's, in the deprecated field as well."""
    client.set_config("VERIFY_AND_COMMIT", config_of(naming("32"), device.target))
    written = (
        group(5, by(r"\x01\x00\x10", instead(r"\x11", 1)), by(r"\xff\xff\xff\xfd", "instance: 4")),
        group(6, "replicas { egress_port: 65552 instance: 2 }", "replicas { egress_port: 4294967293 }"),
    )
    client.write(*(f"INSERT {one}" for one in written), sent(TO_GROUP, 0x01000003, 6))
    assert client.read(ALL) == read(*written)
    assert arrived(device, frame(TO_GROUP), 16) == [frame(TO_GROUP, ttl=63)]
    known = "the ports are 1, 17, 4294967293, 65552"
    assert errors(
        client,
        f"INSERT {group(7, by(number(16)))}",
        f"INSERT {group(7, 'replicas { egress_port: 16 }')}",
        f"INSERT {session(7, 'replicas { egress_port: 0 }')}",
        f"INSERT {group(7, by(number(1 << 32)))}",
    ) == [
        (INVALID, f"multicast group 7, replica 1: there is no port 16; {known}"),
        (INVALID, f"multicast group 7, replica 1: there is no port 16; {known}"),
        (INVALID, f"clone session 7, replica 1: there is no port 0; {known}"),
        (INVALID, "multicast group 7, replica 1: value 0x0100000000 does not fit in 32 bits"),
    ]


def test_over_another_pipeline_replicas_stay(device: WiredDevice, client: Client) -> None:
    """By the same names; where ports have others, what is there cannot be kept, and the device says what."""
    written = group(5, by("cache", instead("web")), by("cpu", "instance: 3"))
    client.write(f"INSERT {written}")
    other = replace(naming("string"), version="2", doc="The same, of another version.")
    client.set_config("RECONCILE_AND_COMMIT", config_of(other, device.target))
    assert client.read(ALL) == read(written)
    with pytest.raises(RpcRefusedError) as refused:
        client.set_config("RECONCILE_AND_COMMIT", config_of(naming("32"), device.target))
    assert refused.value.text == (
        "pipeline replicating cannot keep what is there: multicast group 5, replica 1: value 0x6361636865 does not fit in 32 bits"
    )
