"""finsy and p4runtime-shell configure meters, read them, and hear of idle entries."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import finsy as fy
import pytest
from google.protobuf import text_format

from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from tests.differential.metered import metered
from tests.peers.conftest import Files, OpenShell
from tests.peers.finsyclient import options, read_all
from tests.peers.handwritten import Call, Entry

pytestmark = [pytest.mark.peer, pytest.mark.slow]
TWO = {"cir": 1000, "cburst": 100, "pir": 2000, "pburst": 200, "eburst": 0}
ONE = {"cir": 7, "cburst": 8, "pir": 7, "pburst": 8, "eburst": 9}
SOURCE = "02:00:00:00:00:07"
NUMBER = 0x020000000007
S = 1_000_000_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Those of the pipeline of meters."""
    folder = tmp_path_factory.mktemp("metered")
    info, bundle = folder / "metered.p4info.txtpb", folder / "metered.bundle"
    info.write_text(text_format.MessageToString(p4info(metered())))
    bundle.write_bytes(write_bundle(metered()))
    return info, bundle


def test_finsy(model_address: str, files: Files) -> None:
    config = fy.P4MeterConfig(**TWO)
    entry = fy.P4TableEntry(
        "workload",
        match=fy.P4TableMatch({"source": SOURCE}),
        action=fy.P4TableAction("police"),
        meter_config=config,
        idle_timeout_ns=S,
    )
    nothing = fy.P4MeterCounterData(green=fy.P4CounterData(), yellow=fy.P4CounterData(), red=fy.P4CounterData())

    async def session() -> None:
        async with fy.Switch("device", model_address, options(files, 10)) as switch:
            assert [meter.alias for meter in switch.p4info.meters] == ["line", "excess"]
            await switch.write(
                [
                    fy.P4MeterEntry("line", index=3, config=config),
                    fy.P4MeterEntry("excess", index=4, config=fy.P4MeterConfig(**ONE)),
                    +entry,
                ]
            )
            cells = await read_all(switch, fy.P4MeterEntry("line", index=3), fy.P4MeterEntry("excess", index=4))
            assert [cell.config for cell in cells] == [config, fy.P4MeterConfig(**ONE)]
            (counted,) = await read_all(switch, fy.P4MeterEntry("line", index=3, counter_data=nothing))
            assert counted.counter_data == nothing
            direct = fy.P4DirectMeterEntry(
                table_entry=fy.P4TableEntry("workload", match=fy.P4TableMatch({"source": SOURCE}))
            )
            (found,) = await read_all(switch, direct)
            assert found.config == config
            assert [str(told.match["source"]) for told in await _first_idle(switch)] == [SOURCE]

    asyncio.run(session())


async def _first_idle(switch: fy.Switch) -> list[Any]:
    async def first() -> list[Any]:
        idle: Any = switch.read_idle_timeouts()
        async for told in idle:
            assert told.timestamp > 0
            return list(told)
        return []

    return await asyncio.wait_for(first(), 10)


def test_p4runtime_shell(model_address: str, files: Files, open_shell: OpenShell) -> None:
    wish = asdict(Entry(table="workload", match={"source": SOURCE}, call=Call(action="police", params={})))
    with open_shell(model_address) as shell:
        shell.connect(10, config=files)
        assert shell.do("names", kind="meter") == ["excess", "line"]
        assert shell.do("names", kind="direct_meter") == ["workload_meter"]
        shell.do("write_meter", meter="line", index=3, config=TWO)
        shell.do("write_meter", meter="excess", index=4, config=ONE)
        assert shell.do("read_meter", meter="line", index=3) == TWO
        assert shell.do("read_meter", meter="excess", index=4) == ONE
        assert shell.do("read_meter", meter="line", index=4) is None
        shell.do("insert_metered", wish=wish, config=TWO, idle_timeout_ns=S)
        assert shell.do("read_direct_meter", meter="workload_meter", match={"source": SOURCE}) == TWO
        other = {**TWO, "cir": 5}
        shell.do("write_direct_meter", meter="workload_meter", match={"source": SOURCE}, config=other)
        assert shell.do("read_direct_meter", meter="workload_meter", match={"source": SOURCE}) == other
        assert shell.do("idle_notifications", seconds=4)[:1] == [NUMBER]
        shell.disconnect()
