"""What a store has of other nodes because a cluster says so: exactly that, and nothing of what it says no more."""

from __future__ import annotations

import json
from collections.abc import Generator
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from agents.storage.clusteradoption import (
    WantedAdoption,
    WantedImage,
    adopt_exactly,
    adopted_conversions,
    has_adopted,
    let_go,
)
from agents.storage.io.adoptionrecords import AdoptionRecord, ImageKey, adoption_records, write_adoption
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import remote_path, remote_volume, write_remote
from agents.storage.translate.modes import EROFS
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import make_image, parse_manifest
from agents.storage.wire.remotes import CatalogImage, CatalogVolume, RemoteVolume, Server
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import converted

ONE: Final = Server(host="10.0.0.1", port=10_809)
TWO: Final = Server(host="10.0.0.2", port=10_809)


def digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def served(*volumes: str, seed: str = "web", recipes: str = "") -> CatalogImage:
    """An image with a volume for each name."""
    rootfs = {"type": "layers", "diff_ids": [digest(f"{seed} {one}".encode()) for one in volumes]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    layers = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": one, "size": 5} for one in rootfs["diff_ids"]
    ]
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": 1}
    manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": layers}).encode()
    image = make_image(digest(manifest), manifest, parse_manifest(manifest, "m"), config)
    return CatalogImage(
        image=image,
        mode="erofs",
        names=("what the server calls it",),
        volumes=tuple(
            CatalogVolume(
                digest=digest(name.encode()),
                recipe=f"{recipes}{name.partition('@')[0]}",
                size_bytes=4096,
                role="root",
                layers=number,
            )
            for number, name in enumerate(volumes, 1)
        ),
    )


def wanted(of: CatalogImage, uid: str = "u", server: Server = ONE, name: str = "web:1") -> WantedAdoption:
    volumes = tuple(volume.digest for volume in of.volumes)
    image = WantedImage(digest=of.image.digest, mode=of.mode, names=(name,), volumes=volumes)
    content = digest("".join((of.image.digest, *volumes)).encode())
    return WantedAdoption(uid=uid, conversion=f"shop/{uid}", content=content, server=server, images=(image,))


class Here:
    """The store."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)

    def adopt(self, what: WantedAdoption, *catalog: CatalogImage) -> None:
        adopt_exactly(what, {(one.image.digest, one.mode): one for one in catalog}, self.store)

    def has(self, what: WantedAdoption) -> bool:
        return has_adopted(what, self.store, self.images())

    def images(self) -> dict[ImageKey, StoredImage]:
        return {(image.manifest_digest, image.mode): image for image in self.store.images()}

    def files(self) -> set[str]:
        return {path.name for path in (self.store.folder / "volumes").iterdir()}


@pytest.fixture
def here(tmp_path: Path) -> Generator[Here]:
    made = Here(tmp_path / "store")
    yield made
    made.store.close()


def nbd(*names: str) -> set[str]:
    return {f"{digest(name.encode()).removeprefix('sha256:')}.nbd" for name in names}


def test_an_image_comes_with_the_name_that_the_cluster_says_and_goes(here: Here) -> None:
    web = served("base", "top")
    what = wanted(web)
    assert not here.has(what)
    here.adopt(what, web, served("other", seed="x"))
    assert here.has(what)
    (image,) = here.store.images()
    assert (image.names, here.files()) == (("web:1",), nbd("base", "top"))
    assert adopted_conversions(adoption_records(here.store.folder), (web.image.digest, "erofs")) == ("shop/u",)
    let_go("u", here.store)
    let_go("u", here.store)
    assert (here.images(), here.files(), adoption_records(here.store.folder)) == ({}, set(), ())


def test_what_the_server_has_not_exactly_changes_nothing(here: Here) -> None:
    web, other = served("base", "top"), served("base", "other")
    with pytest.raises(ImageError) as refused:
        here.adopt(wanted(web))
    assert str(refused.value) == f"nbd://10.0.0.1:10809 has no image {web.image.digest} in mode erofs"
    lying = CatalogImage(image=web.image, mode="erofs", names=(), volumes=other.volumes)
    with pytest.raises(ImageError) as refused:
        here.adopt(wanted(web), lying)
    has, says = (", ".join(volume.digest for volume in one.volumes) for one in (other, web))
    assert str(refused.value) == (
        f"nbd://10.0.0.1:10809: image {web.image.digest} has the volumes {has}, and the ImageConversion says {says}"
    )
    assert (here.images(), here.files(), adoption_records(here.store.folder)) == ({}, set(), ())


def test_a_base_stays_as_long_as_an_image_has_it(here: Here) -> None:
    first, second = served("base", "first"), served("base", "second", seed="second")
    here.adopt(wanted(first, "first"), first)
    here.adopt(wanted(second, "second"), second)
    let_go("first", here.store)
    assert here.files() == nbd("base", "second")
    assert here.has(wanted(second, "second"))
    let_go("second", here.store)
    assert here.files() == set()


def test_an_image_stays_as_long_as_one_conversion_has_it(here: Here) -> None:
    web = served("base")
    for uid in ("a", "b"):
        here.adopt(wanted(web, uid), web)
    let_go("a", here.store)
    assert here.has(wanted(web, "b"))
    let_go("b", here.store)
    assert here.images() == {}


def test_another_server_and_other_volumes_are_followed(here: Here) -> None:
    web = served("base", "top")
    here.adopt(wanted(web), web)
    moved = wanted(web, server=TWO)
    assert not here.has(moved)
    here.adopt(moved, web)
    remote = remote_volume(remote_path(here.store.folder, web.volumes[0].digest))
    assert remote is not None
    assert remote.server == TWO
    anew = CatalogImage(
        image=web.image, mode="erofs", names=(), volumes=served("base@2", "top@2", recipes="lz4 ").volumes
    )
    assert not here.has(wanted(anew))
    here.adopt(wanted(anew), anew)
    assert here.has(wanted(anew))
    assert here.files() == nbd("base@2", "top@2")


def test_the_same_recipe_with_other_bytes_is_followed(here: Here) -> None:
    """As another release of LZ4 makes them."""
    web = served("base@1")
    here.adopt(wanted(web), web)
    anew = CatalogImage(image=web.image, mode="erofs", names=(), volumes=served("base@2").volumes)
    here.adopt(wanted(anew), anew)
    assert here.files() == nbd("base@2")


def test_another_image_takes_the_place_of_the_one_before(here: Here) -> None:
    before, after = served("base", "before"), served("base", "after", seed="after")
    here.adopt(wanted(before), before)
    here.adopt(wanted(after), after)
    assert list(here.images()) == [(after.image.digest, "erofs")]
    assert here.files() == nbd("base", "after")


def test_killed_at_any_step_it_is_completed_or_taken_away(here: Here) -> None:
    """Written so far: the record; files of volumes; not a row."""
    web = served("base", "top")
    for end in (lambda: here.adopt(wanted(web), web), lambda: None):
        key = (web.image.digest, "erofs")
        volumes = tuple(volume.digest for volume in web.volumes)
        record = AdoptionRecord(uid="u", conversion="shop/u", server=str(ONE), images=(key,), volumes=volumes)
        write_adoption(here.store.folder, record)
        write_remote(here.store.folder, volumes[0], RemoteVolume(server=ONE, size_bytes=4096))
        (here.store.folder / "volumes" / f"{volumes[1].removeprefix('sha256:')}.nbd.part").touch()
        assert not here.has(wanted(web))
        end()
        let_go("u", here.store)
        assert (here.images(), here.files(), adoption_records(here.store.folder)) == ({}, set(), ())


def test_an_image_that_was_removed_by_hand_is_missing(here: Here) -> None:
    web = served("base")
    here.adopt(wanted(web), web)
    here.store.remove(here.store.find("web:1"))
    assert not here.has(wanted(web))


def test_what_is_converted_here_stays(here: Here, tmp_path: Path) -> None:
    """Before, and after."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image([Tar().add("file", data=b"x").finished()])
    layout.write()
    made = converted(tmp_path / "layout", here.store.folder)
    manifest, config = here.store.documents(made.image)
    image = make_image(made.image.manifest_digest, manifest, parse_manifest(manifest, "m"), config)
    volumes = served("elsewhere").volumes
    what = CatalogImage(image=image, mode=EROFS.name, names=(), volumes=volumes)
    here.adopt(wanted(what), what)
    assert here.has(wanted(what))
    assert here.store.images()[0].volumes == made.image.volumes
    let_go("u", here.store)
    assert here.store.images()[0].volumes == made.image.volumes
    here.store.remove(here.store.images()[0])
    here.adopt(wanted(what), what)
    converted(tmp_path / "layout", here.store.folder)
    assert here.has(wanted(what))
    let_go("u", here.store)
    assert here.store.images()[0].volumes == made.image.volumes


def test_a_store_that_another_process_has_is_said(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.storage.clusteradoption._WAIT_S", 0.1)
    web = served("base")
    other = Store(here.store.folder)
    with other.alone():
        for end in (lambda: here.adopt(wanted(web), web), lambda: let_go("u", here.store)):
            with pytest.raises(ImageError) as refused:
                end()
            assert str(refused.value) == f"{here.store.folder}/lock: another process has had it for 0.1 s"
    other.close()
    assert here.files() == set()
