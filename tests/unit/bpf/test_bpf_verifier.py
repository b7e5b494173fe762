"""The line that matters, cut out of logs as kernels of several ages write them."""

from __future__ import annotations

import pytest

from runtime.bpf.verifier import VerifierStats, read_stats, telling_line

TAIL_5_15 = "processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
TAIL_6_18 = "verification time 166 usec\nstack depth 8\n" + TAIL_5_15

CASES = {
    "map value, 6.18 with places": (
        "0: R1=ctx() R10=fp0\n"
        "; u32 key = skb->mark; @ refused.bpf.c:12\n"
        "0: (61) r1 = *(u32 *)(r1 +8)          ; R1=scalar(smin=0,smax=umax=0xffffffff)\n"
        "7: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=m,ks=4,vs=4)\n"
        "; return *value; @ refused.bpf.c:15\n"
        "8: (61) r1 = *(u32 *)(r0 +0)\n"
        "R0 invalid mem access 'map_value_or_null'\n" + TAIL_6_18,
        "R0 invalid mem access 'map_value_or_null' (at refused.bpf.c:15: `return *value;`)",
    ),
    "map value, 5.15": (
        "; int careless(struct skb *skb)\n"
        "0: (61) r1 = *(u32 *)(r1 +8)\n"
        "R1_w=inv(id=0,umax_value=4294967295,var_off=(0x0; 0xffffffff)) R10=fp0\n"
        "; return *value;\n"
        "8: (79) r0 = *(u64 *)(r0 +0)\n"
        "R0 invalid mem access 'map_value_or_null'\n" + TAIL_5_15,
        "R0 invalid mem access 'map_value_or_null' (at `return *value;`)",
    ),
    "no source": (
        "0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\n" + TAIL_5_15,
        "R0 !read_ok",
    ),
    "too complex, with what follows": (
        "from 12 to 14: R0=1 R1=ctx() R10=fp0\n"
        "BPF program is too large. Processed 1000001 insn\n"
        "processed 1000001 insns (limit 1000000) max_states_per_insn 4 total_states 9 peak_states 9 mark_read 4\n",
        "BPF program is too large. Processed 1000001 insn",
    ),
    "packet bounds, precision chatter before": (
        "13: (71) r3 = *(u8 *)(r1 +40)\n"
        "mark_precise: frame0: last_idx 13 first_idx 0 subseq_idx -1\n"
        "mark_precise: frame0: regs=r3 stack= before 12: (bf) r3 = r2\n"
        "invalid access to packet, off=40 size=1, R1(id=0,off=40,r=34)\n"
        "R1 offset is outside of the packet\n" + TAIL_6_18,
        "R1 offset is outside of the packet",
    ),
    "global function": (
        "Validating control_a() func#1...\n"
        "0: R1=ctx() R10=fp0\n"
        "0: (b7) r0 = 0\n"
        "func#1 @12\n"
        "arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n"
        "Func#1 is global and valid. Skipping.\n" + TAIL_6_18,
        "arg#0 reference type('UNKNOWN ') size cannot be determined: -22",
    ),
    "log of an old kernel cut in the middle": ("12: (b7) r1 = 4\n13: (63) *(u32 *)(r10 -4", ""),
    "nothing": ("", ""),
    "statistics only": (TAIL_6_18, ""),
}


@pytest.mark.parametrize(("log", "line"), CASES.values(), ids=CASES)
def test_telling_line(log: str, line: str) -> None:
    assert telling_line(log) == line


def test_stats_of_a_recent_kernel() -> None:
    log = (
        "verification time 960 usec\nstack depth 8+16+0\n"
        "processed 16 insns (limit 1000000) max_states_per_insn 0 total_states 2 peak_states 1 mark_read 1\n"
    )
    assert read_stats(log) == VerifierStats(
        processed_insns=16,
        insns_limit=1_000_000,
        verification_us=960,
        stack_depths=(8, 16, 0),
        total_states=2,
        peak_states=1,
    )


def test_stats_of_silence() -> None:
    assert read_stats("") == VerifierStats()
