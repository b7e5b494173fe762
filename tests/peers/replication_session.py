# pyright: basic, reportMissingImports=false
"""p4runtime-shell on multicast groups and clone sessions: what a person types, then a line of JSON of what is there.

Arguments: the address, P4Info and bundle. Prints "ready" when frames may come, and ends when stdin does.
"""

import json
import sys

import p4runtime_sh.shell as sh


def replicas(entry):
    return [[replica.egress_port, replica.instance] for replica in entry.replicas]


def written():
    address = sh.TableEntry("destination")(action="to_group")
    address.match["address"] = "02:00:00:00:00:01"
    address.action["group"] = "5"
    address.insert()
    source = sh.TableEntry("mirrored")(action="mirror_to")
    source.match["address"] = "02:00:00:00:01:02"
    source.action["session"] = "6"
    source.insert()
    group = sh.MulticastGroupEntry(5).add(16, 1)
    group.insert()
    group.add(17, 2)
    group.modify()
    sh.MulticastGroupEntry(9).add(1, 1).insert()
    sh.MulticastGroupEntry(9).delete()
    session = sh.CloneSessionEntry(6)
    session.add(1, 7)
    session.packet_length_bytes = 60
    session.insert()
    groups = [[one.group_id, replicas(one)] for one in sh.MulticastGroupEntry().read()]
    sessions = [[one.session_id, one.packet_length_bytes, replicas(one)] for one in sh.CloneSessionEntry().read()]
    return groups + sessions


address, info, bundle = sys.argv[1:]
sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1), config=sh.FwdPipeConfig(info, bundle))
result = written()
print("ready", flush=True)
print(json.dumps(result), flush=True)
sys.stdin.readline()
sh.teardown()
