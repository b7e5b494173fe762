# pyright: basic, reportMissingImports=false
"""p4runtime-shell, driven by JSON lines: runs in the environment of `turnout shell`, which has nothing of Turnout.

A line on stdin is {"do": NAME, ...arguments}, a line on stdout {"answer": ...} or {"error": KIND, "text": ...}, with
"said" for what the shell printed and logged meanwhile. What is done is what a person types.
"""

import contextlib
import io
import json
import logging
import sys

import grpc
import p4runtime_sh.shell as sh
from p4runtime_sh.context import P4Type
from p4runtime_sh.p4runtime import SSLOptions


def connect(address, device_id, election_id, config=None, tls=None):
    files = None if config is None else sh.FwdPipeConfig(*config)
    secured = None if tls is None else SSLOptions(False, *tls)
    sh.setup(device_id=device_id, grpc_addr=address, election_id=tuple(election_id), config=files, ssl_options=secured)
    return sh.APIVersion()


def disconnect():
    sh.teardown()


def names(kind):
    return [thing.name for thing in sh.P4Objects(P4Type[kind])]


def described(kind, name):
    return str(sh.P4Objects(P4Type[kind])[name])


def actions_of(table):
    sh.P4Objects(P4Type.table)[table].actions()


def insert(wish):
    made(wish).insert()


def modify(wish):
    made(wish).modify()


def delete(wish):
    made(wish).delete()


def shown(wish):
    return str(made(wish))


def read(wish):
    """All entities of the wish's table or profile that have what it gives."""
    return [plain(found) for found in made(wish).read()]


def delete_all(wish):
    made(wish).read(lambda found: found.delete())


def read_counter(counter, index=None):
    asked = sh.CounterEntry(counter)
    if index is not None:
        asked.index = index
    return [[found.index, found.packet_count, found.byte_count] for found in asked.read()]


def write_counter(counter, index, packets):
    asked = sh.CounterEntry(counter)
    asked.index, asked.packet_count = index, packets
    asked.modify()


def read_direct_counter(counter, match):
    asked = sh.DirectCounterEntry(counter)
    asked.table_entry.match.set(**match)
    return [[plain(found.table_entry)["match"], found.packet_count, found.byte_count] for found in asked.read()]


def read_counted(table):
    """Entries with the counter data that a read may carry."""
    asked = sh.TableEntry(table)
    asked.counter_data  # noqa: B018 - naming it is how the shell is told to ask for it
    return [[plain(found)["match"], found.counter_data.packet_count] for found in asked.read()]


def read_idle(table):
    """How long the entries of a learned table have been idle, and how long they may be, in nanoseconds."""
    asked = sh.TableEntry(table)
    asked.time_since_last_hit  # noqa: B018
    return [[found.time_since_last_hit.elapsed_ns, found.idle_timeout_ns] for found in asked.read()]


def write_meter(meter, index, config):
    cell = sh.MeterEntry(meter)
    cell.index = index
    for name, value in config.items():
        setattr(cell, name, value)
    cell.modify()


def read_meter(meter, index):
    """The configuration of a cell, None without one."""
    asked = sh.MeterEntry(meter)
    asked.index = index
    (found,) = asked.read()
    return plain_config(found.msg().config) if found.msg().HasField("config") else None


def insert_metered(wish, config, idle_timeout_ns):
    entry = made_entry(wish)
    entry.idle_timeout_ns = idle_timeout_ns
    for name, value in config.items():
        setattr(entry.meter_config, name, value)
    entry.insert()


def write_direct_meter(meter, match, config):
    cell = sh.DirectMeterEntry(meter)
    cell.table_entry.match.set(**match)
    for name, value in config.items():
        setattr(cell, name, value)
    cell.modify()


def read_direct_meter(meter, match):
    asked = sh.DirectMeterEntry(meter)
    asked.table_entry.match.set(**match)
    (found,) = asked.read()
    return plain_config(found.msg().config)


def idle_notifications(seconds):
    """The match fields of each entry that the device tells of as idle."""
    told = []
    for message in sh.IdleTimeoutNotification().sniff(timeout=seconds):
        told += [plain_match(match) for entry in message.idle_timeout_notification.table_entry for match in entry.match]
    return told


def plain_config(config):
    return {name: getattr(config, name) for name in ("cir", "cburst", "pir", "pburst", "eburst")}


def default_of(table):
    asked = sh.TableEntry(table)
    asked.is_default = True
    return [found.action.action_name for found in asked.read()]


def write_file(path):
    sh.Write(path)


def made(wish):
    """The shell's object for a wish of tests/peers/handwritten.py."""
    if "table" in wish:
        return made_entry(wish)
    if "members" in wish:
        group = sh.ActionProfileGroup(wish["profile"])(group_id=wish["id"])
        for member_id, weight in wish["members"]:
            group.add(member_id, weight)
        return group
    member = sh.ActionProfileMember(wish["profile"])(member_id=wish["id"])
    if wish["call"] is not None:
        member.action = made_action(wish["call"])
    return member


def made_entry(wish):
    entry = sh.TableEntry(wish["table"])
    entry.match.set(**wish["match"])
    if wish["call"] is not None:
        entry.action = made_action(wish["call"])
    if wish["group_id"]:
        entry.group_id = wish["group_id"]
    for call, weight in wish["actions"]:
        entry.oneshot.add(made_action(call), weight)
    return entry


def made_action(call):
    action = sh.Action(call["action"])
    action.set(**call["params"])
    return action


def plain(found):
    """What was read, in the form of `numbers` in tests/peers/handwritten.py."""
    if isinstance(found, sh.ActionProfileMember):
        return {"profile": found.name, "id": found.member_id, "call": plain_action(found.action)}
    if isinstance(found, sh.ActionProfileGroup):
        members = [[member.member_id, member.weight] for member in found.members]
        return {"profile": found.name, "id": found.group_id, "members": members}
    oneshot = found.oneshot.actions if found.msg().action.HasField("action_profile_action_set") else []
    return {
        "table": found.name,
        "match": {name: plain_match(match) for name, match in found.match._mk.items()},
        "call": None if found.action is None else plain_action(found.action),
        "group_id": found.group_id or 0,
        "actions": [{"weight": one.weight, **plain_action(one.action)} for one in oneshot],
    }


def plain_match(match):
    if match.HasField("lpm"):
        return [int.from_bytes(match.lpm.value, "big"), match.lpm.prefix_len]
    return int.from_bytes(match.exact.value, "big")


def plain_action(action):
    params = {name: int.from_bytes(param.value, "big") for name, param in action._param_values.items()}
    return {"action": action.action_name, "params": params}


COMMANDS = {
    command.__name__: command
    for command in (
        *(connect, disconnect, names, described, actions_of, insert, modify, delete, shown, read, delete_all),
        *(read_counter, write_counter, read_direct_counter, read_counted, read_idle, default_of, write_file),
        *(write_meter, read_meter, insert_metered, write_direct_meter, read_direct_meter, idle_notifications),
    )
}


def answered(request):
    """One answer. Whatever goes wrong is the test's to judge; SystemExit is how a refused setup ends."""
    try:
        return {"answer": COMMANDS[request.pop("do")](**request)}
    except grpc.RpcError as problem:
        return {"error": problem.code().name, "text": problem.details()}
    except (Exception, SystemExit) as problem:  # noqa: BLE001
        return {"error": type(problem).__name__, "text": str(problem)}


def main():
    answers = sys.stdout
    for line in sys.stdin:
        said = io.StringIO()
        logging.basicConfig(stream=said, format="%(levelname)s %(message)s", force=True)
        with contextlib.redirect_stdout(said):
            answer = answered(json.loads(line))
        print(json.dumps({**answer, "said": said.getvalue()}), file=answers, flush=True)


main()
