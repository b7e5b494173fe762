"""The code of every diagnostic about a pipeline. Explained one by one in docs/ir.md."""

from __future__ import annotations

from typing import Final

from compiler.diagnostic import Code

BAD_NAME: Final = Code(id="E0501", name="ir-bad-name")
DUPLICATE_NAME: Final = Code(id="E0502", name="ir-duplicate-name")
DUPLICATE_ID: Final = Code(id="E0503", name="ir-duplicate-id")
BAD_ID: Final = Code(id="E0504", name="ir-bad-id")
UNKNOWN_NAME: Final = Code(id="E0505", name="ir-unknown-name")
BAD_HEADER: Final = Code(id="E0506", name="ir-bad-header")
BAD_SIZE: Final = Code(id="E0507", name="ir-bad-size")
UNUSED: Final = Code(id="E0508", name="ir-unused")
MISSING_PART: Final = Code(id="E0509", name="ir-missing-part")

BAD_REFERENCE: Final = Code(id="E0510", name="ir-bad-reference")
BAD_KEY: Final = Code(id="E0511", name="ir-bad-key")
TWO_LPM_KEYS: Final = Code(id="E0512", name="ir-two-lpm-keys")
BAD_DEFAULT: Final = Code(id="E0513", name="ir-bad-default-action")
BAD_STORE: Final = Code(id="E0514", name="ir-bad-store")
BAD_LEARNED_TABLE: Final = Code(id="E0515", name="ir-bad-learned-table")
BAD_SELECTOR: Final = Code(id="E0516", name="ir-bad-selector")
BAD_METER: Final = Code(id="E0517", name="ir-bad-meter")
BAD_ENTRY: Final = Code(id="E0518", name="ir-bad-entry")
BAD_RESTRICTION: Final = Code(id="E0519", name="ir-bad-restriction")

BAD_TYPE: Final = Code(id="E0520", name="ir-bad-type")

PARSER_LOOP: Final = Code(id="E0521", name="ir-parser-loop")
UNREACHED_STATE: Final = Code(id="E0522", name="ir-unreached-state")
HEADER_ORDER: Final = Code(id="E0523", name="ir-header-order")
BAD_SELECT: Final = Code(id="E0524", name="ir-bad-select")

WIDTH: Final = Code(id="E0531", name="ir-width")
BAD_CONSTANT: Final = Code(id="E0532", name="ir-bad-constant")
BAD_SLICE: Final = Code(id="E0533", name="ir-bad-slice")
BAD_SHIFT: Final = Code(id="E0534", name="ir-bad-shift")
FOREIGN_PARAM: Final = Code(id="E0535", name="ir-foreign-parameter")
MISPLACED_PEEK: Final = Code(id="E0536", name="ir-misplaced-peek")

MISPLACED_STATEMENT: Final = Code(id="E0541", name="ir-misplaced-statement")
CHECKSUM_BROKEN: Final = Code(id="E0542", name="ir-checksum-broken")
BAD_ARGUMENTS: Final = Code(id="E0543", name="ir-bad-arguments")
BAD_PUSH: Final = Code(id="E0544", name="ir-bad-push")
USED_TWICE: Final = Code(id="E0545", name="ir-used-twice")
RECURSION: Final = Code(id="E0546", name="ir-recursion")
READ_ONLY: Final = Code(id="E0547", name="ir-read-only")

INVALID_HEADER: Final = Code(id="E0551", name="ir-invalid-header")
MODIFIED_TO_KERNEL: Final = Code(id="E0552", name="ir-modified-to-kernel")
UNREACHABLE: Final = Code(id="E0553", name="ir-unreachable")
NOT_MISSED: Final = Code(id="E0554", name="ir-not-missed")
BAD_PAIR: Final = Code(id="E0555", name="ir-bad-pair")
NOT_AT_FRONT: Final = Code(id="E0556", name="ir-not-at-front")
NOT_CONTIGUOUS: Final = Code(id="E0557", name="ir-not-contiguous")
MODIFIED_CLONE: Final = Code(id="E0558", name="ir-modified-clone")

SYNTAX: Final = Code(id="E0561", name="ir-syntax")
