"""Types whose values control planes know by other names: `@p4runtime_translation` (P4Runtime, "User-defined types")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedType:
    """A number of `width_bits` for packets; for control planes a string, or a number of `sdn_bits`.

    Types of one `uri` share their values ("" is a type's own). Ports are those of the device, as its configuration
    names and numbers them; for the values of other types a device finds numbers itself.
    """

    name: str
    width_bits: int
    sdn_bits: int | None
    """None: a string."""
    uri: str = ""
    is_port: bool = False

    @property
    def space(self) -> str:
        """Where its values are kept together with those of other types."""
        return self.uri or self.name
