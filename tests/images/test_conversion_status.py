"""The status of ImageConversions: while they go on, when they failed or were killed, when images are removed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.storage.conversionstatus import status_of
from agents.storage.io.conversionrecords import Wanted, find_record, recording, records
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import volume_path
from agents.storage.translate.modes import BLOCK, EROFS, OVERLAYFS, Mode
from agents.storage.wire.errors import ImageError
from compiler.policy.imagekinds import ImageConversionStatus
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import converted, turnout

LAYER = Tar().add("etc/one", data=b"1" * 10_000).finished()


class Conversion:
    """Of a layout, into a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "store"
        writer = LayoutWriter(folder / "layout")
        writer.image([LAYER])
        self.layout = writer.write()
        self.wanted = Wanted(source=f"oci:{self.layout}", mode="erofs")

    def status(self, *platforms: str) -> ImageConversionStatus:
        store = Store(self.folder)
        try:
            return status_of(store, self.wanted, platforms or ("linux/amd64",))
        finally:
            store.close()

    def told(self) -> tuple[str, int, bool, str, str]:
        status = self.status()
        (ready,) = status.conditions
        assert (ready.type, ready.status) == ("Ready", str(status.ready))
        return status.phase, status.progress, status.ready, ready.reason, ready.message


@pytest.fixture
def conversion(tmp_path: Path) -> Conversion:
    return Conversion(tmp_path)


def test_before_anything_was_done(conversion: Conversion) -> None:
    assert conversion.told() == ("Pending", 0, False, "NotConverted", "")
    assert conversion.status().blocks == ()


def test_while_it_goes_on(conversion: Conversion) -> None:
    with recording(conversion.folder, conversion.wanted) as record:
        assert conversion.told() == ("Pending", 0, False, "InProgress", "")
        record("Pulling", 30, 120)
        assert conversion.told() == ("Pulling", 25, False, "InProgress", "")
        converted(conversion.layout, conversion.folder)
        record("Publishing", 0, 0)
        assert conversion.told() == ("Publishing", 100, True, "InProgress", "")
    assert conversion.told() == ("Succeeded", 100, True, "Converted", "")


def test_progress_is_written_twice_a_second_at_most(conversion: Conversion) -> None:
    now = [0.0]
    with recording(conversion.folder, conversion.wanted, lambda: now[0]) as record:
        for done, at, expected in ((1, 1.0, 1), (2, 1.4, 1), (3, 1.5, 3), (4, 1.6, 3)):
            now[0] = at
            record("Pulling", done, 100)
            found = find_record(conversion.folder, conversion.wanted)
            assert found is not None
            assert found.progress == expected


def test_what_failed_says_why_and_volumes_of_before_stay(conversion: Conversion) -> None:
    image = converted(conversion.layout, conversion.folder).image
    with pytest.raises(ImageError, match=r"^the registry is gone$"):
        _fail(conversion)
    assert conversion.told() == ("Failed", 50, True, "ConversionFailed", "the registry is gone")
    (block,) = conversion.status().blocks
    assert (block.name, block.role, block.platform) == (image.volumes[0].digest, "root", "linux/amd64")
    assert block.size_bytes == image.volumes[0].size_bytes


def _fail(conversion: Conversion) -> None:
    with recording(conversion.folder, conversion.wanted) as record:
        record("Pulling", 1, 2)
        raise ImageError("the registry is gone")


def test_one_that_was_killed_goes_on_later(conversion: Conversion) -> None:
    script = f"""
import os
from pathlib import Path
from agents.storage.io.conversionrecords import Wanted, recording
with recording(Path({str(conversion.folder)!r}), Wanted(source={conversion.wanted.source!r}, mode="erofs")) as record:
    record("Converting", 1, 4)
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    message = "stopped while Converting, at 25 %; the next conversion goes on"
    assert conversion.told() == ("Pending", 25, False, "Stopped", message)


def test_who_converts_the_same_at_once_records_nothing(conversion: Conversion) -> None:
    with recording(conversion.folder, conversion.wanted) as first:
        first("Pulling", 1, 2)
        with recording(conversion.folder, conversion.wanted) as second:
            second("Converting", 1, 1)
        assert conversion.told() == ("Pulling", 50, False, "InProgress", "")


def test_a_platform_that_is_missing_is_not_ready(conversion: Conversion) -> None:
    converted(conversion.layout, conversion.folder)
    assert conversion.status("linux/amd64").ready
    status = conversion.status("linux/amd64", "linux/arm64")
    assert (status.ready, status.phase, len(status.blocks)) == (False, "Pending", 1)


def test_a_volume_that_is_missing_is_not_ready(conversion: Conversion) -> None:
    with recording(conversion.folder, conversion.wanted):
        image = converted(conversion.layout, conversion.folder).image
    volume_path(conversion.folder, image.volumes[0].digest).unlink()
    message = "what was converted has been removed, or some of it"
    assert conversion.told() == ("Pending", 0, False, "NotConverted", message)


def test_what_was_not_pushed_is_not_done(conversion: Conversion) -> None:
    converted(conversion.layout, conversion.folder)
    conversion.wanted = Wanted(source=conversion.wanted.source, mode="erofs", destination="r.example.com/x:1")
    message = "converted, and not pushed to r.example.com/x:1"
    assert conversion.told() == ("Pending", 0, True, "NotPublished", message)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"wanted": 1}', "record"])
def test_what_is_no_record_is_left_aside(content: str, conversion: Conversion) -> None:
    with recording(conversion.folder, conversion.wanted):
        pass
    (path,) = (conversion.folder / "conversions").glob("*.json")
    path.write_text(path.read_text().replace("Succeeded", "Unheard") if content == "record" else content)
    assert records(conversion.folder) == ()
    assert conversion.told()[0] == "Pending"


def test_a_record_that_cannot_be_written_stops_nothing(conversion: Conversion) -> None:
    conversion.folder.mkdir()
    (conversion.folder / "conversions").touch()
    with recording(conversion.folder, conversion.wanted) as record:
        record("Pulling", 1, 2)
        converted(conversion.layout, conversion.folder)
    assert conversion.told() == ("Succeeded", 100, True, "Converted", "")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (EROFS, "none"),
        (EROFS.compressed(), "lz4"),
        (OVERLAYFS, "none"),
        (OVERLAYFS.compressed(), "lz4"),
        (BLOCK, "none"),
        (BLOCK.sized(1), "none"),
    ],
)
def test_an_image_says_how_it_is_compressed(mode: Mode, said: str, conversion: Conversion) -> None:
    assert converted(conversion.layout, conversion.folder, mode=mode).image.compression == said


def test_a_divided_image_says_how_it_is_compressed(tmp_path: Path) -> None:
    base, whole = LayoutWriter(tmp_path / "base"), LayoutWriter(tmp_path / "whole")
    base.image([LAYER])
    whole.image([LAYER, Tar().add("etc/two", data=b"2" * 10_000).finished()])
    for layout in (base.write(), whole.write()):
        image = converted(layout, tmp_path / "store", mode=EROFS.compressed()).image
        assert image.compression == "lz4"
    assert [volume.role for volume in image.volumes] == ["root", "changes"]


@pytest.mark.slow
def test_the_command(conversion: Conversion, tmp_path: Path) -> None:
    policy, store = tmp_path / "policy.yaml", conversion.folder
    policy.write_text(f"""apiVersion: turnout.dev/v1alpha1
kind: ImageConversion
metadata: {{name: one, namespace: shop}}
spec: {{sourceImage: "{conversion.wanted.source}", platforms: [linux/amd64]}}
---
apiVersion: turnout.dev/v1alpha1
kind: ImageConversion
metadata: {{name: two, namespace: shop}}
spec: {{sourceImage: "oci:{tmp_path}/none", platforms: [linux/amd64]}}
""")
    assert turnout("convert", policy, "--store", store).returncode == 1
    one, two = _shown(policy, "--store", store)
    assert (one["name"], one["source"], one["destination"]) == ("shop/one", conversion.wanted.source, "")
    assert (one["phase"], one["progress"], one["ready"], len(one["blocks"])) == ("Succeeded", 100, True, 1)
    assert (one["compression"], two["compression"]) == ("none", "")
    assert (two["name"], two["phase"], two["ready"], two["blocks"]) == ("shop/two", "Failed", False, [])
    assert f"{tmp_path}/none" in two["conditions"][0]["message"]
    fields = ("phase", "progress", "blocks", "conditions", "ready")
    written = {name: one[name] for name in fields}
    of_clusters = {"node", "server", "adoption", "images", "observed_generation"}
    assert written == conversion.status().model_dump(mode="json", by_alias=True, exclude=of_clusters)
    everything = _shown("--store", store)
    assert [row["source"] for row in everything] == sorted((one["source"], two["source"]))
    assert turnout("convert", policy, "--compression", "lz4", "--store", store).returncode == 1
    assert [row["compression"] for row in _shown(policy, "--store", store)] == ["lz4", ""]
    assert turnout("remove", one["source"], "--store", store).returncode == 0
    assert [row["source"] for row in _shown("--store", store)] == [two["source"]]


def _shown(*arguments: str | Path) -> list[dict[str, Any]]:
    program = str(Path(sys.executable).with_name("turnout"))
    done = subprocess.run([program, "show", "images", *map(str, arguments), "-o", "json"], capture_output=True)
    assert done.stderr == b""
    return json.loads(done.stdout)
