"""The printed C by BPF_PROG_TEST_RUN: every packet a call, no interface needed but loopback.

What the kernel does not show of a test run (where a packet went, why it was dropped, the VLAN tag in metadata) is read
from the program's scratch memory. Not seen: tags and checksums in metadata on the way in; `wire_level` has those.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.ir.nodes import Pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import MIN_FRAME, SkbContext, pinned_to_cpu, run_skb, run_xdp
from runtime.verification.kernel_level import KernelLevel
from runtime.verification.kernel_state import Left
from runtime.verification.levels import HASH_SEED, LONGEST_FRAME, Contradiction
from runtime.verification.vector import PacketIn, Step

LOOPBACK = 1
FIRST_IFINDEX = 1000
_IPV4, _IPV6, _VLAN = b"\x08\x00", b"\x86\xdd", b"\x81\x00"
_SHORTEST = {_IPV4: 34, _IPV6: 54, _VLAN: 18}
_U32 = struct.Struct("<I")
_CODES = {
    Hook.TC: {VerdictKind.TO_KERNEL: -1, VerdictKind.FORWARD: 7, VerdictKind.REPLY: 7},
    Hook.XDP: {VerdictKind.TO_KERNEL: 2, VerdictKind.FORWARD: 4, VerdictKind.REPLY: 3},
}
"""TCX_NEXT, TC_ACT_REDIRECT; XDP_PASS, XDP_REDIRECT, XDP_TX."""
_GONE = {Hook.TC: 2, Hook.XDP: 1}
"""Of a packet that is dropped, or given to the controller: TC_ACT_SHOT, XDP_DROP."""


class TestRunLevel(KernelLevel):
    """A port gets an interface when a packet comes in by it. One to any other is dropped, its outcome still told."""

    __test__ = False
    """No test class, whatever its name looks like."""

    def __init__(
        self,
        pipeline: Pipeline,
        hook: Hook,
        *,
        hash_seed: int = HASH_SEED,
        flags: Mapping[str, int] | None = None,
        elf: bytes | None = None,
        traces: bool = True,
    ) -> None:
        super().__init__(pipeline, hook, hash_seed=hash_seed, flags=flags, elf=elf, traces=traces)
        self.name = "tc" if hook is Hook.TC else "XDP"
        self._ports: set[int] = set()

    def takes(self, step: Step, /) -> bool:
        """The kernel wants a whole IP header for tc, and an Ethernet header for XDP."""
        if not isinstance(step, PacketIn):
            return True
        shortest = _SHORTEST.get(step.frame[12:14], MIN_FRAME) if self.hook is Hook.TC else MIN_FRAME
        return shortest <= len(step.frame) <= LONGEST_FRAME and not step.gso_size

    def process(self, packet: PacketIn) -> Outcome:
        self.add_port(packet.port)
        with pinned_to_cpu() as cpu:
            code, frame = self._run(packet)
            left = self.read_outcome(cpu)
        self._expect(left, code)
        copies = self.copies(lambda _, is_clone: packet.frame if is_clone else frame)
        return replace(self.outcome(left, frame), digests=self.sent_digests(), copies=copies)

    def run(self, packet: PacketIn) -> Left:
        """What the program notes of a packet; what it leaves for the controller stays where it is."""
        with pinned_to_cpu() as cpu:
            self._run(packet)
            return self.read_outcome(cpu)

    def _run(self, packet: PacketIn) -> tuple[int, bytes]:
        if self.hook is Hook.TC:
            skb = run_skb(self.program.fd, packet.frame, SkbContext(ingress_ifindex=FIRST_IFINDEX + packet.port))
            return skb.verdict, skb.frame
        self.interfaces.put(LOOPBACK, packet.port)
        xdp = run_xdp(self.program.fd, packet.frame)
        return xdp.verdict, xdp.frame

    def add_port(self, port: int) -> None:
        """Put an interface behind a port; of both kinds in turn."""
        if port in self._ports:
            return
        self._ports.add(port)
        if self.hook is Hook.TC:
            self.interfaces.put(FIRST_IFINDEX + port, port)
            kind = 1 + port % 2
            self.map("egress").update(_U32.pack(port), struct.pack("<2I", FIRST_IFINDEX + port, kind))
        else:
            self.map("egress_xdp").update(_U32.pack(port), _U32.pack(LOOPBACK))

    def _expect(self, left: Left, code: int) -> None:
        has_no_port = left.kind is VerdictKind.FORWARD and left.egress_port not in self._ports
        wanted = _GONE[self.hook] if has_no_port else _CODES[self.hook].get(left.kind, _GONE[self.hook])
        if code != wanted:
            raise Contradiction(f"the program says {left}, and returns {code} instead of {wanted}")
