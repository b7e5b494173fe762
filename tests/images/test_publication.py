"""Images pushed to registries that misbehave: what is there is whole, what is refused is said, nothing goes twice."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pytest

from agents.storage.conversion import convert
from agents.storage.io import uploads
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.store import Store
from agents.storage.publication import Published, publish
from agents.storage.translate.platforms import parse_platform
from agents.storage.wire.errors import ImageError
from compiler.policy.imagenames import parse_destination, parse_image_name
from tests.images.archives import LayoutWriter, Tar, compressed, digest
from tests.images.brokenway import cutting
from tests.images.conversions import turnout
from tests.images.fakeregistry import Behaviour, fake_registry
from tests.images.pushregistry import Refusing, Taking, push_registry
from tests.images.registry import docker_registry

LAYERS = tuple(Tar().add(f"part{n}", data=random.Random(n).randbytes(100_000)).finished() for n in range(3))
BLOBS = tuple(digest(compressed(layer, "zstd")) for layer in LAYERS)
PATCH, UPLOADS = "PATCH", "/blobs/uploads/"
DENIED = b'{"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}'


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several chunks a layer, no waiting, and nobody's own passwords."""
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 40_000)
    monkeypatch.setattr(uploads, "_SMALL_BYTES", 10_000)
    monkeypatch.setattr(time, "sleep", _no_sleep)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writer = LayoutWriter(tmp_path_factory.mktemp("layout"))
    writer.image(LAYERS, compression="zstd")
    return writer.write()


def _no_sleep(_seconds: float) -> None:
    """What the registry is given time for is not tested here."""


def _published(source: str, dest: str, folder: Path, options: RegistryOptions | None = None) -> Published:
    store = Store(folder)
    try:
        name = parse_image_name(source)
        one = convert(name, parse_platform("linux/amd64"), store, registries=options)
        return publish(name, [one], parse_destination(dest), store, options)
    finally:
        store.close()


def _check_whole(taking: Taking, layout: Path, repository: str = "shop/web") -> None:
    """Every blob and the manifest as they were, and the tag an index of it."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = (layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_bytes()
    assert taking.manifests[entry["digest"]] == (entry["mediaType"], manifest)
    config = json.loads(manifest)["config"]["digest"]
    assert sorted(taking.blobs[repository]) == sorted([*BLOBS, config])
    kind, index = taking.manifests["1"]
    assert kind == "application/vnd.oci.image.index.v1+json"
    (pushed,) = json.loads(index)["manifests"]
    assert (pushed["digest"], pushed["size"]) == (entry["digest"], len(manifest))
    assert pushed["platform"] == {"os": "linux", "architecture": "amd64"}


def test_an_index_with_hints(layout: Path, tmp_path: Path) -> None:
    taking = Taking()
    with push_registry(taking) as host:
        published = _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    _check_whole(taking, layout)
    assert published == Published(
        name=f"{host}/shop/web:1", digest=digest(taking.manifests["1"][1]), there=0, mounted=0, sent=4
    )
    store = Store(tmp_path / "store")
    (image,) = store.images()
    store.close()
    assert set(image.names) == {f"oci:{layout}", f"{host}/shop/web:1"}
    (entry,) = json.loads(taking.manifests["1"][1])["manifests"]
    assert entry["annotations"]["dev.turnout.image.mode"] == "erofs"
    assert json.loads(entry["annotations"]["dev.turnout.image.blocks"]) == [
        {"name": volume.digest, "role": volume.role, "layers": 3, "sizeBytes": volume.size_bytes}
        for volume in image.volumes
    ]


def test_what_is_there_is_not_sent_again(layout: Path, tmp_path: Path) -> None:
    taking = Taking()
    with push_registry(taking) as host:
        first = _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
        sent = taking.count(PATCH)
        again = _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    assert (again.there, again.mounted, again.sent, again.digest) == (4, 0, 0, first.digest)
    assert taking.count(PATCH) == sent


def test_a_stopped_push_goes_on(layout: Path, tmp_path: Path) -> None:
    refused = Refusing("PUT", "/manifests/1", 403, body=DENIED)
    taking = Taking(refusing=[refused])
    with push_registry(taking) as host:
        with pytest.raises(ImageError) as error:
            _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
        assert str(error.value) == (
            f"{host}/v2/shop/web/manifests/1: 403 DENIED: requested access to the resource is denied"
        )
        refused.times = 0
        assert _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store").there == 4
    _check_whole(taking, layout)


@pytest.mark.parametrize("mounts", [True, False])
def test_layers_are_mounted_where_the_registry_has_them(mounts: bool, layout: Path, tmp_path: Path) -> None:
    """And sent where it mounts nothing."""
    taking = Taking(mounts=mounts, wants_token=True)
    with push_registry(taking) as host:
        _published(f"oci:{layout}", f"{host}/shop/base:1", tmp_path / "store")
        store = Store(tmp_path / "store")
        one = convert(parse_image_name(f"oci:{layout}"), parse_platform("linux/amd64"), store)
        published = publish(
            parse_image_name(f"{host}/shop/base:1"), [one], parse_destination(f"{host}/shop/web:1"), store
        )
        store.close()
    _check_whole(taking, layout)
    assert (published.there, published.mounted, published.sent) == ((0, 4, 0) if mounts else (0, 0, 4))
    scopes = ["repository:shop/web:pull", "repository:shop/web:pull,push", "repository:shop/base:pull"]
    assert scopes in taking.token_scopes


def test_a_cut_connection_goes_on_where_the_registry_is(layout: Path, tmp_path: Path) -> None:
    taking = Taking(cuts=5)
    with push_registry(taking) as host:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    _check_whole(taking, layout)
    assert taking.count("POST", UPLOADS) == 4  # no upload was begun twice
    assert taking.count("GET", UPLOADS) == 5


def test_connections_that_are_always_cut_are_given_up(layout: Path, tmp_path: Path) -> None:
    taking = Taking(cuts=1_000_000)
    with push_registry(taking) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    assert "the upload was disturbed 9 times, after " in str(refused.value)
    assert taking.manifests == {}


def test_an_upload_that_the_registry_forgets_is_sent_again(layout: Path, tmp_path: Path) -> None:
    taking = Taking(forgets=2)
    with push_registry(taking) as host:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    _check_whole(taking, layout)
    assert taking.count("POST", UPLOADS) == 6


def test_uploads_that_are_always_forgotten_are_given_up(layout: Path, tmp_path: Path) -> None:
    taking = Taking(forgets=1_000_000)
    with push_registry(taking) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    assert ": the upload was lost 3 times: " in str(refused.value)
    assert str(refused.value).endswith(": 404 BLOB_UPLOAD_UNKNOWN: unknown")


def test_chunks_that_are_too_large_become_smaller(layout: Path, tmp_path: Path) -> None:
    taking = Taking(largest=10_000)
    with push_registry(taking) as host:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    _check_whole(taking, layout)


def test_busy_registries_are_asked_again(layout: Path, tmp_path: Path) -> None:
    busy = [
        Refusing(PATCH, UPLOADS, 429, 2, headers={"Retry-After": "1"}),
        Refusing("POST", UPLOADS, 503, 2),
        Refusing("PUT", "/manifests/", 502, 1),
        Refusing(PATCH, UPLOADS, 500, 1),
    ]
    taking = Taking(refusing=busy)
    with push_registry(taking) as host:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    _check_whole(taking, layout)


@pytest.mark.parametrize(
    ("refusing", "said"),
    [
        (
            Refusing("POST", UPLOADS, 401, headers={"WWW-Authenticate": 'Basic realm="x"'}),
            "{host} wants a name and a password, and config.json has none for it",
        ),
        (
            Refusing("POST", UPLOADS, 403, body=DENIED),
            "{host}/v2/shop/web/blobs/uploads/: 403 DENIED: requested access to the resource is denied",
        ),
        (
            Refusing("POST", UPLOADS, 405),
            "{host}/v2/shop/web/blobs/uploads/: 405 Method Not Allowed",
        ),
        (
            Refusing("POST", UPLOADS, 429, headers={"Retry-After": "3600"}),
            "{host}/v2/shop/web/blobs/uploads/: 429 Too Many Requests (to be asked again in 3600 s)",
        ),
        (
            Refusing("POST", UPLOADS, 503),
            "{host}/v2/shop/web/blobs/uploads/: 503 Service Unavailable",
        ),
        (
            Refusing("PUT", "/manifests/1", 413),
            "{host}/v2/shop/web/manifests/1: 413 Request Entity Too Large",
        ),
        (
            Refusing("HEAD", "/blobs/sha256:", 403),
            "{host}/v2/shop/web/blobs/",
        ),
    ],
)
def test_what_a_registry_refuses(refusing: Refusing, said: str, layout: Path, tmp_path: Path) -> None:
    taking = Taking(refusing=[refusing])
    with push_registry(taking) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    assert "1" not in taking.manifests
    assert str(refused.value).startswith(said.format(host=host))


@pytest.mark.parametrize(("status", "reason"), [(413, "Request Entity Too Large"), (405, "Method Not Allowed")])
def test_a_chunk_that_is_refused_is_said_and_the_upload_ended(
    status: int, reason: str, layout: Path, tmp_path: Path
) -> None:
    taking = Taking(refusing=[Refusing(PATCH, UPLOADS, status)])
    with push_registry(taking) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    assert f": {status} {reason}" in str(refused.value)
    assert str(refused.value).startswith("blob sha256:")
    assert taking.uploads == {}


def test_a_source_that_gives_other_bytes_is_not_pushed(layout: Path, tmp_path: Path) -> None:
    taking, behaviour = Taking(), Behaviour(layout)
    with fake_registry(behaviour) as source, push_registry(taking) as host:
        store = Store(tmp_path / "store")
        name = parse_image_name(f"{source}/web:1")
        one = convert(name, parse_platform("linux/amd64"), store)
        behaviour.changed = b"x" * one.original.layers[0].blob.size
        with pytest.raises(ImageError) as refused:
            publish(name, [one], parse_destination(f"{host}/shop/web:1"), store)
        store.close()
    assert "blob sha256:" in str(refused.value)
    assert "what came has " in str(refused.value)
    assert taking.manifests == {}
    assert not set(taking.blobs.get("shop/web", {})) & set(BLOBS)


def test_a_registry_that_keeps_something_else(layout: Path, tmp_path: Path) -> None:
    taking = Taking(keeps=f"sha256:{'0' * 64}")
    with push_registry(taking) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{layout}", f"{host}/shop/web:1", tmp_path / "store")
    (pushed,) = taking.manifests
    assert str(refused.value) == (
        f"{host}/v2/shop/web/manifests/{pushed}: {pushed} was pushed, and the registry has kept sha256:{'0' * 64}"
    )


def test_layers_that_may_not_be_pushed(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    writer.image([LAYERS[0]], compression="", changes=_of_type(writer, LAYERS[0], kind))
    with push_registry(taking := Taking()) as host, pytest.raises(ImageError) as refused:
        _published(f"oci:{writer.write()}", f"{host}/shop/web:1", tmp_path / "store")
    assert str(refused.value) == f"layer {digest(LAYERS[0])} is of type '{kind}': it may not be pushed"
    assert taking.seen == []


def _of_type(writer: LayoutWriter, layer: bytes, kind: str) -> dict[str, object]:
    found, size = writer.blob(layer)
    return {"layers": [{"mediaType": kind, "digest": found, "size": size}]}


def test_the_command_pushes(layout: Path, tmp_path: Path) -> None:
    taking = Taking()
    options = ["--platform", "linux/amd64", "--store", tmp_path / "store", "-o", "json"]
    with push_registry(taking) as host:
        done = turnout("convert", f"oci:{layout}", "--dest", f"{host}/shop/web:1", *options)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert row["pushed"] == f"{host}/shop/web:1@{digest(taking.manifests['1'][1])}"
    assert row["names"] == f"{host}/shop/web:1, oci:{layout}"
    _check_whole(taking, layout)


def test_a_policy_pushes_all_its_platforms(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    for architecture in ("amd64", "arm64"):
        writer.image(
            [LAYERS[0], Tar().add(architecture).finished()],
            platform={"os": "linux", "architecture": architecture},
        )
    for entry in writer.manifests:
        del entry["annotations"]
    taking = Taking()
    with push_registry(taking) as host:
        policy = tmp_path / "policy.yaml"
        policy.write_text(
            "apiVersion: turnout.dev/v1alpha1\nkind: ImageConversion\nmetadata: {name: web}\n"
            f"spec:\n  sourceImage: oci:{writer.write()}\n  destImage: {host}/shop/web:1\n"
            "  platforms: [linux/amd64, linux/arm64]\n"
        )
        done = turnout("convert", policy, "--store", tmp_path / "store", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    pushed = {row["pushed"] for row in json.loads(done.stdout)}
    assert pushed == {f"{host}/shop/web:1@{digest(taking.manifests['1'][1])}"}
    entries = json.loads(taking.manifests["1"][1])["manifests"]
    assert [entry["platform"]["architecture"] for entry in entries] == ["amd64", "arm64"]
    assert [entry["digest"] for entry in entries] == [entry["digest"] for entry in writer.manifests]


@pytest.mark.peer
@pytest.mark.slow
def test_a_way_that_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real registry keeps what came of a chunk and lets nobody go on from there; the blob is sent anew."""
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 200_000)
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed; ./setup installs it")
    layout = LayoutWriter(tmp_path / "layout")
    layout.image([Tar().add("large", data=bytes(range(256)) * 4_000).finished()], compression="")
    with docker_registry(tmp_path, tmp_path / "data") as host:
        with cutting(host, 100_000, 1) as way:
            published = _published(f"oci:{layout.write()}", f"{way}/web:1", tmp_path / "store")
        assert published.sent == 2
        done = turnout("convert", f"{host}/web:1", "--store", tmp_path / "other", "-o", "json")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("dest", "said"),
    [
        ("oci:/images/web", "'oci:/images/web' is a layout, and images go to registries"),
        (
            f"example.com/web@sha256:{'0' * 64}",
            "has a digest, which what is pushed there has by itself",
        ),
    ],
)
def test_where_nothing_can_be_pushed(dest: str, said: str, layout: Path, tmp_path: Path) -> None:
    done = turnout("convert", f"oci:{layout}", "--dest", dest, "--store", tmp_path / "store")
    assert done.returncode == 2
    assert said in " ".join(part.strip("│ ") for part in done.stderr.splitlines())


def test_one_destination_for_several_images(layout: Path, tmp_path: Path) -> None:
    done = turnout("convert", f"oci:{layout}", "web", "--dest", "example.com/web", "--store", tmp_path / "store")
    assert done.returncode == 2
    said = " ".join(part.strip("│ ") for part in done.stderr.splitlines())
    assert "--dest is where one image goes, and 2 are converted" in said
