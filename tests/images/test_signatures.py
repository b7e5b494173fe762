"""Images that have to be signed: by cosign in registries and layouts, and what is said where no signature is good."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from agents.storage.conversion import convert, no_progress
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.store import Store
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import INDEX_TYPES
from agents.storage.wire.signatures import SIMPLE_SIGNING, signature_tag
from compiler.policy.imagenames import parse_image_name
from compiler.policy.signingkeys import SigningKey, parse_signing_key
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.conversions import AMD64, turnout
from tests.images.fakeregistry import Behaviour, fake_registry
from tests.images.registry import docker_registry, free_port, push
from tests.images.signing import (
    BUNDLE,
    MANIFEST,
    bundle,
    make_keys,
    private_pem,
    public,
    public_pem,
    signed_manifest,
    simple_layer,
    simple_payload,
    statement,
    tagged,
)
from tests.images.versions import peer_folder

KEYS = make_keys()
EC, ED = KEYS["ECDSA P-256"], KEYS["Ed25519"]
LAYER = Tar().add("a", data=b"a file").finished()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody's own passwords take part."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


def _convert(name: str, store: Path, *keys: SigningKey, registries: RegistryOptions | None = None) -> SigningKey | None:
    """The key that the image was found to be signed by."""
    opened = Store(store)
    try:
        return convert(parse_image_name(name), AMD64, opened, no_progress, registries, signed_by=keys).signed_by
    finally:
        opened.close()


def _refused(name: str, store: Path, *keys: SigningKey, registries: RegistryOptions | None = None) -> str:
    """What is said; nothing may have been fetched or stored."""
    with pytest.raises(ImageError) as refused:
        _convert(name, store, *keys, registries=registries)
    opened = Store(store)
    try:
        assert opened.images() == ()
    finally:
        opened.close()
    assert not [path for folder in ("layers", "volumes") for path in (store / folder).glob("*")]
    return str(refused.value)


# --------------------------------------------------------------------------------------------------------- layouts


@dataclass
class Signed:
    """A layout with one image, and signatures beside it."""

    writer: LayoutWriter
    image: str

    def beside(self, entry: dict[str, Any]) -> None:
        self.writer.manifests.append(entry)

    @property
    def name(self) -> str:
        return f"oci:{self.writer.write()}"


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    writer = LayoutWriter(tmp_path / "layout")
    return Signed(writer=writer, image=writer.image([LAYER]))


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("way", ["tag", "referrer", "bundle", "saved", "archive"])
def test_a_layout_is_signed(way: str, kind: str, signed: Signed, tmp_path: Path) -> None:
    key, writer, image = KEYS[kind], signed.writer, signed.image
    layer = simple_layer(key, image)
    match way:
        case "bundle":
            signed.beside(signed_manifest(writer, [(bundle(key, statement(image)), BUNDLE, "")], image, BUNDLE))
        case "referrer":
            signed.beside(signed_manifest(writer, [layer], image))
        case "saved":
            entry = signed_manifest(writer, [layer], kind="")
            signed.beside({**entry, "annotations": {"kind": "dev.cosignproject.cosign/sigs"}})
        case _:
            signed.beside(tagged(signed_manifest(writer, [layer]), image))
    name = f"oci-archive:{writer.write_archive(tmp_path / 'a.tar')}" if way == "archive" else signed.name
    keys = [public(other) for other in KEYS.values()]
    assert _convert(name, tmp_path / "store", *keys) == public(key)
    assert _convert(name, tmp_path / "store") is None


def test_who_signs_an_index_signs_what_it_lists(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    image = writer.image([LAYER])
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": writer.manifests}).encode()
    found, size = writer.blob(index)
    writer.manifests[:] = [{"mediaType": INDEX_TYPES[0], "digest": found, "size": size}]
    writer.manifests.append(tagged(signed_manifest(writer, [simple_layer(EC, found)]), found))
    name = f"oci:{writer.write()}"
    assert _convert(name, tmp_path / "store", public(EC)) == public(EC)
    writer.manifests[1:] = [tagged(signed_manifest(writer, [simple_layer(ED, image)]), image)]
    writer.write()
    assert _convert(name, tmp_path / "store", public(ED)) == public(ED)
    writer.manifests[1:] = []
    writer.write()
    said = _refused(name, tmp_path / "other", public(EC))
    assert said == f"{name} is not signed: there is no signature of {found} or {image} where the image is"


def test_no_signature(signed: Signed, tmp_path: Path) -> None:
    name = signed.name
    expected = f"{name} is not signed: there is no signature of {signed.image} where the image is"
    assert _refused(name, tmp_path / "store", public(EC)) == expected
    assert _convert(name, tmp_path / "store") is None
    with pytest.raises(ImageError, match="is not signed"):
        _convert(name, tmp_path / "store", public(EC))


def test_signatures_that_are_not_good(signed: Signed, tmp_path: Path) -> None:
    """Each is told, and one that is good is found behind all of them."""
    writer, image, other = signed.writer, signed.image, digest(b"another image")
    payload = simple_payload(image)
    layers = [
        simple_layer(ED, image),
        simple_layer(EC, other),
        (payload, SIMPLE_SIGNING, ""),
        (payload, SIMPLE_SIGNING, "c2ln"),
        (b"{}", SIMPLE_SIGNING, "c2ln"),
        (bundle(EC, statement(image, predicateType="https://slsa.dev/provenance/v1")), BUNDLE, ""),
        simple_layer(EC, image, type="atomic container signature"),
    ]
    signed.beside(tagged(signed_manifest(writer, layers), image))
    place, key = f"tag {signature_tag(image)}", public(EC)
    assert _refused(signed.name, tmp_path / "store", key) == (
        f"{signed.name} ({image}) has no good signature by {key}: {place}: it is by none of the keys; "
        f"{place}: by {key}, it signs {other}, and not this image; "
        f"{place}: its layer has no annotation dev.cosignproject.cosign/signature; "
        f"{place}: it is by none of the keys; {place}: the payload has no object 'critical'; and 2 more"
    )
    good = signed_manifest(writer, [simple_layer(EC, image)], image)
    signed.beside(good)
    assert _convert(signed.name, tmp_path / "store", key) == key


def test_a_place_that_lies_about_a_signature(signed: Signed, tmp_path: Path) -> None:
    layer = simple_layer(EC, signed.image)
    signed.beside(tagged(signed_manifest(signed.writer, [layer]), signed.image))
    blob = signed.writer.folder / "blobs" / "sha256" / digest(layer[0]).removeprefix("sha256:")
    blob.write_bytes(layer[0][:-1] + b" ")
    assert f"{digest(layer[0])} was asked for" in _refused(signed.name, tmp_path / "store", public(EC))


def test_no_more_than_a_hundred_are_looked_at(signed: Signed, tmp_path: Path) -> None:
    layers = [simple_layer(ED, signed.image)] * 100 + [simple_layer(EC, signed.image)]
    signed.beside(tagged(signed_manifest(signed.writer, layers), signed.image))
    assert _refused(signed.name, tmp_path / "store", public(EC)).endswith("; and 95 more")


def test_a_signature_that_is_too_large(signed: Signed, tmp_path: Path) -> None:
    payload = simple_payload(signed.image) + b" " * (1 << 20)
    layer = (payload, SIMPLE_SIGNING, "c2ln")
    signed.beside(tagged(signed_manifest(signed.writer, [layer]), signed.image))
    expected = f"signature {digest(payload)} takes {len(payload)} bytes, more than 1048576"
    assert _refused(signed.name, tmp_path / "store", public(EC)) == expected


# ------------------------------------------------------------------------------------------------------ the command


def _policy(path: Path, source: str, *keys: str) -> Path:
    texts = "".join("    - |\n" + "".join(f"      {line}\n" for line in key.splitlines()) for key in keys)
    path.write_text(
        "apiVersion: turnout.dev/v1alpha1\nkind: ImageConversion\nmetadata: {name: web}\n"
        f'spec:\n  sourceImage: "{source}"\n  platforms: [linux/amd64]\n  signedBy:\n{texts}'
    )
    return path


@pytest.mark.slow
def test_the_command(signed: Signed, tmp_path: Path) -> None:
    signed.beside(tagged(signed_manifest(signed.writer, [simple_layer(EC, signed.image)]), signed.image))
    key, other = tmp_path / "key.pub", tmp_path / "other.pub"
    key.write_text(public_pem(EC))
    other.write_text(public_pem(ED))
    options = ["--platform", "linux/amd64", "--store", tmp_path / "store", "-o", "json"]
    refused = turnout("convert", signed.name, "--signed-by", other, *options)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"turnout: error: {signed.name} ({signed.image}) has no good signature by")
    done = turnout("convert", signed.name, "--signed-by", other, "--signed-by", key, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)[0]["signed"] == public(EC).fingerprint
    assert "signed" not in json.loads(turnout("convert", signed.name, *options).stdout)[0]
    policy = _policy(tmp_path / "policy.yaml", signed.name, public_pem(EC))
    assert json.loads(turnout("convert", policy, *options).stdout)[0]["signed"] == public(EC).fingerprint
    _policy(policy, signed.name, public_pem(ED))
    assert turnout("convert", policy, *options).returncode == 1
    assert turnout("convert", policy, "--signed-by", key, *options).returncode == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), ("", "is no PEM public key"), (private_pem(EC), "is a private key")],
)
@pytest.mark.slow
def test_files_that_are_no_key(content: str | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    done = turnout("convert", "oci:none", "--signed-by", tmp_path / "key", "--store", tmp_path / "store")
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.replace("│", " ").split())


# ------------------------------------------------------------------------------------------ registries, and cosign


def test_a_registry_that_cannot_be_asked_is_not_one_without_signatures(signed: Signed, tmp_path: Path) -> None:
    for denied in (signature_tag(signed.image), f"/referrers/{signed.image}"):
        with fake_registry(Behaviour(layout=signed.writer.write(), denied=denied)) as host:
            said = _refused(f"{host}/web:1", tmp_path / "store", public(EC))
        assert said.startswith(f"{host}/v2/web/")
        assert said.endswith(f"{denied}: 403 DENIED: no")


def _pages(*entries: Any) -> list[bytes]:
    return [json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode() for entry in entries]


def test_a_list_of_referrers_in_pages(signed: Signed, tmp_path: Path) -> None:
    writer, image = signed.writer, signed.image
    found = [signed_manifest(writer, [simple_layer(key, image)], image) for key in (ED, EC)]
    other = {"mediaType": MANIFEST, "digest": image, "size": 1, "artifactType": "application/spdx+json"}
    del found[1]["artifactType"]  # it need not be told
    writer.manifests += found
    behaviour = Behaviour(layout=writer.write(), referrers=_pages(other, *found))
    with fake_registry(behaviour) as host:
        assert _convert(f"{host}/web:1", tmp_path / "store", public(EC)) == public(EC)
        behaviour.referrers = _pages(*[other] * 21)
        said = _refused(f"{host}/web:1", tmp_path / "other", public(EC))
        assert said == f"{host}/v2/web/referrers/{image}: the list of referrers has more than 20 pages"
        behaviour.referrers = [b"[]"]
        said = _refused(f"{host}/web:1", tmp_path / "other", public(EC))
        assert said == f"{host}/v2/web/referrers/{image} is no JSON object"


def test_a_mirror_without_signatures(signed: Signed, tmp_path: Path) -> None:
    """What a mirror has not is looked for in the registry, whose word is the last."""
    behaviour = Behaviour(layout=signed.writer.write())
    with fake_registry(behaviour) as host, fake_registry(Behaviour(layout=behaviour.layout)) as mirror:
        for mirrors in ((), (mirror,), ("127.0.0.1:1",)):
            options = RegistryOptions(mirrors={host: mirrors})
            said = _refused(f"{host}/web:1", tmp_path / "store", public(EC), registries=options)
            assert said.endswith(f"there is no signature of {signed.image} where the image is")


@dataclass(frozen=True)
class Cosign:
    """cosign with a key of each kind, by the name of the kind."""

    program: Path
    folder: Path

    def run(self, *arguments: str) -> None:
        known = {"COSIGN_PASSWORD": "", "COSIGN_EXPERIMENTAL": "1", "HOME": str(self.folder)}
        command = [str(self.program), *arguments]
        done = subprocess.run(command, env={**os.environ, **known}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    def sign(self, name: str, kind: str, *options: str) -> None:
        quiet = ("-y", "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry")
        self.run("sign", "--key", f"{self._prefix(kind)}.key", *quiet, *options, name)

    def public(self, kind: str) -> SigningKey:
        """As cosign has written it."""
        return parse_signing_key(Path(f"{self._prefix(kind)}.pub").read_text())

    def take(self, kind: str) -> None:
        prefix = self._prefix(kind)
        Path(f"{prefix}.pem").write_text(private_pem(KEYS[kind]))
        self.run("import-key-pair", "--key", f"{prefix}.pem", "--output-key-prefix", prefix)

    def _prefix(self, kind: str) -> str:
        return str(self.folder / kind.replace(" ", "-"))


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    found = Cosign(program=peer_folder("cosign") / "cosign", folder=tmp_path_factory.mktemp("cosign"))
    for kind in KEYS:
        found.take(kind)
    return found


@pytest.fixture(scope="module", params=["docker-registry", "referrers"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Debian's, which keeps referrers under a tag, and one that lists them."""
    folder = tmp_path_factory.mktemp("registry")
    if request.param == "docker-registry":
        if shutil.which("docker-registry") is None:
            pytest.skip("docker-registry is not installed; ./setup installs it")
        with docker_registry(folder, folder / "data") as host:
            yield host
        return
    host = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([peer_folder("cosign") / "referrers", host])
    try:
        _answers(host)
        yield host
    finally:
        process.kill()
        process.wait()


def _answers(host: str) -> None:
    http, deadline = urllib3.PoolManager(retries=False), time.monotonic() + 30
    while True:
        try:
            assert http.request("GET", f"http://{host}/v2/").status == 200
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


WAYS = {
    "tag": ("--new-bundle-format=false",),
    "referrer": ("--new-bundle-format=false", "--registry-referrers-mode=oci-1-1"),
    "bundle": (),
}


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("way", WAYS)
def test_what_cosign_signs(way: str, kind: str, cosign: Cosign, registry: str, signed: Signed, tmp_path: Path) -> None:
    repository = f"shop/{way}-{kind.lower().replace(' ', '-')}"
    found = push(signed.writer.write(), registry, repository, "1")
    name, others = f"{registry}/{repository}:1", [cosign.public(other) for other in KEYS if other != kind]
    assert "is not signed" in _refused(name, tmp_path / "store", cosign.public(kind))
    cosign.sign(f"{registry}/{repository}@{found}", kind, *WAYS[way])
    assert _refused(name, tmp_path / "store", *others).endswith(": it is by none of the keys")
    assert _convert(name, tmp_path / "store", *others, cosign.public(kind)) == public(KEYS[kind])


@pytest.mark.peer
@pytest.mark.slow
def test_a_signature_that_was_copied_to_another_image(cosign: Cosign, registry: str, tmp_path: Path) -> None:
    """As somebody does who may push and has no key."""
    writers = [LayoutWriter(tmp_path / name) for name in ("one", "two")]
    images = [writer.image([Tar().add(writer.folder.name).finished()]) for writer in writers]
    for writer in writers:
        push(writer.write(), registry, "shop/copied", writer.folder.name)
    cosign.sign(f"{registry}/shop/copied@{images[0]}", "Ed25519", *WAYS["tag"])
    place = f"http://{registry}/v2/shop/copied/manifests"
    http, kind = urllib3.PoolManager(), "application/vnd.oci.image.manifest.v1+json"
    taken = http.request("GET", f"{place}/{signature_tag(images[0])}", headers={"Accept": kind}).data
    done = http.request("PUT", f"{place}/{signature_tag(images[1])}", body=taken, headers={"Content-Type": kind})
    assert done.status == 201
    key = cosign.public("Ed25519")
    assert _convert(f"{registry}/shop/copied:one", tmp_path / "store", key) == key
    said = _refused(f"{registry}/shop/copied:two", tmp_path / "other", key)
    assert said.endswith(f"by {key}, it signs {images[0]}, and not this image")


@pytest.mark.peer
@pytest.mark.slow
def test_what_cosign_saves(cosign: Cosign, registry: str, signed: Signed, tmp_path: Path) -> None:
    found = push(signed.writer.write(), registry, "shop/saved", "1")
    name = f"{registry}/shop/saved@{found}"
    cosign.sign(name, "ECDSA P-256", *WAYS["tag"])
    cosign.run("save", "--dir", str(tmp_path / "saved"), "--allow-http-registry", name)
    assert _convert(f"oci:{tmp_path / 'saved'}", tmp_path / "store", public(EC)) == public(EC)
