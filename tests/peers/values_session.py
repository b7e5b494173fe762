# pyright: basic, reportMissingImports=false
"""p4runtime-shell on translated values, references, restrictions and backups: what a person types, then a line of JSON.

Arguments: the address, P4Info, bundle, and the name of a function.
"""

import contextlib
import json
import os
import sys
import traceback

import p4runtime_sh.shell as sh
from p4.v1 import p4runtime_pb2
from p4runtime_sh.p4runtime import P4RuntimeWriteException


def refused(change):
    """Code and text of the error of a write; nothing if it was taken."""
    try:
        change()
    except P4RuntimeWriteException as problem:
        return [[error.canonical_code, error.message] for _, error in problem.errors]
    return []


def entry(table, action, match, **arguments):
    made = sh.TableEntry(table)(action=action)
    for name, value in match.items():
        made.match[name] = value
    for name, value in arguments.items():
        made.action[name] = value
    return made


def shown(found):
    """Of every entry: its match fields and arguments, as bytes."""
    return [
        [
            [one.exact.value.hex() for one in entry.match._mk.values()],
            [param.value.hex() for param in entry.action._param_values.values()],
        ]
        for entry in found
    ]


def by_number():
    """Ports by numbers of 32 bits: in parameters, in packets out, in the replicas of groups and sessions."""
    to_port = entry("destination", "to_port", {"address": "02:00:00:00:00:03"}, port="0x10010")
    to_port.insert()
    unknown = entry("destination", "to_port", {"address": "02:00:00:00:00:04"}, port="16")
    group = sh.MulticastGroupEntry(5).add(0x10010, 1).add(17, 2)
    group.insert()
    session = sh.CloneSessionEntry(6)
    session.add(0xFFFFFFFD, 7)
    session.insert()
    strange = sh.MulticastGroupEntry(7).add(16, 1)
    return {
        "entries": shown(sh.TableEntry("destination").read()),
        "groups": [[r.egress_port, r.instance] for one in sh.MulticastGroupEntry().read() for r in one.replicas],
        "sessions": [[r.egress_port, r.instance] for one in sh.CloneSessionEntry().read() for r in one.replicas],
        "refused": [*refused(unknown.insert), *refused(strange.insert)],
    }


def backups():
    """The shell's messages are of P4Runtime 1.4 and have no backups; what they do not know, they carry all the same."""
    group = sh.MulticastGroupEntry(5).add(17, 1)
    backup = bytes.fromhex("0a01011005")  # a port, 1, and an instance, 5
    group.replicas[0]._msg.MergeFromString(bytes([4 << 3 | 2, len(backup)]) + backup)
    group.insert()
    entry("destination", "to_group", {"address": "02:00:00:00:00:01"}, group="5").insert()
    asked = p4runtime_pb2.Entity()
    asked.packet_replication_engine_entry.multicast_group_entry.multicast_group_id = 5
    ((read,),) = [piece.entities for piece in sh.client.read_one(asked)]
    return read.SerializeToString().hex()


def chained():
    """What refers to nothing is refused, and so is the end of what is referred to; restrictions, too."""
    chain = [
        entry("interface", "leave_by", {"id": "1"}, port="1"),
        entry("neighbor", "resolve", {"interface": "1", "address": "0.0.0.10"}, mac="00:00:00:00:00:02"),
        entry("next_hop", "set_next_hop", {"id": "5"}, interface="1", address="0.0.0.10"),
        entry("route", "to_next_hop", {"dst": "0.0.0.77"}, id="5"),
    ]
    early = [refused(one.insert) for one in reversed(chain)]  # the last is the one that refers to nothing
    inserted = [refused(one.insert) for one in chain[1:]]
    deleted = [refused(one.delete) for one in chain]
    filtered = entry("filter", "allow", {})
    filtered.priority = 1
    to_group = entry("route", "to_group", {"dst": "0.0.0.78"}, group="9")
    return {
        "early": early,
        "inserted": inserted,
        "deleted": deleted,
        "entry": refused(filtered.insert),
        "arguments": refused(entry("interface", "leave_by", {"id": "2"}, port="509").insert),
        "group": refused(to_group.insert),
    }


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
