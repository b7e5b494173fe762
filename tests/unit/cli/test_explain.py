"""`turnout explain` as a command, on two devices of the model target: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import app
from runtime.applied import FOLDER
from tests.conformance.conftest import running
from tests.goldens import GOLDEN as GOLDENS
from tests.goldens import held

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
Change = Callable[[list[dict[str, Any]]], None]
GOLDEN = GOLDENS / "explain"
MORE = """
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: empty, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.99]
  ports:
  - {name: tcp, protocol: TCP, port: 80, targetPort: 8080}
  - {name: udp, protocol: UDP, port: 53, targetPort: 5300}
  selector: {app: none}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: source, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.98]
  ports: [{protocol: TCP, port: 80, targetPort: 8080}]
  selector: {app: web}
  algorithm: SourceHash
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: zone, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.94]
  ports:
  - {name: media, protocol: UDP, port: 30000, endPort: 30009, targetPort: 6000}
  - {name: next, protocol: UDP, port: 30010}
  selector: {app: web}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: turn, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.96]
  ports: [{protocol: TCP, port: 80, targetPort: 8080}]
  selector: {app: web}
  algorithm: RoundRobin
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: count, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.95]
  ports: [{protocol: TCP, port: 80, targetPort: 8080}]
  selector: {app: web}
  algorithm: LeastConnections
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: chance, namespace: shop}
spec:
  network: shop
  addresses: [10.96.0.97]
  ports: [{protocol: TCP, port: 80, targetPort: 8080}]
  selector: {app: web}
  algorithm: Random
---
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {id: 9, vni: 900, cidrs: [10.9.0.0/16]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: data}
spec: {type: NodePort, clusterIP: 10.97.0.1, ports: [{port: 80}]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """Two devices to which `policies` was applied."""

    folder: Path
    policies: Path

    def explain(self, *words: str, records: str = "applied") -> Result:
        return CliRunner().invoke(app, ["explain", *words], env={FOLDER: str(self.folder / records)})

    def apply(self, path: Path, *words: str) -> Result:
        return CliRunner().invoke(app, ["apply", *words, str(path)], env={FOLDER: str(self.folder / "applied")})


def documents(folder: Path, example: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "examples" / example).read_text()))
    for document in found:
        if document["kind"] == "Device":
            name = document["metadata"]["name"]
            document["spec"] |= {"profile": "model", "address": f"unix:{folder}/{name}.sock"}
    return found


@contextmanager
def two_devices(folder: Path, example: str, more: str = "", change: Change | None = None) -> Generator[Devices]:
    """To which an example's policies were applied, changed, and more."""
    policies = folder / example
    whole = [*documents(folder, example), *yaml.safe_load_all(more)]
    if change is not None:
        change(whole)
    policies.write_text(yaml.safe_dump_all(whole, sort_keys=False))
    made = Devices(folder=folder, policies=policies)
    with ExitStack() as stack:
        for name in ("dpu-a", "dpu-b"):
            own = folder / name
            own.mkdir()
            words = ["--name", name, "--listen", f"unix:{folder}/{name}.sock", "--target", "model"]
            stack.enter_context(running([*words, "--state-dir", str(own)], own))
        applied = made.apply(policies)
        assert applied.exit_code == 0, applied.output
        yield made


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with two_devices(tmp_path_factory.mktemp("explain"), "shop.yaml", MORE) as made:
        yield made


def told(devices: Devices, result: Result) -> str:
    """What was printed, with policies by their name and sockets without their folder."""
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout.replace(str(devices.policies), devices.policies.name).replace(f"{devices.folder}/", "")


def refused(result: Result) -> str:
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("workload", ["shop/web-1", "web-3:22"]),
        ("service", ["shop/client", "web:80"]),
        ("service-ipv6", ["shop/client", "web:echo", "--ipv6"]),
        ("no-backend", ["shop/client", "shop/empty:80"]),
        ("no-backend-udp", ["shop/client", "shop/empty:udp"]),
        ("nobody", ["shop/client", "10.99.0.1:80"]),
        ("no-such-port", ["shop/client", "10.96.0.10:81"]),
        ("other-device-left-out", ["blue-client", "web:80", "--device", "dpu-a"]),
        ("of-service", ["shop/web"]),
        ("of-service-without-backend", ["empty"]),
        ("of-headless-service", ["data/db"]),
        ("of-service-served-in-part", ["front"]),
    ],
)
def test_what_is_told(devices: Devices, name: str, words: list[str]) -> None:
    text = told(devices, devices.explain(*words))
    assert text == held(GOLDEN / f"{name}.txt", text)


def test_programs_are_told_the_same(devices: Devices) -> None:
    text = told(devices, devices.explain("shop/client", "web:80"))
    plain = json.loads(told(devices, devices.explain("shop/client", "web:80", "-o", "json")))
    assert plain == yaml.safe_load(told(devices, devices.explain("shop/client", "web:80", "-o", "yaml")))
    assert [(way["fate"], way["share"], way["device"], way["port"]) for way in plain["ways"]] == [
        ("delivered", "1/3", "dpu-a", 17),
        ("delivered", "1/3", "dpu-a", 18),
        ("delivered", "1/3", "dpu-b", 16),
    ]
    assert [way["backend"] for way in plain["ways"]] == [f"10.1.0.1{n}:8080 (shop/web-{n})" for n in (1, 2, 3)]
    steps = [step for way in plain["ways"] for hop in way["hops"] for step in hop["steps"]]
    assert all(step["text"] in text for step in steps)
    service = next(step for step in steps if step["table"] == "service_ipv4")
    assert (service["policy"], service["place"]) == ("DpuService shop/web:http", "shop.yaml:194:11")
    assert service["key"] == {"network": "1", "address": "10.96.0.10", "protocol": "6", "port": "80"}
    assert plain["ways"][2]["hops"][1]["frame"] == plain["ways"][2]["hops"][0]["packet"]


def test_programs_are_told_the_same_of_a_service(devices: Devices) -> None:
    plain = json.loads(told(devices, devices.explain("blue/web", "-o", "json")))
    assert (plain["service"], plain["offloaded"], plain["network"], plain["notes"]) == ("blue/web", True, "blue", [])
    assert [(on["device"], on["why"]) for on in plain["devices"]] == [("dpu-a", ""), ("dpu-b", "")]
    (front,) = plain["devices"][0]["fronts"]
    assert front["backends"] == [
        {
            "address": "10.1.0.11",
            "port": 8080,
            "workload": "blue/blue-web",
            "state": "live",
            "weight": 1,
            "share": "1",
            "way": "through the tunnel to dpu-b (192.168.50.2)",
            "place": "shop.yaml:168:9",
        }
    ]
    headless = json.loads(told(devices, devices.explain("data/db", "-o", "json")))
    assert (headless["offloaded"], headless["devices"], len(headless["notes"])) == (False, [], 1)


def test_with_a_source_port_a_backend_is_the_one_that_the_device_chooses(devices: Devices) -> None:
    """Its folder, beside its socket, says what it hashes with."""

    def chosen(port: int) -> str:
        plain = json.loads(told(devices, devices.explain("client", "web:80", "--source-port", str(port), "-o", "json")))
        (way,) = plain["ways"]
        return way["backend"]

    found = [chosen(port) for port in range(20_000, 20_016)]
    assert found == [chosen(port) for port in range(20_000, 20_016)]
    assert len(set(found)) > 1


def test_what_the_device_lacks_is_told(devices: Devices, tmp_path: Path) -> None:
    """Policies that were never applied: their service is missing, and their backend."""
    wanted = tmp_path / "wanted.yaml"
    more = [one for one in yaml.safe_load_all(devices.policies.read_text()) if one["kind"] != "DpuService"]
    ports = [{"protocol": "TCP", "port": 80, "targetPort": 8080}, {"protocol": "TCP", "port": 81, "targetPort": 8080}]
    for port, name in zip(ports, ("a", "b"), strict=True):
        port["name"] = name  # type: ignore[assignment]
    spec = {"network": "shop", "addresses": ["10.96.0.10"], "ports": ports, "backends": [{"workload": "shop/client"}]}
    more.append(
        {
            "apiVersion": "turnout.dev/v1alpha1",
            "kind": "DpuService",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": spec,
        }
    )
    wanted.write_text(yaml.safe_dump_all(more))
    plain = json.loads(told(devices, devices.explain("shop/web", "--policies", str(wanted), "-o", "json")))
    first, second = plain["devices"][0]["fronts"]
    assert (first["state"], first["words"]) == ("live", "3 backends")
    assert [(b["workload"], b["state"], b["share"]) for b in first["backends"]] == [
        ("shop/client", "missing", None),
        ("shop/web-1", "not as applied", "1/3"),
        ("shop/web-2", "not as applied", "1/3"),
        ("shop/web-3", "not as applied", "1/3"),
    ]
    assert (second["state"], second["words"]) == ("missing", "so its packets are routed like any others")
    lines = told(devices, devices.explain("client", "web:80", "--policies", str(wanted))).splitlines()
    assert lines[1].startswith("note: dpu-a does not hold what was applied: ")


def test_a_device_that_does_not_run_is_told(devices: Devices) -> None:
    words = ("--device", "dpu-a", "--device", "dpu-b=unix:/nowhere.sock")
    gone = "no P4Runtime server answers at unix:/nowhere.sock: no such file or directory; is the device running?"
    assert refused(devices.explain("web-3", "web:80", *words)) == f"turnout: error: {gone}\n"
    last = told(devices, devices.explain("web-1", "web-3:22", *words)).splitlines()[-1]
    assert last == f"=> unknown: it goes on to device 'dpu-b', which cannot be asked: {gone}"
    lines = told(devices, devices.explain("shop/web", *words)).splitlines()
    assert lines[-1] == f"dpu-b (unix:/nowhere.sock): cannot be asked: {gone}"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["web"],
            "'web' is several services: blue/web in network blue, shop/web in network shop; name one as namespace/name",
        ),
        (["shop/wbe"], "no service 'shop/wbe' was applied to dpu-a, dpu-b; did you mean 'shop/web'?"),
        (["client", "web"], "'web' has no port: write ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT"),
        (["client", "web:80", "--flags", "X"], "'X' are no flags of TCP: write letters of F, S, R, P, A, as in SA"),
        (
            ["shop/clinet", "web:80"],
            "no workload 'shop/clinet' is behind a port of dpu-a, dpu-b; did you mean 'shop/client'?",
        ),
        (
            ["198.51.100.9", "shop/web:80"],
            "no workload has 198.51.100.9, and service 'shop/web' has no IPv4 address for clients outside, and no node "
            "ports either",
        ),
        (
            ["client", "web:80", "--device", "dpu-x"],
            "nothing was applied to a device 'dpu-x' from here; known: dpu-a, dpu-b",
        ),
    ],
)
def test_what_is_wrong_is_told(devices: Devices, words: list[str], text: str) -> None:
    assert refused(devices.explain(*words)) == f"turnout: error: {text}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["client", "web:80", "--protocol", "icmp"],
        ["client", "web:80", "--source-port", "0"],
        ["client", "web:80", "-o", "xml"],
        [],
    ],
)
def test_wrong_use(devices: Devices, words: list[str]) -> None:
    done = devices.explain(*words)
    assert (done.exit_code, done.stdout) == (2, "")


def test_where_nothing_was_applied_policies_are_asked_for(devices: Devices) -> None:
    folder = devices.folder / "none"
    assert refused(devices.explain("shop/web", records="none")) == (
        f"turnout: error: nothing was applied from here ({folder} has no record); "
        "`turnout apply` records it, or give --policies\n"
    )
    plain = told(devices, devices.explain("shop/web", "--policies", str(devices.policies), records="none"))
    assert plain == told(devices, devices.explain("shop/web"))


def test_policies_that_are_refused_or_have_no_device(devices: Devices, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: Nonsense\n")
    assert refused(devices.explain("shop/web", "--policies", str(bad))).startswith(
        "turnout: error: the policies are refused; `turnout check` explains:\n"
    )
    bad.write_text("apiVersion: turnout.dev/v1alpha1\nkind: Node\nmetadata: {name: a}\n")
    assert refused(devices.explain("shop/web", "--policies", str(bad))) == (
        "turnout: error: these policies have no Device\n"
    )


def test_a_record_that_is_none(devices: Devices) -> None:
    folder = devices.folder / "broken"
    folder.mkdir()
    (folder / "dpu-a.json").write_text("{}")
    assert refused(devices.explain("shop/web", records="broken")) == (
        f"turnout: error: {folder}/dpu-a.json is no record of `turnout apply`; remove it, and apply again\n"
    )


def test_an_apply_without_a_place_for_its_record_goes_on(devices: Devices, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ["apply", str(devices.policies)]
    done = CliRunner().invoke(app, words, env={FOLDER: str(tmp_path / "file" / "folder")})
    assert done.exit_code == 0
    assert (
        f"turnout: cannot record what was applied in {tmp_path}/file/folder/dpu-a.json: not a directory; "
        "`turnout explain` needs --policies then\n"
    ) in done.stderr


def test_a_dry_run_records_nothing(devices: Devices, tmp_path: Path) -> None:
    words = ["apply", "--dry-run", str(devices.policies)]
    assert CliRunner().invoke(app, words, env={FOLDER: str(tmp_path)}).exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("service", "words", "count"),
    [
        ("chance:80", ["--source-port", "4000"], 3),
        ("turn:80", ["--source-port", "4000"], 3),
        ("count:80", ["--source-port", "4000"], 3),
        ("source:80", [], 1),
        ("source:80", ["--source-port", "4000"], 1),
        ("web:80", [], 3),
    ],
)
def test_ways_are_as_many_as_the_algorithm_leaves_open(
    devices: Devices, service: str, words: list[str], count: int
) -> None:
    text = told(devices, devices.explain("client", service, *words))
    assert text.count("\n=> ") == count
    assert text.count("which backend gets the connection is chance; all ways:\n") == (service == "chance:80")
    assert text.count("the connection follows from how many came before; all ways:\n") == (service == "turn:80")
    told_words = "the connection is that with fewer connections, of two drawn by chance; all ways:\n"
    assert text.count(told_words) == (service == "count:80")


def test_a_range_of_ports_is_shown_as_one(devices: Devices) -> None:
    text = told(devices, devices.explain("zone"))
    assert "\nports: UDP 30000-30009 (media), UDP 30010 (next)\n" in text
    assert text.count("  10.96.0.94, UDP 30000-30009 (media): live, 3 backends  [") == 2
    assert text.count("    of port 30000; those of the 9 ports behind it are as many ports further\n") == 2
    assert text.count("  10.96.0.94, UDP 30010 (next): live, 3 backends  [") == 2
    plain = json.loads(told(devices, devices.explain("zone", "-o", "json")))
    assert [len(on["fronts"]) for on in plain["devices"]] == [11, 11]


def test_a_packet_to_a_port_of_a_range_is_explained(devices: Devices) -> None:
    text = told(devices, devices.explain("client", "zone:30007", "--protocol", "udp", "--source-port", "4000"))
    assert "port=6007" in text


def test_a_service_that_counts_tells_no_shares(devices: Devices) -> None:
    text = told(devices, devices.explain("count"))
    assert "\nalgorithm: LeastConnections, of two drawn by weight the one with fewer connections\n" in text
    assert "of new connections" not in text


def test_without_its_folder_nobody_knows_what_a_device_hashes_with(devices: Devices, tmp_path: Path) -> None:
    """The same socket by another name."""
    (tmp_path / "x.sock").symlink_to(devices.folder / "dpu-a.sock")
    words = ("--device", f"dpu-a=unix:{tmp_path}/x.sock", "--source-port", "4000")
    for service, basis in (("web", "connection"), ("source", "source")):
        lines = told(devices, devices.explain("client", f"{service}:80", *words)).splitlines()
        assert lines[1] == (
            f"which backend gets the connection follows from its {basis}, by a hash whose seed only the device knows; "
            "all ways:"
        )
