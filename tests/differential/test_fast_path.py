"""The fast path is taken where it should be, and the whole program does the same without it.

That both do what the interpreter does is the business of every other test here: known flows and untouched packets take
the fast path in all of them.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import print_c
from runtime.bpf import chains
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb, run_xdp
from runtime.build import compile_source
from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.frames import frame, tcp, tunnelled, udp
from runtime.verification.levels import small
from runtime.verification.sequences import SEQUENCES, Sequence
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, UPLINK, VIP, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.testrun_level import FIRST_IFINDEX, LOOPBACK, TestRunLevel

pytestmark = [pytest.mark.root, pytest.mark.slow]
SLOTS = 64
WHOLE = {"uses_fast_path": 0}
UNDECIDED = "return verdict == PACKET_UNDECIDED ? whole(ctx) : verdict;"
MARKED = "return verdict == PACKET_UNDECIDED ? (clock_test_ms() & 1 ? 77 : whole(ctx)) : verdict;"
SYNTHETIC = 77
"""What the marked program returns for a packet that the whole program would get, at odd milliseconds."""


def verdict(level: TestRunLevel, port: int, packet: bytes, now_ms: int) -> int:
    level.set_time(now_ms)
    level.add_port(port)
    with pinned_to_cpu():
        if level.hook is Hook.TC:
            return run_skb(level.program.fd, packet, SkbContext(ingress_ifindex=FIRST_IFINDEX + port)).verdict
        level.interfaces.put(LOOPBACK, port)
        return run_xdp(level.program.fd, packet).verdict


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
@pytest.mark.parametrize("version", [4, 6])
def test_known_flows_and_the_underlay_take_the_fast_path(hook: Hook, version: int) -> None:
    source = small(pipeline(), SLOTS)
    text = print_c(source)
    assert text.count(UNDECIDED) == 1
    elf = compile_source(text.replace(UNDECIDED, MARKED), hook)
    client, vip = ADDRESSES[version]["client"], VIP[version]
    syn, data = (bytes(frame(client, vip, tcp(1024, 80, flags))) for flags in ("S", "PA"))
    query = bytes(frame(client, vip, udp(1024, 53)))
    with TestRunLevel(source, hook, elf=elf) as level:
        comparison = Comparison([level])
        comparison.fill(device_entries("A", book=Book(comparison.names)))
        for port in (UPLINK, CLIENT_PORT, WEB_1_PORT):
            level.add_port(port)
        assert verdict(level, CLIENT_PORT, syn, 1001) == SYNTHETIC, "a first packet is for the whole program"
        forwarded = verdict(level, CLIENT_PORT, syn, 1000)
        assert forwarded != SYNTHETIC
        assert verdict(level, CLIENT_PORT, data, 1001) == forwarded
        assert verdict(level, CLIENT_PORT, syn, 1001) == SYNTHETIC, "and so is the same once more"
        assert verdict(level, CLIENT_PORT, query, 1001) == SYNTHETIC
        foreign = bytes(tunnelled(frame(client, vip, tcp(9, 9, "PA")), vni=77))
        assert verdict(level, UPLINK, foreign, 1001) == {Hook.TC: -1, Hook.XDP: 2}[hook], (
            "another's tunnel is left alone"
        )


def every_vector(level: TestRunLevel) -> None:
    comparison = Comparison([level])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for _, port, packet in vectors():
        comparison.wait(7)
        comparison.process(port, packet)
    comparison.compare_state()


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_the_whole_program_alone(hook: Hook) -> None:
    with TestRunLevel(small(pipeline(), SLOTS), hook, flags=WHOLE) as level:
        every_vector(level)


@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
def test_where_no_program_with_functions_may_go_on_to_another_the_whole_one_is_all(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "takes_chains", lambda: False)
    with TestRunLevel(small(pipeline(), SLOTS), hook) as level:
        assert level.program.name == hook.whole
        every_vector(level)


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def whole(request: pytest.FixtureRequest) -> Generator[TestRunLevel]:
    with pinned_to_cpu(), TestRunLevel(small(pipeline(), 16), request.param, flags=WHOLE) as level:
        yield level


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence.name)
def test_a_named_sequence_in_the_whole_program_alone(whole: TestRunLevel, sequence: Sequence) -> None:
    sequence.run(Comparison([whole]))
