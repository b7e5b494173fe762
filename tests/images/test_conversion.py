"""Converting without root: what is told apart, what is verified, what is left after each way to fail."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agents.storage.io.housekeeping import collect, faults
from agents.storage.io.mounts import mount_layers, unmount
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import volume_path
from agents.storage.translate.modes import OVERLAYFS
from agents.storage.wire.errors import ImageError
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.conversions import command, converted, turnout

SMALL = Tar().add("file", data=b"content").finished()


def _layout(folder: Path, *layers: bytes, compression: str = "gzip") -> Path:
    writer = LayoutWriter(folder)
    writer.image(layers or [SMALL], compression=compression)
    return writer.write()


def _rest(store: Path) -> list[str]:
    return sorted(path.name for part in ("layers", "volumes") for path in (store / part).iterdir())


def test_compressions_give_the_same_volume(tmp_path: Path) -> None:
    found = {
        converted(_layout(tmp_path / (name or "plain"), compression=name), tmp_path / "store").image.volumes[0].digest
        for name in ("", "gzip", "zstd")
    }
    assert _rest(tmp_path / "store") == [f"{found.pop().removeprefix('sha256:')}.erofs"]
    assert not found


def test_a_second_conversion_makes_nothing(tmp_path: Path) -> None:
    layout = _layout(tmp_path / "layout")
    first, second = (converted(layout, tmp_path / "store") for _ in range(2))
    assert (first.was_there, second.was_there) == (False, True)
    assert first.image == second.image


def test_a_volume_that_was_lost_is_made_again(tmp_path: Path) -> None:
    layout = _layout(tmp_path / "layout")
    path = volume_path(tmp_path / "store", converted(layout, tmp_path / "store").image.volumes[0].digest)
    before = path.read_bytes()
    path.unlink()
    assert not converted(layout, tmp_path / "store").was_there
    assert path.read_bytes() == before


def test_the_platform_chooses(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    for architecture, variant in (("amd64", ""), ("arm64", "v8"), ("arm", "v6"), ("arm", "v7")):
        layer = Tar().add(f"{architecture}-{variant}").finished()
        platform = {"os": "linux", "architecture": architecture} | ({"variant": variant} if variant else {})
        writer.image([layer], "", platform=platform)
    for entry in writer.manifests:
        del entry["annotations"]
    layout = writer.write()
    expected = {"linux/amd64": 0, "linux/arm64": 1, "linux/arm64/v8": 1, "linux/arm/v6": 2, "linux/arm/v7": 3}
    for text, index in expected.items():
        found = converted(layout, tmp_path / "store", text).image
        assert found.manifest_digest == writer.manifests[index]["digest"], text
    with pytest.raises(ImageError) as refused:
        converted(layout, tmp_path / "store", "linux/riscv64")
    assert str(refused.value) == (
        f"oci:{layout} has no image for linux/riscv64; it has linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64/v8"
    )


def _other_bytes(layout: Path, blob: str) -> str:
    path = layout / "blobs" / "sha256" / blob.removeprefix("sha256:")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return f"layer {blob}: what came has the digest {digest(bytes(data))}"


def _cut(layout: Path, blob: str) -> str:
    path = layout / "blobs" / "sha256" / blob.removeprefix("sha256:")
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    return f"layer {blob} should have {len(data)} bytes and has {len(data) - 1}"


def _longer(layout: Path, blob: str) -> str:
    path = layout / "blobs" / "sha256" / blob.removeprefix("sha256:")
    data = path.read_bytes()
    path.write_bytes(data + b"!")
    return f"layer {blob} should have {len(data)} bytes and has more"


def _missing(layout: Path, blob: str) -> str:
    path = layout / "blobs" / "sha256" / blob.removeprefix("sha256:")
    path.unlink()
    return f"{path}: No such file or directory"


@pytest.mark.parametrize("damage", [_other_bytes, _cut, _longer, _missing])
@pytest.mark.parametrize("compression", ["", "zstd"])
def test_a_damaged_layer_is_refused(compression: str, damage: Callable[[Path, str], str], tmp_path: Path) -> None:
    layout = _layout(tmp_path / "layout", compression=compression)
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    blob = json.loads((layout / "blobs/sha256" / manifest.removeprefix("sha256:")).read_text())["layers"][0]["digest"]
    expected = damage(layout, blob)
    with pytest.raises(ImageError) as refused:
        converted(layout, tmp_path / "store")
    assert str(refused.value) == expected
    assert _rest(tmp_path / "store") == []


def test_a_layer_that_unpacks_to_something_else_is_refused(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    other = Tar().add("other").finished()
    blob = writer.blob(other)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob[0], "size": blob[1]}
    writer.image([SMALL], compression="", changes={"layers": [layer]})
    with pytest.raises(ImageError) as refused:
        converted(writer.write(), tmp_path / "store")
    assert str(refused.value) == (
        f"layer {digest(other)} unpacks to {digest(other)}; the image's config says {digest(SMALL)}"
    )
    assert _rest(tmp_path / "store") == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemaVersion": 1}, "manifest {manifest} is no manifest of an image (schema version 2)"),
        ({"layers": {}}, "manifest {manifest} has no list 'layers'"),
        ({"layers": []}, "manifest {manifest} has 0 layers, its config 1 diff_ids"),
        (
            {"layers": [{"digest": "sha256:../../etc/passwd", "size": 1}]},
            "manifest {manifest} refers to 'sha256:../../etc/passwd', which is no sha256 digest",
        ),
        (
            {"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]},
            "manifest {manifest} gives sha256:" + "0" * 64 + " the size '-1'",
        ),
        (
            {"layers": [{"digest": "sha256:" + "0" * 64, "size": 1, "mediaType": "application/wasm"}]},
            "layer sha256:" + "0" * 64 + " is of type 'application/wasm', which is no layer of files",
        ),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "layout")
    manifest = writer.image([SMALL], changes=changes)
    with pytest.raises(ImageError) as refused:
        converted(writer.write(), tmp_path / "store")
    assert str(refused.value) == message.format(manifest=manifest)


def test_volumes_go_with_their_last_image(tmp_path: Path) -> None:
    shared = _layout(tmp_path / "one"), _layout(tmp_path / "two", compression="zstd")
    first, second = (converted(layout, tmp_path / "store").image for layout in shared)
    assert first.volumes == second.volumes
    store = Store(tmp_path / "store")
    volume = volume_path(store.folder, first.volumes[0].digest)
    assert store.references(first.volumes[0].digest) == 2
    store.remove(first)
    assert collect(store) == ()
    store.remove(second)
    assert collect(store) == (volume,)
    store.close()


def test_a_changed_volume_is_found(tmp_path: Path) -> None:
    image = converted(_layout(tmp_path / "layout"), tmp_path / "store").image
    store = Store(tmp_path / "store")
    path = volume_path(store.folder, image.volumes[0].digest)
    assert list(faults(store)) == []
    with path.open("r+b") as stream:
        stream.write(b"!")
    assert list(faults(store)) == [f"{path} has other bytes than when it was written"]
    path.unlink()
    assert list(faults(store)) == [f"{path} is missing"]
    store.close()


def _large(folder: Path, layers: int = 3, size: int = 3_000_000) -> Path:
    made = [Tar().add(f"part{n}", data=random.Random(n).randbytes(size)).finished() for n in range(layers)]
    return _layout(folder, *made)


@pytest.mark.slow
def test_a_conversion_that_is_killed_at_any_instant_leaves_the_store_whole(tmp_path: Path) -> None:
    """Of the time that one takes which nobody kills, on this machine as it is."""
    layout, store = _large(tmp_path / "layout"), tmp_path / "store"
    began = time.monotonic()
    subprocess.run(command("convert", f"oci:{layout}", "--store", tmp_path / "first"), check=True, capture_output=True)
    takes_s = time.monotonic() - began
    expected = converted(layout, tmp_path / "other").image
    chance = random.Random(1)
    killed = 0
    for _ in range(12):
        process = subprocess.Popen(command("convert", f"oci:{layout}", "--store", store), stdout=subprocess.DEVNULL)
        time.sleep((0.3 + 0.7 * chance.random()) * takes_s)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        opened = Store(store)
        assert list(faults(opened)) == []
        assert [image.volumes for image in opened.images()] in ([], [expected.volumes])
        if opened.images():
            opened.remove(opened.images()[0])
            collect(opened)
        opened.close()
    assert killed
    assert converted(layout, store).image == expected
    opened = Store(store)
    collect(opened)
    opened.close()
    assert _rest(store) == [volume_path(store, expected.volumes[0].digest).name]


@pytest.mark.slow
def test_conversions_at_once_make_one_volume(tmp_path: Path) -> None:
    layout, store = _large(tmp_path / "layout", size=500_000), tmp_path / "store"
    at_once = [
        subprocess.Popen(command("convert", f"oci:{layout}", "--store", store, "-o", "json"), stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    found = [json.loads(process.communicate()[0])[0]["made"] for process in at_once]
    assert sorted(found) == ["before", "before", "before", "now"]


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("size_kib", [200, 3_500, 9_500, 12_000])
def test_a_full_disk_is_said_and_leaves_what_was_there(size_kib: int, tmp_path: Path) -> None:
    layout, store = _large(tmp_path / "layout"), tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", store], check=True)
    try:
        small = converted(_layout(tmp_path / "small"), store).image
        with pytest.raises(ImageError, match=r"No space left on device|the volume takes \d+ bytes; \d+ are free"):
            converted(layout, store)
        opened = Store(store)
        assert list(faults(opened)) == []
        assert opened.images() == (small,)
        collect(opened)
        opened.close()
        assert _rest(store) == [volume_path(store, small.volumes[0].digest).name]
    finally:
        subprocess.run(["umount", store], check=True)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    layout, store = _layout(tmp_path / "layout"), tmp_path / "store"
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"""apiVersion: turnout.dev/v1alpha1
kind: ImageConversion
metadata: {{name: one}}
spec: {{sourceImage: "oci:{layout}", platforms: [linux/amd64]}}
""")
    made = turnout("convert", policy, "--store", store, "-o", "json")
    assert (made.returncode, made.stderr) == (0, "")
    (row,) = json.loads(made.stdout)
    assert row["made"] == "now"
    assert json.loads(turnout("list", "--store", store, "-o", "json").stdout) == [
        {name: value for name, value in row.items() if name != "made"}
    ]
    shown = json.loads(turnout("inspect", row["digest"][:20], "--store", store, "-o", "json").stdout)
    assert [block["role"] for block in shown["blocks"]] == ["root"]
    assert Path(shown["blocks"][0]["file"]).stat().st_size == row["size"]
    assert turnout("fsck", "--store", store).returncode == 0
    unknown = turnout("inspect", "sha256:0000", "--store", store)
    expected = f"turnout: error: 'sha256:0000' has not been converted into the store {store}\n"
    assert (unknown.returncode, unknown.stderr) == (1, expected)
    assert turnout("remove", f"oci:{layout}", "--store", store).returncode == 0
    assert turnout("list", "--store", store, "-o", "json").stdout == "[]\n"
    assert _rest(store) == []


@pytest.mark.root
@pytest.mark.slow
def test_the_command_in_two_modes(tmp_path: Path) -> None:
    """Of one image, side by side in one store; the policy says one, an option the other."""
    layout, store, target = _layout(tmp_path / "layout"), tmp_path / "store", tmp_path / "target"
    target.mkdir()
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"""apiVersion: turnout.dev/v1alpha1
kind: ImageConversion
metadata: {{name: one}}
spec: {{sourceImage: "oci:{layout}", imageMode: overlayfs, platforms: [linux/amd64]}}
""")
    made = [
        json.loads(turnout("convert", policy, *options, "--store", store, "-o", "json").stdout)[0]["mode"]
        for options in ([], ["--mode", "erofs"])
    ]
    assert made == ["overlayfs", "erofs"]
    digest = json.loads(turnout("list", "--store", store, "-o", "json").stdout)[0]["digest"]
    unclear = turnout("mount", f"oci:{layout}", target, "--store", store)
    both = ", ".join(f"{digest[:19]} (linux/amd64, {mode})" for mode in ("erofs", "overlayfs"))
    assert (unclear.returncode, unclear.stderr) == (1, f"turnout: error: 'oci:{layout}' is 2 images: {both}\n")
    found: list[list[str]] = []
    for mode in ("erofs", "overlayfs"):
        assert turnout("mount", f"oci:{layout}", target, "--mode", mode, "--store", store).returncode == 0
        found.append(sorted(str(path.relative_to(target)) for path in target.rglob("*")))
        assert turnout("unmount", target).returncode == 0
        assert turnout("remove", f"oci:{layout}", "--mode", mode, "--store", store).returncode == 0
    assert found[0] == found[1] != []
    assert _rest(store) == []


@pytest.mark.root
def test_as_many_layers_as_overlayfs_takes(tmp_path: Path) -> None:
    """Their names fit into the options of a mount, which have 4096 bytes."""
    layers = [Tar().add(f"f{number}", data=b"%d" % number).finished() for number in range(OVERLAYFS.most_layers)]
    _layout(tmp_path / "layout", *layers, compression="")
    target = tmp_path / ("deep" * 40)
    target.mkdir()
    image = converted(tmp_path / "layout", tmp_path / "store", mode=OVERLAYFS).image
    mount_layers(volume_path(tmp_path / "store", image.volumes[0].digest), len(layers), target, None)
    try:
        assert sorted(path.read_text() for path in target.iterdir()) == sorted(map(str, range(len(layers))))
    finally:
        unmount(target)
    _layout(tmp_path / "more", *layers, SMALL, compression="")
    with pytest.raises(ImageError, match=r"^the image has 500 layers; in mode overlayfs 499 can be put together$"):
        converted(tmp_path / "more", tmp_path / "store", mode=OVERLAYFS)
    assert len(_rest(tmp_path / "store")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["convert", "oci:"], 2, "'oci:' names no file"),
        (["convert", "shop/Web"], 2, "'shop/Web' has capitals in the repository"),
        (["convert", "oci:/nowhere"], 1, "turnout: error: /nowhere/oci-layout: No such file or directory"),
        (["convert", "oci:/nowhere", "--platform", "amd64"], 2, "'amd64' is no platform"),
    ],
)
def test_wrong_use_is_told_from_failing(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    done = turnout(*arguments, "--store", tmp_path)
    assert done.returncode == code
    assert message in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.slow
def test_a_disk_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Its file is as long as the disk, and takes what is in it; another size takes the place of the one before."""
    layout, store = f"oci:{_layout(tmp_path / 'layout')}", tmp_path / "store"
    digests: list[str] = []
    for options, gib in ((["--virtual-size-gb", "3"], 3), ([], 11), (["--virtual-size-gb", "3"], 3)):
        done = turnout("convert", layout, "--mode", "overlaybd", *options, "--store", store)
        assert done.returncode == 0, done.stderr
        plain = json.loads(turnout("inspect", layout, "--mode", "block", "--store", store, "-o", "json").stdout)
        (block,) = plain["blocks"]
        digests.append(block["name"])
        status = Path(block["file"]).stat()
        assert (plain["mode"], block["role"], status.st_size) == ("block", "disk", gib << 30)
        assert status.st_blocks * 512 <= block["sizeBytes"] + 65_536
    assert digests[0] == digests[2] != digests[1]
    assert turnout("fsck", "--store", store).returncode == 0
    assert turnout("gc", "--store", store).stderr == "1 files removed\n"
    with Path(block["file"]).open("r+b") as stream:
        stream.seek(block["sizeBytes"] - 1)
        stream.write(b"!")
    done = turnout("fsck", "--store", store)
    assert (done.returncode, done.stderr) == (1, f"{block['file']} has other bytes than when it was written\n")
    assert turnout("remove", layout, "--store", store).returncode == 0
    assert _rest(store) == []


def test_a_policy_says_how_large_a_disk_is(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    layout = f"oci:{_layout(tmp_path / 'layout')}"
    policy.write_text(
        "apiVersion: turnout.dev/v1alpha1\nkind: ImageConversion\nmetadata: {name: web}\n"
        f"spec: {{sourceImage: {layout!r}, imageMode: overlaybd, virtualSizeByGB: 2}}\n"
    )
    done = turnout("convert", policy, "--store", tmp_path / "store", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["mode"] == "block"
    (path,) = (tmp_path / "store" / "volumes").iterdir()
    assert (path.suffix, path.stat().st_size) == (".ext4", 2 << 30)


def test_a_size_without_a_disk_is_wrong_use(tmp_path: Path) -> None:
    done = turnout("convert", "oci:x", "--virtual-size-gb", "3", "--store", tmp_path)
    assert done.returncode == 2
    assert "--virtual-size-gb is the size of a disk, and mode erofs makes none" in " ".join(done.stderr.split())


def test_a_store_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    layout = _layout(tmp_path / "layout")
    image = converted(layout, tmp_path / "store").image
    with closing(sqlite3.connect(tmp_path / "store" / "store.db")) as db:
        db.execute("ALTER TABLE image_volumes DROP COLUMN layers")
        db.execute("PRAGMA user_version = 1")
    again = converted(layout, tmp_path / "store")
    assert (again.was_there, again.image) == (True, image)
