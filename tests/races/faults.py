"""Faults of what keeps two CPUs apart, one at a time, in the headers and in the printed C.

A single CPU does the same with them as without: only packets at the same instant show them.
"""

from __future__ import annotations

from tests.mutation.mutant import PRINTED, SubstitutedText

_SETTLE = "\tFLOW(fill)(slot, entry, first->slot);\n"
_LET_GO = "\tFLOW(let_go)(slot, version + 2);\n"
_ARGUMENTS = (
    "\tfor (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)\n\t\tslot->argument_words[i] = entry->argument_words[i];\n"
)

FAULTS = (
    SubstitutedText(
        name="the version is not read again behind the copy",
        file="flow_table.h",
        old="FLOW_READ(from->version) == (u32)head",
        new="true",
    ),
    SubstitutedText(name="a slot that is being written is a hit", file="flow_table.h", old=" && !(head & 1)", new=""),
    SubstitutedText(
        name="arguments are read from the slot, not from the copy",
        file=PRINTED,
        old="(&hit->arguments.",
        new="(&hit->slot->arguments.",
        everywhere=True,
    ),
    SubstitutedText(
        name="a profile changes by a plain store",
        file="flow_table.h",
        old="u64 was = __sync_val_compare_and_swap(&slot->head, head, FLOW(with_profile)(head, next & 0xff));",
        new="u64 was = head;\n\n\t\t*(volatile u64 *)&slot->head = FLOW(with_profile)(head, next & 0xff);",
    ),
    SubstitutedText(
        name="a slot is taken by a plain store",
        file="flow_change.h",
        old="__sync_val_compare_and_swap(&slot->head, head, head + 1) != head",
        new="(*(volatile u64 *)&slot->head = head + 1, false)",
    ),
    SubstitutedText(
        name="a slot is held by a plain store",
        file="flow_change.h",
        old="__sync_val_compare_and_swap(&slot->version, version, version + 1) == version",
        new="(*(volatile u32 *)&slot->version = version + 1, true)",
    ),
    SubstitutedText(
        name="arguments are written before the slot is taken",
        file="flow_change.h",
        old="\tu64 head = FLOW_READ(slot->head);\n\tu32 version = (u32)head;\n",
        new=f"\tu64 head = FLOW_READ(slot->head);\n\tu32 version = (u32)head;\n{_ARGUMENTS}",
    ),
    SubstitutedText(
        name="a slot is let go before its entry is written",
        file="flow_change.h",
        old=_SETTLE,
        new=f"{_LET_GO}{_SETTLE}",
    ),
    SubstitutedText(
        name="the version stays when a slot is used again",
        file="flow_change.h",
        old="\tFLOW(let_go)(slot, version + 2);\n\tif (linked)",
        new="\tFLOW(let_go)(slot, version);\n\tif (linked)",
    ),
    SubstitutedText(
        name="the other half is removed without being held",
        file="flow_change.h",
        old="\tif (!FLOW(hold)(other, version))\n\t\treturn FLOW_HELD;\n",
        new="",
    ),
    SubstitutedText(
        name="a pair is made without holding the first half",
        file="flow_change.h",
        old="if (!slot || !FLOW(hold)(slot, first->version))",
        new="if (!slot)",
    ),
    SubstitutedText(
        name="an entry is removed without being held",
        file="flow_change.h",
        old="\tif (!FLOW(hold)(slot, version))\n\t\treturn version & 1 ? FLOW_HELD : 0;\n",
        new="",
    ),
)

_PAUSE = """
static __always_inline void flow_pause(void)
{
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < 30; i++)
		asm volatile("" : : "r"(i));
}
"""
SLOWNESS = (
    SubstitutedText(
        name="a function that takes time",
        file="flow_table.h",
        old="#define FLOW_HELD -1",
        new=f"{_PAUSE}\n#define FLOW_HELD -1",
    ),
    SubstitutedText(
        name="a reader takes time between the key and the arguments",
        file="flow_table.h",
        old="\tfor (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)\n\t\tall |=",
        new="\tflow_pause();\n\tfor (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)\n\t\tall |=",
    ),
    SubstitutedText(
        name="a writer takes time between the key and the arguments",
        file="flow_change.h",
        old="\tslot->bytes = 0;\n",
        new="\tslot->bytes = 0;\n\tflow_pause();\n",
    ),
)
"""Changes no meaning, but makes instants long in which two CPUs may meet."""
