"""Images from registries: a real one, plain and with TLS and a password, and one that misbehaves."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.storage.conversion import Converted, convert
from agents.storage.io.credentials import CredentialFile
from agents.storage.io.registryoptions import Connection, RegistryOptions
from agents.storage.io.store import Store
from agents.storage.translate.platforms import parse_platform
from agents.storage.wire.challenges import Challenge, parse_challenge
from agents.storage.wire.errors import ImageError
from compiler.policy.imagenames import parse_image_name
from runtime.device.certificates import Validity, make_authority
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.conversions import converted, turnout
from tests.images.fakeregistry import Behaviour, fake_registry
from tests.images.registry import NAME, PASSWORD, docker_registry, push, secured_registry

LAYERS = tuple(Tar().add(f"part{n}", data=random.Random(n).randbytes(300_000)).finished() for n in range(6))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = LayoutWriter(tmp_path_factory.mktemp("layout"))
    writer.image(LAYERS, compression="zstd")
    return writer.write()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own passwords take part."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


def _convert(name: str, folder: Path, options: RegistryOptions | None = None) -> Converted:
    store = Store(folder)
    try:
        return convert(parse_image_name(name), parse_platform("linux/amd64"), store, registries=options)
    finally:
        store.close()


def _auth_file(path: Path, host: str, **entry: str) -> CredentialFile:
    path.write_text(json.dumps({"auths": {host: entry}}))
    return CredentialFile(path)


# --------------------------------------------------------------------------------------------- a real registry


@dataclass(frozen=True)
class RealRegistry:
    plain: str
    secured: str
    authority: Path
    digest: str


@pytest.fixture(scope="module")
def real(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RealRegistry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed; ./setup installs it")
    folder, second = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("tls")
    with (
        docker_registry(folder, folder / "data") as plain,
        secured_registry(second, folder / "data") as (secured, authority),
    ):
        pushed = push(layout, plain, "shop/web", "1")
        yield RealRegistry(plain, secured, authority, pushed)


@pytest.mark.peer
@pytest.mark.slow
def test_a_real_registry_gives_what_the_layout_gives(real: RealRegistry, layout: Path, tmp_path: Path) -> None:
    expected = converted(layout, tmp_path / "one").image
    by_tag = _convert(f"{real.plain}/shop/web:1", tmp_path / "two").image
    by_digest = _convert(f"{real.plain}/shop/web@{real.digest}", tmp_path / "three").image
    assert by_tag.volumes == by_digest.volumes == expected.volumes
    assert by_tag.manifest_digest == real.digest


@pytest.mark.peer
@pytest.mark.slow
def test_tls_and_a_password(real: RealRegistry, tmp_path: Path) -> None:
    pair = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    credentials = tmp_path / "config.json"
    credentials.write_text(json.dumps({"auths": {real.secured: {"auth": pair}}}))
    options = ["--tls-ca", real.authority, "--credentials", credentials, "--store", tmp_path / "store"]
    done = turnout("convert", f"{real.secured}/shop/web:1", "--platform", "linux/amd64", "-o", "json", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["digest"] == real.digest


@pytest.mark.peer
@pytest.mark.slow
def test_tls_is_not_taken_on_trust(real: RealRegistry, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    now = datetime.now(UTC)
    other.write_bytes(make_authority(Validity(now=now, days=1)).certificate_pem)
    options = RegistryOptions(connection=Connection(ca_file=other))
    with pytest.raises(ImageError, match=rf"{real.secured}: TLS failed: .*unable to get local issuer certificate.*"):
        _convert(f"{real.secured}/shop/web:1", tmp_path / "store", options)


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop/web:2", "{host}/v2/shop/web/manifests/2: 404 MANIFEST_UNKNOWN: manifest unknown"),
        ("shop/none:1", "{host}/v2/shop/none/manifests/1: 404 MANIFEST_UNKNOWN: manifest unknown"),
    ],
)
def test_what_a_registry_does_not_have(name: str, message: str, real: RealRegistry, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as refused:
        _convert(f"{real.plain}/{name}", tmp_path / "store")
    assert str(refused.value) == message.format(host=real.plain)


@pytest.mark.peer
@pytest.mark.slow
def test_a_password_that_is_missing_or_wrong(real: RealRegistry, tmp_path: Path) -> None:
    connection = Connection(ca_file=real.authority)
    with pytest.raises(ImageError) as refused:
        _convert(f"{real.secured}/shop/web:1", tmp_path / "store", RegistryOptions(connection=connection))
    expected = f"{real.secured} wants a name and a password, and config.json has none for it"
    assert str(refused.value) == expected
    wrong = _auth_file(tmp_path / "config.json", real.secured, username=NAME, password="wrong")
    with pytest.raises(ImageError) as refused:
        _convert(
            f"{real.secured}/shop/web:1", tmp_path / "store", RegistryOptions(connection=connection, credentials=wrong)
        )
    assert str(refused.value) == (f"{real.secured}/v2/shop/web/manifests/1: 401 UNAUTHORIZED: authentication required")


# -------------------------------------------------------------------------------------- one that misbehaves


def test_a_broken_connection_goes_on_where_it_was(layout: Path, tmp_path: Path) -> None:
    with fake_registry(Behaviour(layout, breaks_after=70_000, busy=2)) as host:
        assert _convert(f"{host}/web:1", tmp_path / "store").image.layers


def test_a_connection_that_always_breaks_is_given_up(layout: Path, tmp_path: Path) -> None:
    with fake_registry(Behaviour(layout, breaks_after=20_000)) as host, pytest.raises(ImageError) as refused:
        _convert(f"{host}/web:1", tmp_path / "store")
    assert "the connection broke 9 times, the last time after 180000 of " in str(refused.value)
    assert sorted((tmp_path / "store" / "layers").iterdir()) == []


def test_a_broken_connection_without_ranges_is_said(layout: Path, tmp_path: Path) -> None:
    with (
        fake_registry(Behaviour(layout, breaks_after=70_000, ranges=False)) as host,
        pytest.raises(ImageError) as refused,
    ):
        _convert(f"{host}/web:1", tmp_path / "store")
    assert re.fullmatch(rf"{host} gives no part of sha256:\w+, and the connection broke", str(refused.value))


def test_a_layer_with_other_bytes_is_refused(layout: Path, tmp_path: Path) -> None:
    with fake_registry(Behaviour(layout, changed=b"x" * 300_000)) as host, pytest.raises(ImageError) as refused:
        _convert(f"{host}/web:1", tmp_path / "store")
    assert "sha256:" in str(refused.value)
    assert sorted((tmp_path / "store" / "layers").iterdir()) == []


def test_a_manifest_that_is_not_what_was_asked_for_is_refused(layout: Path, tmp_path: Path) -> None:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    other = tmp_path / "other"
    shutil.copytree(layout, other)
    path = other / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")
    path.write_bytes(path.read_bytes() + b" ")
    with fake_registry(Behaviour(other)) as host, pytest.raises(ImageError) as refused:
        _convert(f"{host}/web@{entry['digest']}", tmp_path / "store")
    assert str(refused.value) == f"{host}/web@{entry['digest']}: what came has the digest {digest(path.read_bytes())}"


def test_tokens(layout: Path, tmp_path: Path) -> None:
    behaviour = Behaviour(layout, token_user="someone:secret")
    with fake_registry(behaviour) as host:
        known = _auth_file(tmp_path / "config.json", host, username="someone", password="secret")
        assert _convert(f"{host}/web:1", tmp_path / "store", RegistryOptions(credentials=known)).image
        assert len([1 for _, path, _ in behaviour.seen if path.startswith("/token")]) == 1
        wrong = _auth_file(tmp_path / "config.json", host, username="someone", password="other")
        with pytest.raises(ImageError) as refused:
            _convert(f"{host}/web:1", tmp_path / "store", RegistryOptions(credentials=wrong))
        assert str(refused.value) == f"{host}/token: 401 UNAUTHORIZED: wrong password"


def test_identity_tokens(layout: Path, tmp_path: Path) -> None:
    with fake_registry(Behaviour(layout, identity_token="long-lived")) as host:
        known = _auth_file(tmp_path / "config.json", host, identitytoken="long-lived")
        assert _convert(f"{host}/web:1", tmp_path / "store", RegistryOptions(credentials=known)).image


def test_credentials_do_not_follow_a_redirection(layout: Path, tmp_path: Path) -> None:
    behaviour = Behaviour(layout)
    with fake_registry(behaviour) as elsewhere:
        first = Behaviour(layout, basic_user="someone:secret", elsewhere=elsewhere)
        with fake_registry(first) as host:
            known = _auth_file(tmp_path / "config.json", host, username="someone", password="secret")
            assert _convert(f"{host}/web:1", tmp_path / "store", RegistryOptions(credentials=known)).image
    assert behaviour.seen
    assert {authorization for _, _, authorization in behaviour.seen} == {""}


def test_a_mirror_comes_first_and_the_registry_when_it_fails(layout: Path, tmp_path: Path) -> None:
    mirror, own = Behaviour(layout), Behaviour(layout)
    with fake_registry(mirror) as near, fake_registry(own) as host:
        options = RegistryOptions(mirrors={host: (near,)})
        assert _convert(f"{host}/web:1", tmp_path / "one", options).image
        assert own.seen == []
        assert _convert(f"{host}/web:1", tmp_path / "two", RegistryOptions(mirrors={host: ("127.0.0.1:1",)})).image
        assert own.seen


def test_helpers_for_credentials(layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\n[ "$1" = get ] && cat >/dev/null && echo \'{"Username": "someone", "Secret": "secret"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "config.json").write_text('{"credsStore": "test"}')
    with fake_registry(Behaviour(layout, basic_user="someone:secret")) as host:
        options = RegistryOptions(credentials=CredentialFile(tmp_path / "config.json"))
        assert _convert(f"{host}/web:1", tmp_path / "store", options).image


def test_passwords_are_not_sent_without_tls(layout: Path, tmp_path: Path) -> None:
    known = _auth_file(tmp_path / "config.json", "registry.example.com", username="someone", password="secret")
    behaviour = Behaviour(layout, basic_user="someone:secret")
    with fake_registry(behaviour) as host:
        options = RegistryOptions(credentials=known, mirrors={"registry.example.com": (host,)})
        with pytest.raises(ImageError, match="wants a name and a password"):
            _convert("registry.example.com/web:1", tmp_path / "store", options)
    assert {authorization for _, _, authorization in behaviour.seen} == {""}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('Basic realm="x"', Challenge("basic", {"realm": "x"})),
        (
            'Bearer realm="https://a/t?x=1,2",service="s s",scope="repository:a:pull,push"',
            Challenge("bearer", {"realm": "https://a/t?x=1,2", "service": "s s", "scope": "repository:a:pull,push"}),
        ),
        ('bearer Realm=plain , service="quo\\"ted"', Challenge("bearer", {"realm": "plain", "service": 'quo"ted'})),
        ("", Challenge("", {})),
    ],
)
def test_challenges(value: str, expected: Challenge) -> None:
    assert parse_challenge(value) == expected
