"""Bad input and bad surroundings: a clear error, exit code 1, and nothing changed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.ir.entries import ActionCall, Entries, Exact, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.bpf.toolchain import WHAT_TO_INSTALL, compile_c
from runtime.client.contents import Contents
from runtime.client.errors import RejectedError
from runtime.client.plan import difference
from runtime.client.session import Session
from tests.root.end_to_end.devices import model_device, model_devices, model_policies
from tests.root.end_to_end.shop import CLIENT, DEVICES, TURNOUT, WEB, Policies, Shop, an_object, find, turnout, write
from tests.root.end_to_end.traffic import steady_requests

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of policies of two model devices that run."""
    with model_devices(tmp_path_factory.mktemp("models")) as path:
        yield path


def load(session: Session, loaded: Pipeline) -> None:
    session.become_primary()
    session.set_pipeline(p4info(loaded), write_bundle(loaded), 1)


def altered() -> Pipeline:
    """The pipeline with a smaller table."""
    whole = pipeline()
    tables = tuple(replace(t, size=100) if t.name == "neighbor" else t for t in whole.tables)
    return replace(whole, tables=tables, version="99")


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "shop.yaml", model_policies(tmp_path))
    with model_device(tmp_path, "dpu-a") as address:
        refused = turnout("apply", path)
        with Session(address) as session:
            assert session.pipeline() is None
    reason = f"no P4Runtime server answers at unix:{tmp_path}/dpu-b.sock: no such file or directory"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"turnout: error: {reason}; is the device running?\n"


def test_a_device_that_runs_another_pipeline(path: Path) -> None:
    address = f"unix:{path.parent}/dpu-b.sock"
    with Session(address) as session:
        load(session, altered())
    refused = turnout("apply", path)
    assert (refused.returncode, refused.stdout) == (1, "")
    with Session(address) as session:
        running = session.pipeline()
    assert running is not None
    assert running.p4info == p4info(altered())
    assert refused.stderr == (
        "turnout: error: device 'dpu-b' runs another pipeline (turnout 99); --replace-pipeline loads turnout "
        f"{pipeline().version} over it, which ends its connections and removes its entries\n"
    )
    shown = turnout("show", "tables", "--device", f"dpu-b={address}")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "turnout: error: device 'dpu-b' runs another pipeline (turnout)\n"
    replaced = turnout("apply", "--replace-pipeline", path)
    assert replaced.returncode == 0, replaced.stderr
    assert f"dpu-b: + pipeline turnout {pipeline().version}, replacing turnout 99\n" in replaced.stdout
    again = turnout("apply", path)
    assert again.stdout.count(": 0 to add, 0 to change, 0 to remove, ") == len(DEVICES)


def test_a_table_that_policies_overflow(path: Path, tmp_path: Path) -> None:
    """Refused before anything is written."""
    policies = model_policies(path.parent)
    ports = [{"name": f"p{port}", "protocol": "TCP", "port": port} for port in range(1, 1001)]
    for number in range(10):
        spec = {"network": "shop", "addresses": [f"10.98.0.{number}"], "ports": ports, "selector": {"app": "web"}}
        policies.append(an_object("DpuService", f"wide-{number}", spec))
    wide = write(tmp_path / "wide.yaml", policies)
    refused = turnout("apply", wide)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.search(
        r"wide\.yaml:\d+:\d+: error\[E0301\]: device 'dpu-a' would need \d{5} entries in table service_ipv4, "
        r"which holds 10000\n",
        refused.stderr,
    )


def test_a_table_that_is_full(restored: Shop) -> None:
    """The device's own words, of its real map."""
    table = next(table for table in pipeline().tables if table.name == "network")
    call = ActionCall(action="set_gateway", arguments=(0, 0))
    more = Entries(
        table_entries=tuple(
            TableEntry(table="network", matches=(Exact(value=1000 + number),), action=call)
            for number in range(table.size)
        )
    )
    contents = Contents(pipeline())
    with restored.session("dpu-b") as session:
        session.become_primary()
        held = sum(entry.table == "network" for entry in contents.read(session).table_entries)
        errors = session.write(list(contents.updates(difference(Entries(), more).steps)))
    refused = [error for error in errors if error is not None]
    assert len(refused) == held
    assert {(error.canonical_code, error.message) for error in refused} == {
        (8, f"table network is full: it holds {table.size} entries")
    }


BAD_PROGRAM = """
struct context { unsigned words[4096]; };
__attribute__((section("tc"), used)) int turnout_tc(struct context *context) { return context->words[4000]; }
"""


def test_a_program_that_the_verifier_refuses(shop: Shop) -> None:
    """Its telling line and the log are named, and what ran before runs on."""
    bad = write_bundle(pipeline(), tc=compile_c(BAD_PROGRAM))
    text = refused_while_requests_pass(shop, bad)
    found = re.fullmatch(
        r"unix:\S+ refused the pipeline \(INVALID_ARGUMENT\): the target kernel refuses the pipeline: "
        r"the kernel refused program 'turnout_tc' \((?:EACCES|EINVAL)\): (.+) \(at program\.bpf\.c:3: .+\); "
        r"whole log: (\S+)",
        text,
    )
    assert found, text
    assert found[1] == "invalid bpf_context access off=16000 size=4"
    assert found[1] in Path(found[2]).read_text()


def test_an_object_that_is_broken(shop: Shop) -> None:
    text = refused_while_requests_pass(shop, write_bundle(pipeline(), tc=b"\x7fELF and then nothing"))
    assert "refused the pipeline (INVALID_ARGUMENT): the target kernel refuses the pipeline: " in text


def refused_while_requests_pass(shop: Shop, bundle: bytes) -> str:
    """Load a bundle while requests go on; the refusal."""
    with steady_requests(shop.namespace(CLIENT), WEB[0]) as requests, shop.session("dpu-a") as session:
        session.become_primary()
        with pytest.raises(RejectedError) as refused:
            session.set_pipeline(p4info(pipeline()), bundle, 1)
        since = len(requests.answers)
        while len(requests.answers) < since + 20 and not requests.failures:
            pass
    assert requests.failures == []
    assert shop.apply().stdout.count(": 0 to add, 0 to change, 0 to remove, ") == len(DEVICES)
    return str(refused.value)


def test_no_compiler(shop: Shop, tmp_path: Path) -> None:
    """Nothing is loaded, and what ran before runs on."""
    program = "import sys; sys.modules['ziglang'] = None; from cli.main import main; main()"
    command = [sys.executable, "-c", program, "apply", "--replace-pipeline", str(shop.path)]
    with steady_requests(shop.namespace(CLIENT), WEB[0]) as requests:
        refused = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PATH": str(tmp_path), "HOME": str(tmp_path)}
        )
    assert refused.returncode == 1
    assert refused.stderr == f"turnout: error: no compiler for BPF was found; {WHAT_TO_INSTALL}\n"
    assert requests.failures == []
    assert shop.apply().stdout.count(": 0 to add, 0 to change, 0 to remove, ") == len(DEVICES)


def test_not_root(shop: Shop) -> None:
    """In a user namespace without any right over the machine."""
    if subprocess.run(["unshare", "--user", "true"], check=False, capture_output=True).returncode:
        pytest.skip("kernel lacks user namespaces")
    command = ["unshare", "--user", TURNOUT, "lab", "up", "--name", f"{shop.name}x", str(shop.path)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        "turnout: error: the lab makes network namespaces, which only root may\n  hint: run it as root, or with sudo\n"
    )


MISTAKES: dict[str, Callable[[Policies], object]] = {
    "unknown kind": lambda policies: policies[0].update(kind="Netwerk"),
    "unknown field": lambda policies: policies[0]["spec"].update(vnni=3),
    "missing object": lambda policies: find(policies, "DpuService", "web")["spec"].update(network="shopp"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_policies_with_a_mistake(path: Path, tmp_path: Path, mistake: str) -> None:
    policies = model_policies(path.parent)
    MISTAKES[mistake](policies)
    wrong = write(tmp_path / "wrong.yaml", policies)
    refused = turnout("apply", wrong)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.match(r"\S+wrong\.yaml:\d+:\d+: error\[E\d{4}\]: ", refused.stderr)
    assert "^" in refused.stderr
