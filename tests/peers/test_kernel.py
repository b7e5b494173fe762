"""A service written by hand, through clients that are not written here, carries real connections through eBPF."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Generator

import finsy as fy
import pytest
from google.protobuf import text_format

from compiler.pipeline.assembly import pipeline
from compiler.printers.p4info import p4info
from runtime.build import build_bundle
from tests.peers.conftest import Files, OpenShell
from tests.peers.finsyclient import all_made, everything_in, options, read_all
from tests.peers.handlab import Lab, hand_lab, lab_name, senders
from tests.peers.handwritten import ADDRESSES, SERVICE, SERVICE_ADDRESS, SERVICE_PORT, everything
from tests.peers.test_finsy import in_order

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.root]
VERSIONS = (4, 6)
REQUESTS = 12


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Generator[Lab]:
    with hand_lab(lab_name(), tmp_path_factory.mktemp("lab")) as up:
        yield up


@pytest.fixture(scope="module")
def kernel_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """P4Info as text, and a bundle with eBPF."""
    folder = tmp_path_factory.mktemp("kernel")
    info, bundle = folder / "turnout.p4info.txtpb", folder / "turnout.bundle"
    info.write_text(text_format.MessageToString(p4info(pipeline())))
    bundle.write_bytes(build_bundle(pipeline()))
    return info, bundle


def served(lab: Lab, version: int) -> Counter[str]:
    """How often each backend answered; all that the client received came from the service."""
    with lab.listening() as frames:
        answers = [lab.ask(version) for _ in range(REQUESTS)]
        assert senders(frames) == {(SERVICE_ADDRESS[version], int(SERVICE_PORT))}
    assert {answer.stderr for answer in answers} == {""}
    backends = [re.fullmatch(r"(\S+) (\S+)\n", answer.stdout) for answer in answers]
    assert {found and found[2] for found in backends} == {ADDRESSES[version]["client"]}
    return Counter(found[1] for found in backends if found)


def test_p4runtime_shell(lab: Lab, kernel_files: Files, open_shell: OpenShell, next_election_id: int) -> None:
    with open_shell(lab.address) as shell:
        shell.connect(next_election_id, config=kernel_files)
        for wish in everything():
            shell.insert(wish)
            assert shell.read_back(wish) == [wish.numbers()]
        answers = {version: served(lab, version) for version in VERSIONS}
        for version, by_backend in answers.items():
            assert by_backend.keys() == {"web-1", "web-2"}
            ((_, packets, size),) = shell.do("read_direct_counter", counter=f"service_ipv{version}_count", match={})
            assert packets == REQUESTS
            assert size >= packets * 54
            assert len(shell.read_table(f"flow_ipv{version}")) == REQUESTS
        ((_, packets, _),) = shell.do("read_counter", counter="service_requests", index=int(SERVICE))
        assert packets >= 2 * REQUESTS * 4
        for wish in reversed(everything()):
            shell.delete(wish)
        assert lab.ask(4, patience_s=1).returncode != 0
        shell.disconnect()


def test_finsy(lab: Lab, kernel_files: Files, next_election_id: int) -> None:
    async def session() -> None:
        chosen = options(kernel_files, next_election_id)(p4force=True)
        async with fy.Switch("device", lab.address, chosen) as switch:
            await switch.insert(all_made(everything()))
            assert in_order(await everything_in(switch)) == in_order([wish.numbers() for wish in everything()])
            for version in VERSIONS:
                by_backend = await asyncio.to_thread(served, lab, version)
                assert by_backend.keys() == {"web-1", "web-2"}
                (counted,) = await read_all(switch, fy.P4DirectCounterEntry(f"service_ipv{version}_count"))
                assert counted.packet_count == REQUESTS
            await switch.delete_all()
            assert await everything_in(switch) == []

    asyncio.run(session())
