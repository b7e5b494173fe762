# pyright: basic, reportMissingImports=false
"""p4runtime-shell on packets and digests: what a person types, then a line of JSON of what came.

Arguments: the address, P4Info, bundle, and "packets" or "digests". Prints "ready" when frames may come.
"""

import json
import sys

import p4runtime_sh.shell as sh

WAIT_S = 3


def packets():
    entry = sh.TableEntry("destination")(action="to_controller")
    entry.match["address"] = "02:00:00:00:00:01"
    entry.action["reason"] = "37"
    entry.action["src"] = "02:00:00:00:00:55"
    entry.insert()
    listener = sh.PacketIn()
    print("ready", flush=True)
    found = []
    listener.sniff(found.append, timeout=WAIT_S)
    out = sh.PacketOut(payload=bytes.fromhex("020000000003020000000099") + b"\x88\xb5" + bytes(46))
    out.metadata["egress_port"] = "17"
    out.send()
    return [[m.packet.payload.hex(), {md.metadata_id: md.value.hex() for md in m.packet.metadata}] for m in found]


def digests():
    entry = sh.DigestEntry("mac_learn")
    entry.ack_timeout_ns = 3600 * 10**9
    entry.insert()
    listener = sh.DigestList()  # which acknowledges each list at once
    print("ready", flush=True)
    found = []
    listener.sniff(found.append, timeout=WAIT_S)
    return [[[m.bitstring.hex() for m in data.struct.members] for data in one.digest.data] for one in found]


address, info, bundle, what = sys.argv[1:]
sh.setup(device_id=1, grpc_addr=address, election_id=(0, 1), config=sh.FwdPipeConfig(info, bundle))
result = {"packets": packets, "digests": digests}[what]()
print(json.dumps(result), flush=True)
sys.stdin.readline()
sh.teardown()
