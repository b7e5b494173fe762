"""What the templates print: small records of ready lines. They loop over these and decide nothing."""

from __future__ import annotations

from dataclasses import dataclass

Lines = tuple[str, ...]
"""Lines of P4 with their indentation relative to where the template puts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationView:
    """Something with a comment above it: a header type, a constant, a counter, an action."""

    comment: Lines
    lines: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    comment: Lines
    """The policy lines behind the entries."""
    annotations: Lines
    name: str
    keys: Lines
    actions: Lines
    properties: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class StateView:
    comment: Lines
    name: str
    lines: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlView:
    comment: Lines
    name: str
    declarations: tuple[DeclarationView, ...]
    tables: tuple[TableView, ...]
    body: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramView:
    """A whole program; the template of the profile has the frame around it."""

    name: str
    version: str
    organization: str
    doc: str
    constants: tuple[DeclarationView, ...]
    header_types: tuple[DeclarationView, ...]
    headers: Lines
    metadata: Lines
    sums: Lines
    """Fields of the struct by which checksums follow."""
    sums_field: str
    received: Lines
    """What the last block does with a packet of the controller before all else."""
    digests: tuple[DeclarationView, ...]
    externs: tuple[DeclarationView, ...]
    """Counters and actions that several controls share."""
    states: tuple[StateView, ...]
    prepare: Lines
    """Body of the control in front of the pipeline's first."""
    controls: tuple[ControlView, ...]
    main: str
    update: Lines
    """Body of what computes checksums behind the pipeline's last control."""
    egress: Lines = ()
    """Body of what is done with each copy of a packet; v1model alone."""
