"""Large batches for the one table of the pipeline `controllers`, made without reading text."""

from __future__ import annotations

from finsy.proto import U128, p4r

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
TABLE, TO_PORT, TO_CONTROLLER = 0x02000001, 0x01000002, 0x01000003


def address(number: int) -> bytes:
    """In the space of these batches: 02:..."""
    return b"\x02" + number.to_bytes(5, "big")


def entry(number: int, *, port: int | None = None) -> p4r.Entity:
    """Forwards out of a port, or, without one, to the controller."""
    made = p4r.Entity()
    made.table_entry.table_id = TABLE
    made.table_entry.match.add(field_id=1).exact.value = address(number)
    action = made.table_entry.action.action
    if port is None:
        action.action_id = TO_CONTROLLER
        action.params.add(param_id=1, value=b"\x05")
        action.params.add(param_id=2, value=b"\x02")
    else:
        action.action_id = TO_PORT
        action.params.add(param_id=1, value=bytes([port]))
    return made


def batch(
    kind: p4r.Update.Type.ValueType,
    numbers: range,
    *,
    election_id: int,
    role: str = "",
    port: int | None = 1,
    atomicity: p4r.WriteRequest.Atomicity.ValueType = p4r.WriteRequest.CONTINUE_ON_ERROR,
) -> p4r.WriteRequest:
    made = p4r.WriteRequest(device_id=1, role=role, atomicity=atomicity, election_id=U128.encode(election_id))
    made.updates.extend(p4r.Update(type=kind, entity=entry(number, port=port)) for number in numbers)
    return made
