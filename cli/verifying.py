"""What `turnout verify` and `turnout compile --verify` share: prove policies on this machine, and the record of it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cli.console import progress
from compiler.entries.desired import compile_entries
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.policy.policyset import Device, PolicySet
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.build import build_objects
from runtime.client.entries_text import entries_text
from runtime.verification.proof.machine import machine
from runtime.verification.proof.proving import Effort, Proof, Prover
from runtime.verified import Verification, VerifiedDevice, digest, program_digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """`missing` says why only the interpreter was held to the policies, empty when programs ran."""

    proofs: tuple[Proof, ...]
    record: Verification
    missing: str

    @property
    def holds(self) -> bool:
        return all(proof.holds for proof in self.proofs)


def verify_policies(
    policies: PolicySet, devices: Iterable[Device], effort: Effort, *, uses_wire: bool = False, date: str = ""
) -> Verified:
    """Device by device, with a bar on a terminal."""
    whole = pipeline()
    objects, missing = _objects(whole)
    with machine(whole, objects, uses_wire=uses_wire) as found:
        prover = Prover(pipeline=whole, policies=policies, levels=found.levels)
        proofs = tuple(_prove(prover, device, effort) for device in devices)
    ran = bool(found.levels)
    record = Verification(
        program=program_digests(whole, objects[Hook.TC], objects[Hook.XDP]) if ran else program_digests(whole),
        devices=tuple(_verified_device(policies, proof) for proof in proofs),
        seed=effort.seed,
        kernel=platform.release() if ran else "",
        date=date,
    )
    return Verified(proofs=proofs, record=record, missing=missing or found.missing)


def _objects(whole: Pipeline) -> tuple[Mapping[Hook, bytes], str]:
    try:
        return build_objects(whole), ""
    except BpfError as problem:
        return {}, str(problem)


def _prove(prover: Prover, device: Device, effort: Effort) -> Proof:
    with progress(f"verifying {device.name}", effort.packets if effort.seconds is None else None) as bar:
        return prover.prove(device, effort, bar.reach)


def _verified_device(policies: PolicySet, proof: Proof) -> VerifiedDevice:
    return VerifiedDevice(
        device=proof.device,
        entries=entries_digest(policies, proof.device),
        levels=proof.levels,
        packets=proof.packets,
        flows=proof.flows,
        states=proof.states,
        is_whole=proof.is_whole,
        holds=proof.holds,
    )


def entries_digest(policies: PolicySet, name: str) -> str:
    """Of what `turnout compile` writes as entries.txtpb of a device."""
    device = next(one for one in policies.devices if one.name == name)
    entries = compile_entries(policies, device).entries
    return digest(entries_text(pipeline(), entries, device.device_id).encode())
