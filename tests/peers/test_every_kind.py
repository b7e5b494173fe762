"""finsy with every kind of match field, with meters of every type, and with idle timeouts, on small pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from google.protobuf import text_format

from tests.conformance.fuzzing.subjects import config
from tests.peers.finsyclient import options, read_all

pytestmark = [pytest.mark.peer, pytest.mark.slow]
Session = Callable[[fy.Switch], Coroutine[Any, Any, None]]


def run(address: str, folder: Path, program: str, session: Session) -> None:
    """As the primary of a device that has just loaded the pipeline."""
    message = config(program, "model").message
    info, bundle = folder / "p4info.txtpb", folder / "bundle"
    info.write_text(text_format.MessageToString(message.p4info))
    bundle.write_bytes(message.p4_device_config)

    async def play() -> None:
        async with fy.Switch("device", address, options((info, bundle), 10)) as switch:
            await session(switch)

    asyncio.run(play())


MATCHES: list[tuple[str, dict[str, str], int]] = [
    ("masked", {"port": "0x10/&0xf0"}, 7),
    ("ranged", {"mark": "3...9"}, 5),
    ("chosen", {"src": "02:00:00:00:00:01"}, 4),
    ("prefix", {"dst": "02-00-00-00-00-00/16"}, 0),
    ("all", {"flag": "1", "wide": "0x100000000/&0x1f0000000", "mark": "1...2", "type": "0x800"}, 9),
]


@pytest.mark.parametrize(("table", "match", "priority"), MATCHES)
def test_an_entry_of_every_kind(
    model_address: str, tmp_path: Path, table: str, match: dict[str, str], priority: int
) -> None:
    entry = fy.P4TableEntry(
        table, match=fy.P4TableMatch(match), action=fy.P4TableAction("send", port=3), priority=priority
    )

    async def session(switch: fy.Switch) -> None:
        await switch.insert([entry])
        (found,) = await read_all(switch, fy.P4TableEntry(table))
        assert found.encode(switch.p4info) == entry.encode(switch.p4info)
        await switch.delete([found])
        assert await read_all(switch, fy.P4TableEntry(table)) == []

    run(model_address, tmp_path, "kinds", session)


METERS = {
    "line": fy.P4MeterConfig(cir=1000, cburst=100, pir=2000, pburst=200),
    "plain": fy.P4MeterConfig(cir=1000, cburst=100, pir=1000, pburst=100),
}


@pytest.mark.parametrize(("meter", "wanted"), METERS.items())
def test_a_cell_of_a_meter(model_address: str, tmp_path: Path, meter: str, wanted: fy.P4MeterConfig) -> None:
    async def session(switch: fy.Switch) -> None:
        await switch.modify([fy.P4MeterEntry(meter, index=1, config=wanted)])
        found = await read_all(switch, fy.P4MeterEntry(meter))
        assert [cell.index for cell in found if cell.config is not None] == [1]
        assert found[1].config == wanted

    run(model_address, tmp_path, "metered", session)


def test_an_entry_with_a_meter_and_a_timeout(model_address: str, tmp_path: Path) -> None:
    wanted = METERS["line"]
    entry = fy.P4TableEntry(
        "two",
        match=fy.P4TableMatch(port="5"),
        action=fy.P4TableAction("police_two"),
        meter_config=wanted,
        idle_timeout_ns=10**12,
    )

    async def session(switch: fy.Switch) -> None:
        await switch.insert([entry])
        asked = fy.P4TableEntry("two", meter_config=wanted, time_since_last_hit=0)
        (found,) = await read_all(switch, asked)
        assert (found.meter_config, found.idle_timeout_ns) == (wanted, 10**12)
        assert 0 <= found.time_since_last_hit < 60 * 10**9

    run(model_address, tmp_path, "metered", session)
