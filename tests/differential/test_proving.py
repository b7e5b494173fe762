"""`turnout verify` finds what is wrong, and tells it: programs and pipelines with a fault, on an example's policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.utils import PcapNgReader

from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from compiler.policy.policyset import Algorithm, PolicySet
from runtime.bpf.chains import Hook
from runtime.verification.levels import Level, small
from runtime.verification.proof.proving import Effort, Proof, Prover
from runtime.verification.testrun_level import TestRunLevel
from tests.mutation.mutant import ChangedPipeline, SubstitutedText
from tests.mutation.named import NAMED
from tests.mutation.objects import mutant_object

ROOT = Path(__file__).resolve().parents[2]
SOURCE = small(pipeline(), 1024)
EFFORT = Effort(packets=2_500)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> PolicySet:
    monkeypatch.chdir(ROOT)
    return load([Path("examples") / "shop.yaml"]).policies


def mutant(name: str) -> ChangedPipeline | SubstitutedText:
    return next(one for one in NAMED if one.name == name)


def prove(policies: PolicySet, levels: Sequence[Level], effort: Effort = EFFORT) -> Proof:
    return Prover(pipeline=SOURCE, policies=policies, levels=levels).prove(policies.devices[0], effort)


def prove_mutant(policies: PolicySet, name: str) -> Proof:
    found = mutant(name)
    with TestRunLevel(SOURCE, found.hook, elf=mutant_object(found, SOURCE, found.hook)) as level:
        return prove(policies, [level])


@pytest.mark.root
@pytest.mark.slow
def test_a_wrong_reply_is_told_in_two_steps(shop: PolicySet) -> None:
    proof = prove_mutant(shop, "src and dst swapped in translate_reply")
    assert proof.found is not None
    assert (proof.device, proof.holds, proof.levels) == ("dpu-a", False, ("interpreter", "tc"))
    assert proof.found.text.splitlines()[:6] == [
        "1. shop/client (port 16 of dpu-a) sends TCP SYN 10.1.0.10:20001 (shop/client) > "
        "10.96.0.10:80 (service shop/web:http)",
        "   dpu-a: to shop/web-1 (port 17 of dpu-a) as TCP SYN 10.1.0.10:20001 (shop/client) > "
        "10.1.0.11:8080 (shop/web-1)",
        "2. shop/web-1 (port 17 of dpu-a) sends TCP SYN+ACK 10.1.0.11:8080 (shop/web-1) > "
        "10.1.0.10:20001 (shop/client)",
        "   interpreter: to shop/client (port 16 of dpu-a) as TCP SYN+ACK 10.96.0.10:80 (service shop/web:http) > "
        "10.1.0.10:20001 (shop/client)",
        "   tc: to shop/client (port 16 of dpu-a) as TCP SYN+ACK 10.1.0.10:80 (shop/client) > "
        "10.96.0.10:20001 (service shop/web)",
        "   bytes differ from 27 on (ipv4): 60000a0a and 01000a0a",
    ]


@pytest.mark.root
@pytest.mark.slow
def test_its_capture_has_both_sides(shop: PolicySet, tmp_path: Path) -> None:
    proof = prove_mutant(shop, "port rewrite forgotten")
    assert proof.found is not None
    path = tmp_path / "found.pcapng"
    path.write_bytes(proof.found.pcap)
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [(packet.sniffed_on, packet[TCP].dport) for packet in packets] == [
        ("dpu-a:16", 80),
        ("dpu-a:17 interpreter", 8080),
        ("dpu-a:17 tc", 80),
    ]
    assert packets[0].comments == [b"interpreter and tc part here"]


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most_steps"),
    [
        ("network left out of the service key", 1),
        ("any ARP answered", 1),
        ("MTU compared with >=", 1),
        ("checksum difference with the wrong sign", 1),
        ("expires a millisecond late", 5),
    ],
)
def test_faults_of_programs_are_found(shop: PolicySet, name: str, most_steps: int) -> None:
    proof = prove_mutant(shop, name)
    assert proof.found is not None
    assert len(proof.found.acts) <= most_steps, proof.found.text
    assert proof.found.pcap


@pytest.mark.root
@pytest.mark.slow
def test_what_is_right_holds(shop: PolicySet) -> None:
    with TestRunLevel(SOURCE, Hook.TC) as tc, TestRunLevel(SOURCE, Hook.XDP) as xdp:
        for device in shop.devices:
            proof = Prover(pipeline=SOURCE, policies=shop, levels=[tc, xdp]).prove(device, EFFORT)
            assert proof.found is None, proof.found.text
            assert (proof.coverage.missed, proof.coverage.backends) == ([], 13)
            assert proof.packets > 1_500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wrong reverse key", "network left out of the service key", "port rewrite forgotten"])
def test_faults_of_the_pipeline_break_what_policies_promise(shop: PolicySet, name: str) -> None:
    """All levels would agree on them; no root is needed to find them."""
    found = mutant(name)
    assert isinstance(found, ChangedPipeline)
    proof = Prover(pipeline=found.change(SOURCE), policies=shop, levels=[]).prove(shop.devices[0], EFFORT)
    assert proof.found is not None
    assert "should be delivered" in proof.found.text


@pytest.mark.slow
def test_where_the_source_decides_every_source_is_tried(shop: PolicySet) -> None:
    """What none of them is given is told as such: it may be what other sources are given."""
    by_source = tuple(replace(service, algorithm=Algorithm.SOURCE_HASH) for service in shop.services)
    proof = Prover(pipeline=SOURCE, policies=replace(shop, services=by_source), levels=[]).prove(
        shop.devices[0], EFFORT
    )
    assert (proof.found, proof.coverage.missed, proof.coverage.backends) == (None, [], 13)
    assert 0 < len(proof.coverage.not_given) < 8
    assert all(" of shop/web" in told for told in proof.coverage.not_given)


@pytest.mark.slow
def test_without_programs_the_interpreter_is_held_to_the_policies(shop: PolicySet) -> None:
    proof = prove(shop, [], Effort(packets=600))
    assert (proof.found, proof.levels, proof.is_whole) == (None, ("interpreter",), False)


@pytest.mark.slow
def test_all_backends_of_a_service_that_remembers_clients_are_reached(shop: PolicySet) -> None:
    remembering = replace(shop, services=tuple(replace(service, affinity_s=3_600) for service in shop.services))
    proof = Prover(pipeline=SOURCE, policies=remembering, levels=[]).prove(shop.devices[0], EFFORT)
    assert (proof.found, proof.coverage.missed, proof.coverage.backends) == (None, [], 13)


@pytest.mark.slow
def test_a_seed_gives_the_same_proof(shop: PolicySet) -> None:
    (device, *_), effort = shop.devices, Effort(packets=3_000, seed=7)
    first, second = (Prover(pipeline=SOURCE, policies=shop, levels=[]).prove(device, effort) for _ in range(2))
    assert first == second
    assert replace(effort, seed=8) != effort
