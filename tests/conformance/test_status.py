"""`turnout show device`: what devices tell of themselves, the same for both targets but for what a kernel has alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import PORTS
from tests.conformance.test_watch_ports import MEMBERS, TO_GROUP, WATCHING, group
from tests.conformance.wired import WiredDevice, wired
from tests.pipelines.spreading import spreading

PREFIX = "cfs"
PATIENCE_S = 30
INSERTS = [f"INSERT {text}" for text in (*MEMBERS, group(*WATCHING), TO_GROUP)]
Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Told:
    device: WiredDevice
    client: Client

    def document(self) -> Document:
        shown = CliRunner().invoke(app, ["show", "device", "--device", self.device.address, "-o", "json"])
        assert (shown.exit_code, shown.stderr) == (0, "")
        (found,) = json.loads(shown.stdout)
        return found

    def once(self, fits: Callable[[Document], bool]) -> Document:
        """The document, when it is so."""
        end = time.monotonic() + PATIENCE_S
        while not fits(found := self.document()):
            assert time.monotonic() < end, found
        return found


@pytest.fixture(params=TARGETS)
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Told]:
    with wired(request.param, spreading(), tmp_path, PREFIX, named={}) as device:
        client = Client(device.address)
        client.become_primary((1 << 64) + 7)
        device.config.cookie.cookie = (1 << 63) + 1
        client.set_config("VERIFY_AND_COMMIT", device.config)
        yield Told(device=device, client=client)
        client.close()


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(RpcRefusedError):
        call()


def resting(down: int) -> Callable[[Document], bool]:
    """One port is down, nothing goes on any more, and all RPCs are over but the stream and the question itself."""

    def fits(found: Document) -> bool:
        calls = next(one["used"] for one in found["usage"] if one["what"] == "RPCs")
        ports = [port["number"] for port in found["ports"] if not port["is_up"]]
        return ports == [down] and calls == 2 and not found["activities"]

    return fits


def test_a_device_tells_what_it_is_and_how_it_is(told: Told) -> None:
    is_kernel = told.device.target == "kernel"
    told.client.write(*INSERTS)
    refused(lambda: told.client.write(INSERTS[-1]))
    refused(lambda: told.client.write(*INSERTS[:2]))
    refused(lambda: told.client.read("meter_entry { meter_id: 9 }"))
    told.device.wire.set_link(16, is_up=False)
    found = told.once(resting(16))
    assert found.pop("process") > 0
    assert found.pop("running_s") > 0
    assert found.pop("version")
    (pipeline,) = found.pop("pipelines")
    assert len(pipeline.pop("layout")) == 12
    assert pipeline == {"name": "spreading", "version": "1", "is_saved": False, "cookie": (1 << 63) + 1}
    largest = found["usage"].pop()
    assert largest.pop("used") > len(told.device.config.SerializeToString())
    assert largest == {"what": "bytes of the largest request", "of": "", "limit": 16 << 20}
    whole = {"kind": "group", "of": "profile ways, group 1", "count": 1, "of_all": 3}
    assert found == {
        "name": "d",
        "device_id": 1,
        "target": told.device.target,
        "ports": [
            {
                "number": number,
                "name": name,
                "interface": name if is_kernel else "",
                "is_up": number != 16,
                "watchers": 1,
                "out": [whole] if number == 16 else [],
            }
            for number, name in PORTS.items()
        ],
        "clients": [
            {
                "name": "clients of the unix socket",
                "role": "",
                "has_arbitrated": True,
                "election_id": str((1 << 64) + 7),
                "is_primary": True,
                "waiting": 0,
            }
        ],
        "roles": [{"name": "", "highest": str((1 << 64) + 7), "has_primary": True, "is_limited": False}],
        "usage": [
            {"what": "entries", "of": "table way", "used": 1, "limit": 64},
            {"what": "members", "of": "profile ways", "used": 3, "limit": 1000},
            {"what": "weights of all groups", "of": "profile ways", "used": 4, "limit": 1000},
            {"what": "roles", "of": "", "used": 1, "limit": 16},
            {"what": "streams", "of": "the default role", "used": 1, "limit": 64},
            {"what": "RPCs", "of": "clients of the unix socket", "used": 2, "limit": 64},
            {"what": "reads", "of": "clients of the unix socket", "used": 0, "limit": 8},
        ],
        "refusals": [
            {"what": "Read", "code": "UNKNOWN", "count": 1},
            {"what": "Write", "code": "UNKNOWN", "count": 2},
            {"what": "read request", "code": "INVALID_ARGUMENT", "count": 1},
            {"what": "update", "code": "ALREADY_EXISTS", "count": 3},
        ],
        "complaints": [],
        "start": {"found": "nothing" if is_kernel else "nothing, since it has no folder", "placed": [], "remarks": []},
        "activities": [],
        "starting": None,
    }


def test_as_text(told: Told) -> None:
    told.client.write(*INSERTS)
    refused(lambda: told.client.write(INSERTS[-1]))
    told.device.wire.set_link(17, is_up=False)
    found = told.once(resting(17))
    shown = CliRunner().invoke(app, ["show", "device", "--device", told.device.address])
    assert shown.exit_code == 0
    first, second, third, *rest = (line.rstrip() for line in shown.stdout.splitlines())
    words = f"device d (id 1), {told.device.target} target, Turnout {found['version']}, process {found['process']}, "
    assert first.startswith(words + "running for ")
    layout = found["pipelines"][0]["layout"]
    assert second == f"pipeline spreading 1, cookie {(1 << 63) + 1}, layout {layout}"
    assert third == "at its start its folder had nothing" + (
        "" if told.device.target == "kernel" else ", since it has no folder"
    )
    text = "\n".join(rest)
    assert "1 of 3 of group profile ways, group 1" in text
    assert [line.split() for line in rest if line.startswith("update")] == [["update", "ALREADY_EXISTS", "1"]]
