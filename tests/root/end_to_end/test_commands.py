"""What commands print about a lab, for people and for programs, and their exit codes."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest
import yaml

from compiler.pipeline.assembly import pipeline
from tests.root.end_to_end.shop import ADDRESSES, CLIENT, DEVICES, SINGLE, TURNOUT, WEB_3, Shop, turnout
from tests.root.end_to_end.traffic import echo, ping

pytestmark = [pytest.mark.root, pytest.mark.slow]
SHOWN = ["services", "tables", "ports", "drops"]


def test_check(shop: Shop) -> None:
    done = turnout("check", shop.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "fine: 2 networks, 2 nodes, 2 devices, 8 workloads, 5 services\n"
    plain = json.loads(turnout("check", "-o", "json", shop.path).stdout)
    assert plain == yaml.safe_load(turnout("check", "-o", "yaml", shop.path).stdout)
    assert (plain["refused"], plain["diagnostics"], plain["objects"]["workloads"]) == (False, [], 8)


@pytest.mark.parametrize("what", SHOWN)
def test_show_says_the_same_to_people_and_programs(shop: Shop, what: str) -> None:
    provoke_everything(shop)
    records = shop.show(what)
    table = turnout("show", what, *shop.device_options())
    assert (table.returncode, table.stderr) == (0, "")
    head, *lines = table.stdout.splitlines()
    assert len(records) == len(lines) > 0
    assert all([column.upper() for column in record] == head.split() for record in records)
    assert {record["device"] for record in records} <= set(DEVICES)


def test_show_in_yaml(shop: Shop) -> None:
    shown = turnout("show", "tables", "-o", "yaml", "--device", shop.address("dpu-b"))
    assert shown.returncode == 0
    assert {row["table"] for row in yaml.safe_load(shown.stdout)} == {table.name for table in pipeline().tables}


def provoke_everything(shop: Shop) -> None:
    """A flow, and a drop: nobody is told that a ping is too old."""
    echo(shop.namespace(CLIENT), SINGLE["far"][0], 53, b"hello", source_port=31_000)
    assert not ping(shop.namespace(CLIENT), ADDRESSES[WEB_3][0], ttl=1, timeout_s=0.1)


def test_show_drops(shop: Shop) -> None:
    def dropped() -> int:
        return sum(row["packets"] for row in shop.show("drops") if row["reason"] == "error_not_sent")

    before = dropped()
    assert not ping(shop.namespace(CLIENT), ADDRESSES[WEB_3][1], ttl=1, timeout_s=0.1)
    assert dropped() == before + 1


def test_show_tables(shop: Shop) -> None:
    rows = {(row["device"], row["table"]): row for row in shop.show("tables")}
    assert {table for _, table in rows} == {table.name for table in pipeline().tables}
    assert rows["dpu-a", "port"] == {"device": "dpu-a", "table": "port", "entries": 6, "size": 1024, "kind": "written"}


def test_show_flows_and_ports(shop: Shop) -> None:
    echo(shop.namespace(CLIENT), SINGLE["far"][1], 53, b"hello", source_port=31_001)
    echo(shop.namespace(CLIENT), SINGLE["far"][1], 53, b"hello", source_port=31_001)
    found = [row for row in shop.show("flows") if row["source"] == f"[{ADDRESSES[CLIENT][1]}]:31001"]
    assert len(found) == 1
    assert found[0]["idle_s"] < 30
    assert found[0] | {"idle_s": 0, "packets": 0, "bytes": 0} == {
        "device": "dpu-a",
        "network": "shop",
        "protocol": "UDP",
        "source": f"[{ADDRESSES[CLIENT][1]}]:31001",
        "service": f"[{SINGLE['far'][1]}]:53",
        "backend": f"[{ADDRESSES[WEB_3][1]}]:5300",
        "seen_as": f"[{ADDRESSES[CLIENT][1]}]:31001",
        "idle_s": 0,
        "packets": 0,
        "bytes": 0,
    }
    table = turnout("show", "flows", *shop.device_options())
    assert (table.returncode, table.stdout.splitlines()[0].split()) == (0, [column.upper() for column in found[0]])
    ports = {(row["device"], row["port"]): row for row in shop.show("ports")}
    assert ports["dpu-a", 16]["leads_to"] == "Workload shop/client"
    assert ports["dpu-a", 1]["leads_to"] == "underlay"


@pytest.mark.parametrize("words", [("show", "tables"), ("show", "services", "-o", "json")])
def test_a_reader_that_goes_away_is_no_error_to_tell(shop: Shop, words: tuple[str, ...]) -> None:
    """As in `turnout show tables | head -1`."""
    command = [TURNOUT, *words, *shop.device_options()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""


def test_doctor() -> None:
    done = turnout("doctor", "-o", "json")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    missing = [name for name, finding in findings.items() if finding["state"] == "missing"]
    assert done.returncode == (1 if missing else 0)
    assert missing == []
    assert findings["tc programs"]["state"] == "ok"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "nonsense"), 2),
        (("show", "tables", "-o", "xml"), 2),
        (("apply",), 2),
        (("apply", "/nowhere.yaml"), 1),
        (("check", "/nowhere.yaml"), 1),
        (("show", "tables", "--device", "x=unix:/nowhere.sock"), 1),
        (("lab", "status", "--name", "nowhere"), 1),
        (("--version",), 0),
    ],
)
def test_exit_codes(words: tuple[str, ...], code: int) -> None:
    done = turnout(*words)
    assert done.returncode == code
    assert bool(done.stderr) == (code != 0)
    assert "Traceback" not in done.stderr


def test_apply_says_what_was_verified(shop: Shop, tmp_path: Path) -> None:
    record = tmp_path / "verification.json"
    proved = turnout("verify", shop.path, "--device", "dpu-a", "--packets", "40", "-o", str(tmp_path))
    assert proved.returncode == 0, proved.stderr

    def said() -> list[str]:
        shown = turnout("apply", "--dry-run", "--verification", str(record), shop.path)
        assert shown.returncode == 0, shown.stderr
        return [line for line in shown.stdout.splitlines() if "verified" in line]

    first, second = said()
    assert first.startswith(f"dpu-a: verified on kernel {platform.release()}: ")
    assert first.endswith("connections on interpreter; tc; XDP, not all that the policies say")
    assert second == "dpu-b: not verified: the record does not speak of this device"
    plain = json.loads(record.read_text())
    record.write_text(json.dumps({**plain, "program": {**plain["program"], "tc.o": "0"}}))
    assert said()[0] == "dpu-a: not verified: tc.o is not what was verified"
