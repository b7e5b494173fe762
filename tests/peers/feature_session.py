# pyright: basic, reportMissingImports=false
"""p4runtime-shell, one feature at a time: what a person types, then a line of JSON of what came of it.

Arguments: the address, P4Info, bundle, and the name of a function. What the shell itself has no word for is said by its
client's stubs, which is told where it is done.
"""

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import grpc
import p4runtime_sh.shell as sh
from google.protobuf import text_format
from google.rpc import status_pb2
from p4.v1 import p4runtime_pb2
from p4runtime_sh.p4runtime import P4RuntimeWriteException

INFO, BUNDLE = "", ""
CONFIG = p4runtime_pb2.SetForwardingPipelineConfigRequest


def refused(change):
    """The codes of the errors of a write; none if it was taken."""
    try:
        change()
    except P4RuntimeWriteException as problem:
        return [error.canonical_code for _, error in problem.errors]
    return []


def exact(number):
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big").hex()


def matched(entry):
    """By field, the match as its kind and its numbers."""
    found = {}
    for name, match in entry.match._mk.items():
        kind = match.WhichOneof("field_match_type")
        given = getattr(match, kind)
        found[name] = [kind, *[v.hex() if isinstance(v, bytes) else v for _, v in given.ListFields()]]
    return found


def kinds():
    """Ternary, range, optional, lpm; priorities."""
    found = []
    for table, match, priority in (
        ("masked", {"port": "0x10&&&0xf0"}, 7),
        ("ranged", {"mark": "3..9"}, 5),
        ("chosen", {"src": "02:00:00:00:00:01"}, 4),
        ("prefix", {"dst": "02:00:00:00:00:00/16"}, 0),
    ):
        entry = sh.TableEntry(table)(action="send")
        for name, value in match.items():
            entry.match[name] = value
        entry.action["port"] = "3"
        entry.priority = priority
        entry.insert()
        (read,) = sh.TableEntry(table).read()
        found.append([matched(read), read.priority, refused(entry.insert)])
        entry.delete()
        found[-1].append(len(list(sh.TableEntry(table).read())))
    return found


def defaults():
    """A default entry is modified, read and reset; a constant table is read and not written."""
    entry = sh.TableEntry("networks")(is_default=True, action="to")
    entry.action["out"] = "7"
    entry.modify()
    asked = sh.TableEntry("networks")
    asked.is_default = True
    (changed,) = asked.read()
    reset = sh.TableEntry("networks")(is_default=True)
    reset.modify()
    (first,) = asked.read()
    constant = list(sh.TableEntry("kinds").read())
    return {
        "changed": [changed.action.action_name, changed.action._param_values["out"].value.hex()],
        "reset": first.action.action_name,
        "inserted": refused(entry.insert),
        "constant": sorted(one.priority for one in constant),
        "deleted": refused(constant[0].delete),
    }


def grouped():
    """Members, groups and one-shot sets with ports that are watched: as bytes, and as the deprecated number."""
    for port in (1, 16, 17):
        member = sh.ActionProfileMember("ways")(member_id=port, action="to_port")
        member.action["port"] = str(port)
        member.insert()
    group = sh.ActionProfileGroup("ways")(group_id=1)
    group.add(1, weight=1)
    group.add(16, weight=2, watch_port=b"\x10")
    group.add(17, weight=1, watch=17)
    group.insert()
    entry = sh.TableEntry("way")(group_id=1)
    entry.match["type"] = "0x88b5"
    entry.insert()
    (read,) = sh.ActionProfileGroup("ways").read()
    return [[m.member_id, m.weight, m.watch, m.watch_port.hex()] for m in read.members]


def one_shot():
    entry = sh.TableEntry("way")
    entry.match["type"] = "0x88b5"
    for port in (1, 16):
        action = sh.Action("to_port")
        action["port"] = str(port)
        entry.oneshot.add(action, weight=port, watch_port=bytes([port]))
    entry.insert()
    (read,) = sh.TableEntry("way").read()
    return [[one.weight, one.watch, one.watch_port.hex()] for one in read.oneshot.actions]


def batch(atomicity):
    """Three inserts, of which the second is refused; `Write` takes a file, and a file may say its atomicity."""
    path = BUNDLE + ".txtpb"
    ways = ("0x10", "0x20", "0x30")
    updates = []
    for way, member in zip(ways, (1, 99, 1), strict=True):
        entry = sh.TableEntry("way")(member_id=member)
        entry.match["type"] = way
        updates.append(f"updates {{ type: INSERT entity {{ table_entry {{ {entry.msg()} }} }} }}")
    Path(path).write_text(f"atomicity: {atomicity} {' '.join(updates)}")
    codes = partly_refused(path) if atomicity == "CONTINUE_ON_ERROR" else refused(lambda: sh.Write(path))
    left = sorted(matched(one)["type"][1] for one in sh.TableEntry("way").read())
    sh.TableEntry("way").read(lambda found: found.delete())
    return [codes, left]


def partly_refused(path):
    """As `Write`, by the client's stub: where some updates took effect and others did not, the shell never returns.

    It looks for the next error and does not step over an OK.
    """
    request = text_format.Merge(Path(path).read_text(), p4runtime_pb2.WriteRequest(device_id=1))
    request.election_id.high, request.election_id.low = sh.client.election_id
    try:
        sh.client.stub.Write(request)
    except grpc.RpcError as problem:
        metadata: Any = problem.trailing_metadata()
        details = dict(metadata)["grpc-status-details-bin"]
        errors = [p4runtime_pb2.Error() for _ in status_pb2.Status.FromString(details).details]
        for error, given in zip(errors, status_pb2.Status.FromString(details).details, strict=True):
            given.Unpack(error)
        return [error.canonical_code for error in errors]
    return []


def atomicities():
    member = sh.ActionProfileMember("ways")(member_id=1, action="to_port")
    member.action["port"] = "1"
    member.insert()
    return {name: batch(name) for name in ("CONTINUE_ON_ERROR", "ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC")}


def configured(action, *, with_config=True):
    """By the stub: the shell itself has VERIFY_AND_COMMIT alone."""
    request = CONFIG(device_id=1, action=CONFIG.Action.Value(action))
    request.election_id.high, request.election_id.low = sh.client.election_id
    if with_config:
        held = sh.client.stub.GetForwardingPipelineConfig(p4runtime_pb2.GetForwardingPipelineConfigRequest(device_id=1))
        request.config.CopyFrom(held.config)
    sh.client.stub.SetForwardingPipelineConfig(request)
    return len(list(sh.ActionProfileMember("ways").read()))


def configs():
    """How many members are left by each action."""
    member = sh.ActionProfileMember("ways")(member_id=1, action="to_port")
    member.action["port"] = "1"
    member.insert()
    found = {"VERIFY": configured("VERIFY")}
    found["RECONCILE_AND_COMMIT"] = configured("RECONCILE_AND_COMMIT")
    found["VERIFY_AND_SAVE"] = configured("VERIFY_AND_SAVE")
    member.insert()
    found["COMMIT"] = configured("COMMIT", with_config=False)
    found["VERIFY_AND_COMMIT"] = configured("VERIFY_AND_COMMIT")
    return found


def wildcards():
    """All entries of a table, some of them, and by the client's own call those of all tables."""
    for source, port in ((1, 1), (2, 1)):
        entry = sh.TableEntry("ports")(action="to")
        entry.match["kind"], entry.match["src"] = "9", str(source)
        entry.action["out"] = str(port)
        entry.insert()
    counted = sh.DirectCounterEntry("ports_count")
    counters = len(list(counted.read()))
    everything = p4runtime_pb2.Entity()
    everything.table_entry.SetInParent()
    found = [one for piece in sh.client.read_one(everything) for one in piece.entities]
    return [
        len(list(sh.TableEntry("ports").read())),
        counters,
        len({one.table_entry.table_id for one in found}),
        len(found),
        len(list(sh.CounterEntry("dropped").read())),
    ]


def role():
    """Its setup takes a role's name and no config: that of role `shown` is what the role's primary gave."""
    member = sh.ActionProfileMember("ways")(member_id=1, action="to_port")
    member.action["port"] = "1"
    member.insert()
    entry = sh.TableEntry("way")(member_id=1)
    entry.match["type"] = "0x10"
    entry.insert()
    sh.teardown()
    sh.setup(device_id=1, grpc_addr=ADDRESS, election_id=(0, 1), role_name="shown")
    seen = [len(list(sh.ActionProfileMember("ways").read())), len(list(sh.TableEntry("way").read()))]
    code = ""
    try:
        entry.delete()
    except grpc.RpcError as problem:
        code = problem.code().name
    sh.teardown()
    sh.setup(device_id=1, grpc_addr=ADDRESS, election_id=(0, 1), role_name="own")
    return [*seen, code, refused(entry.delete)]


def marked():
    """Metadata of an entry; its counter, set with it and by itself."""
    entry = sh.TableEntry("ports")(action="to")
    entry.match["kind"], entry.match["src"], entry.action["out"] = "3", "02:00:00:00:00:03", "4"
    entry.metadata = b"first"
    entry.insert()
    found = []
    for metadata in (b"other", b""):
        (read,) = entry.read()
        found.append(read.metadata.decode())
        entry.metadata = metadata
        entry.modify()
    (read,) = entry.read()
    counter = sh.DirectCounterEntry("ports_count")
    counter.table_entry.match["kind"], counter.table_entry.match["src"] = "3", "02:00:00:00:00:03"
    counter.packet_count, counter.byte_count = 9, 900
    counter.modify()
    (counted,) = counter.read()
    return [*found, read.metadata.decode(), counted.packet_count, counted.byte_count]


def capabilities():
    return sh.APIVersion()


if __name__ == "__main__":
    ADDRESS, INFO, BUNDLE, WHAT = sys.argv[1:]
    sh.setup(device_id=1, grpc_addr=ADDRESS, election_id=(0, 5), config=sh.FwdPipeConfig(INFO, BUNDLE))
    with contextlib.redirect_stdout(sys.stderr):  # the shell shows what it makes of what is typed
        try:
            answer = globals()[WHAT]()
        except BaseException:  # noqa: BLE001  whatever it is, the process must end
            traceback.print_exc()
            os._exit(1)  # its stream would be waited for, for ever
    print(json.dumps(answer), flush=True)
    sys.stdin.readline()
    sh.teardown()
