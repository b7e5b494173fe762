"""The pipeline: one value that the interpreter runs and the P4, P4Info and C printers print."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from compiler.ir.controller import PACKET_IN, PACKET_OUT, ControllerHeader, Digest
from compiler.ir.headers import Field, Header, HeaderType, State
from compiler.ir.statements import Statement
from compiler.ir.tables import Action, Counter, Meter, Store, Table
from compiler.ir.translation import TranslatedType
from compiler.span import NOWHERE, Span


class Heat(StrEnum):
    """Which packets pass a control: HOT those of known flows, WARM most of those that open one, COLD all others.

    The values are the words of the text form.
    """

    COLD = ""
    WARM = "warm"
    HOT = "hot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One concern of the pipeline. `heat` changes how fast it is alone: C prints hot and warm controls inline.

    `idle_without` names tables. While none of them has an entry, nobody sees whether the control was run, so it may be
    left out; the caller's word for that, which differential tests hold it to.
    """

    name: str
    body: tuple[Statement, ...]
    heat: Heat = Heat.COLD
    idle_without: tuple[str, ...] = ()
    doc: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReason:
    """Why packets are dropped; `id` is the index in the counter of drops, from 1."""

    name: str
    id: int
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """All of it. References between parts are names; `compiler.ir.verifier` resolves and checks them.

    `parser[0]` is where parsing starts and `main` the control that a parsed packet enters; running off its end means
    `ToKernel`. `drop_counter` names the counter that `Drop` counts in.
    """

    name: str
    version: str
    header_types: tuple[HeaderType, ...]
    headers: tuple[Header, ...]
    metadata: tuple[Field, ...]
    parser: tuple[State, ...]
    actions: tuple[Action, ...]
    stores: tuple[Store, ...]
    tables: tuple[Table, ...]
    counters: tuple[Counter, ...]
    drop_counter: str
    drop_reasons: tuple[DropReason, ...]
    controls: tuple[Control, ...]
    main: str
    meters: tuple[Meter, ...] = ()
    packet_in: ControllerHeader | None = None
    packet_out: ControllerHeader | None = None
    """None: controllers can send no packets."""
    digests: tuple[Digest, ...] = ()
    types: tuple[TranslatedType, ...] = ()
    doc: str = ""

    @property
    def controller_headers(self) -> dict[str, ControllerHeader]:
        """Those that there are, by `packet_in` and `packet_out`."""
        both = {PACKET_IN: self.packet_in, PACKET_OUT: self.packet_out}
        return {name: header for name, header in both.items() if header is not None}
