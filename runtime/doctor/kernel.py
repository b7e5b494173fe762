"""The probes of `runtime.bpf.features` as findings: which are needed, and what to do about the others."""

from __future__ import annotations

from typing import Final

from runtime.bpf.features import Feature, probe_all
from runtime.doctor.findings import Finding, Subject

NEEDED: Final = frozenset(
    {"kernel", "libbpf", "bpf right", "compiler", "bpffs", "tc programs", "syscall programs", "lpm trie"}
)
"""Without one of them, policies cannot be compiled here or the kernel device cannot run."""

SETUP: Final = "./setup"
NEWER_KERNEL: Final = "a kernel from 5.15 on with CONFIG_BPF_SYSCALL"
REMEDIES: Final = {
    "kernel": NEWER_KERNEL,
    "libbpf": f"apt-get install libbpf1, or {SETUP}",
    "bpf right": "run as root",
    "compiler": f"apt-get install clang llvm, or {SETUP}",
    "bpffs": "run as root; CONFIG_BPF_SYSCALL",
    "tc programs": "CONFIG_NET_CLS_BPF, CONFIG_NET_CLS_ACT",
    "jit": "CONFIG_BPF_JIT, sysctl net.core.bpf_jit_enable=1",
    "tail calls": "CONFIG_BPF_JIT, sysctl net.core.bpf_jit_enable=1; on arm64 a kernel from 6.0 on",
    "tcx": "a kernel from 6.6 on",
    "memlock": "a kernel from 5.11 on, or run as root",
    "kernel btf": "CONFIG_DEBUG_INFO_BTF",
}


def kernel_findings() -> tuple[Finding, ...]:
    """Every kernel feature, tried on this machine."""
    return tuple(finding_of(feature) for feature in probe_all())


def finding_of(feature: Feature) -> Finding:
    tools = ("libbpf", "compiler")
    return Finding(
        subject=Subject.TOOL if feature.name in tools else Subject.KERNEL,
        name=feature.name,
        present=feature.present,
        needed=feature.name in NEEDED,
        detail=feature.detail,
        disables=feature.disables,
        remedy=REMEDIES.get(feature.name, NEWER_KERNEL),
    )
