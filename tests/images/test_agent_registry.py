"""Layers that the agent fetches again, from a registry with TLS of its own and a password."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images.agent import Agent, Refused, mounted, running_agent
from tests.images.archives import LayoutWriter, digest
from tests.images.containerd import chain_id
from tests.images.conversions import turnout
from tests.images.node import busybox, file_layer
from tests.images.registry import NAME, PASSWORD, docker_registry, push, secured_registry

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
REF = "containerd.io/snapshot.ref"
LAYERS = (busybox(), file_layer("etc/base", "fetched again"), file_layer("etc/top", "converted"))
CHAINS = [chain_id([digest(layer) for layer in LAYERS[: count + 1]]) for count in range(len(LAYERS))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """`host` wants a password, and shows a certificate of `authority`."""

    host: str
    authority: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Generator[Secured]:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed; ./setup installs it")
    folder, plain = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("plain")
    layout = LayoutWriter(folder / "layout")
    layout.image(LAYERS)
    with (
        docker_registry(plain, plain / "data") as open_host,
        secured_registry(folder, plain / "data") as (host, authority),
    ):
        push(layout.write(), open_host, "shop/web", "1")
        yield Secured(host=host, authority=authority)


def credentials(path: Path, host: str, password: str) -> Path:
    pair = base64.b64encode(f"{NAME}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {host: {"auth": pair}}}))
    return path


def convert(secured: Secured, agent: Agent, known: Path) -> None:
    options = ["--tls-ca", secured.authority, "--credentials", known, "--store", agent.store]
    done = turnout("convert", f"{secured.host}/shop/web:1", "--platform", "linux/amd64", *options)
    assert done.returncode == 0, done.stderr


def pull(agent: Agent) -> None:
    """As containerd does: each layer is there already, so none is fetched."""
    for count, chain in enumerate(CHAINS):
        parent = CHAINS[count - 1] if count else ""
        with pytest.raises(Refused) as refused:
            agent.call("Prepare", key=f"extract {count}", parent=parent, labels={REF: chain})
        assert refused.value.code == "ALREADY_EXISTS"


def test_a_password_and_an_authority_of_its_own(secured: Secured, tmp_path: Path) -> None:
    """The file of passwords is read when it is needed: a wrong one is said, and a new one taken, without a restart."""
    known = credentials(tmp_path / "config.json", secured.host, PASSWORD)
    options = ("--registry-ca", secured.authority, "--registry-credentials", known)
    with running_agent(tmp_path, *options) as agent:
        convert(secured, agent, known)
        pull(agent)
        credentials(known, secured.host, "changed")
        with pytest.raises(Refused) as refused:
            agent.call("Prepare", key="own", parent=CHAINS[1])
        assert refused.value.code == "UNAVAILABLE"
        assert "401 UNAUTHORIZED" in refused.value.text
        credentials(known, secured.host, PASSWORD)
        with mounted(agent.call("Prepare", key="own", parent=CHAINS[1]), tmp_path / "own") as root:
            assert (root / "etc" / "base").read_text() == "fetched again"
            assert not (root / "etc" / "top").exists()
        agent.call("Remove", key="own")


def test_without_them_it_is_said_what_is_missing(secured: Secured, tmp_path: Path) -> None:
    known = credentials(tmp_path / "config.json", secured.host, PASSWORD)
    (tmp_path / "none.json").write_text("{}")
    options = ("--registry-ca", secured.authority, "--registry-credentials", tmp_path / "none.json")
    with running_agent(tmp_path, *options) as agent:
        convert(secured, agent, known)
        pull(agent)
        with pytest.raises(Refused) as refused:
            agent.call("Prepare", key="own", parent=CHAINS[0])
        assert refused.value.code == "UNAVAILABLE"
        assert f"{secured.host} wants a name and a password, and config.json has none for it" in refused.value.text
        agent.call("Prepare", key="whole", parent=CHAINS[2])
        agent.call("Remove", key="whole")


def test_a_mirror_is_asked_first(secured: Secured, tmp_path: Path) -> None:
    """The registry itself is named by a host that nobody has."""
    known = credentials(tmp_path / "config.json", secured.host, PASSWORD)
    mirror = f"registry.invalid={secured.host}"
    options = ("--registry-ca", secured.authority, "--registry-credentials", known, "--registry-mirror", mirror)
    with running_agent(tmp_path, *options) as agent:
        asked = ["--tls-ca", secured.authority, "--credentials", known, "--mirror", mirror, "--store", agent.store]
        done = turnout("convert", "registry.invalid/shop/web:1", "--platform", "linux/amd64", *asked)
        assert done.returncode == 0, done.stderr
        pull(agent)
        with mounted(agent.call("Prepare", key="own", parent=CHAINS[1]), tmp_path / "own") as root:
            assert (root / "etc" / "base").read_text() == "fetched again"
        agent.call("Remove", key="own")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--registry-mirror", "nothing"), "'nothing' is no mirror; expected REGISTRY=HOST[:PORT]"),
        (("--registry-credentials", "missing.json"), "missing.json: No such file or directory"),
    ],
)
def test_what_it_does_not_take(options: tuple[str, str], said: str, tmp_path: Path) -> None:
    agent = Agent(tmp_path, *options)
    done = subprocess.run(agent.command(agent.socket), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr
