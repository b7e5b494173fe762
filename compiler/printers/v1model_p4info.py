"""P4Info of the printed v1model program: the contract of `compiler.printers.p4info`, and the digests it learns by.

Equal to what p4c writes for the program, but for the words about digests and controllers' packets, which it leaves out.
Called for a device that runs that program, such as BMv2.
"""

from __future__ import annotations

from finsy.proto import p4i, p4t

from compiler.ir.expressions import width_bits
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store
from compiler.printers.p4.identifiers import digest_name
from compiler.printers.p4info import p4info

PROFILE_BITS = 8
"""Width of an expiry profile's id."""
DIGEST_PREFIX, _CONTROLLER_HEADER_PREFIX = 0x17, 0x04
_MASK = 0xFFFFFFFF


def v1model_p4info(pipeline: Pipeline) -> p4i.P4Info:
    """A fresh message, parts in the order of the pipeline."""
    made, names = p4info(pipeline), Names(pipeline)
    made.pkg_info.arch = "v1model"
    for header in made.controller_packet_metadata:
        header.preamble.id = p4c_id(_CONTROLLER_HEADER_PREFIX, f"{header.preamble.name}_t", set())
    taken: set[int] = set()
    for digest in made.digests:
        digest.preamble.id = p4c_id(DIGEST_PREFIX, digest.preamble.name, taken)
        taken.add(digest.preamble.id)
    # p4c hands out these ids in the order of the names, since v1model has no place to write them down.
    for store in sorted(pipeline.stores, key=digest_name):
        number = p4c_id(DIGEST_PREFIX, digest_name(store), taken)
        taken.add(number)
        made.digests.append(_digest(digest_name(store), number))
        made.type_info.structs[digest_name(store)].CopyFrom(_struct(names, store))
    return made


def digest_fields(names: Names, store: Store) -> tuple[tuple[str, int], ...]:
    """What a digest tells of new entries: names and widths in bits.

    Table by table the key, the arguments of the one action that entries may have (`new_...`), and the expiry profile.
    """
    fields: list[tuple[str, int]] = []
    for table in names.pipeline.tables:
        if table.store == store.name:
            action = names.actions[next(ref.name for ref in table.actions if ref.in_entries)]
            fields += ((f"{table.name}_{key.name}", width_bits(key.expr)) for key in table.keys)
            fields += ((f"{table.name}_new_{param.name}", param.width_bits) for param in action.params)
            fields.append((f"{table.name}_profile", PROFILE_BITS))
    return tuple(fields)


def p4c_id(prefix: int, name: str, taken: set[int]) -> int:
    """The id that p4c gives a part of the kind that `prefix` stands for.

    Jenkins' one-at-a-time hash of the name in 24 bits, the next free one if it is taken.
    """
    state = 0
    for byte in name.encode():
        state = (state + byte) & _MASK
        state = (state + (state << 10)) & _MASK
        state ^= state >> 6
    state = (state + (state << 3)) & _MASK
    state ^= state >> 11
    state = (state + (state << 15)) & _MASK
    number = prefix << 24 | state & 0xFFFFFF
    while number in taken:
        number = prefix << 24 | (number + 1) & 0xFFFFFF
    return number


def _digest(name: str, number: int) -> p4i.Digest:
    spec = p4t.P4DataTypeSpec(struct=p4t.P4NamedType(name=name))
    return p4i.Digest(preamble=p4i.Preamble(id=number, name=name, alias=name), type_spec=spec)


def _struct(names: Names, store: Store) -> p4t.P4StructTypeSpec:
    members = (
        p4t.P4StructTypeSpec.Member(name=name, type_spec=_bits(width)) for name, width in digest_fields(names, store)
    )
    return p4t.P4StructTypeSpec(members=members)


def _bits(width: int) -> p4t.P4DataTypeSpec:
    bit = p4t.P4BitTypeSpec(bitwidth=width)
    return p4t.P4DataTypeSpec(bitstring=p4t.P4BitstringLikeTypeSpec(bit=bit))
