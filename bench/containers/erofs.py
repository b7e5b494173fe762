"""containerd 2's own EROFS snapshotter with its differ, and the mkfs.erofs that this calls for each layer.

The differ pipes a layer's archive into mkfs.erofs, which can do that since erofs-utils 1.7. Where the installed one is
older, the one of a newer Debian is run with that release's own C library, from a folder: nothing is installed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.containers.recipes import remove_partial
from bench.report.results import FOLDER
from tests.images.versions import TWO
from tests.peers.programs import place_of

KEY: Final = "erofs"
PROGRAM: Final = "mkfs.erofs"
_RELEASE: Final = "trixie"
"""Debian 13, which has erofs-utils 1.8."""
_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CONFIGURATION: Final = """version = 3

[plugins."io.containerd.service.v1.diff-service"]
default = ["erofs", "walking"]

[plugins."io.containerd.differ.v1.erofs"]
mkfs_options = ["-T0", "--mkfs-time", "--sort=none"]

[plugins."io.containerd.cri.v1.images"]
snapshotter = "erofs"

[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "linux"
snapshotter = "erofs"
differ = "erofs"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{registries}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{host}/sandbox:1"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
"""
"""What containerd's documents say for erofs-utils 1.8 (docs/snapshotters/erofs.md), and the registry."""
_HOST: Final = """server = "http://{host}"

[host."http://{host}"]
capabilities = ["pull", "resolve"]
"""


def missing() -> str | None:
    """What there must be and is not."""
    assert TWO.peer is not None
    return None if place_of(TWO.peer).is_dir() else "containerd 2 is not built: make peers"


def configuration(folder: Path, host: str) -> str:
    """Of containerd, for a registry that speaks plain HTTP; in `folder` is what else it reads."""
    registries = folder / "registries"
    (registries / host).mkdir(parents=True)
    (registries / host / "hosts.toml").write_text(_HOST.format(host=host))
    return _CONFIGURATION.format(registries=registries, host=host)


def maker() -> Path:
    """The folder of a mkfs.erofs that takes archives, fetched when there is none."""
    installed = shutil.which(PROGRAM)
    if installed is not None and _takes_archives(installed):
        return Path(installed).parent
    place = FOLDER / f"{PROGRAM}-{_RELEASE}"
    if not place.exists():
        _fetch(remove_partial(place), place)
    if not _takes_archives(str(place / PROGRAM)):
        raise SystemExit(f"bench.images: {place / PROGRAM} does not take archives")
    return place


def _takes_archives(program: str) -> bool:
    """As containerd asks."""
    return b"--tar=" in subprocess.run([program, "--help"], capture_output=True).stdout


def _fetch(partial: Path, place: Path) -> None:
    """The package and all that it depends on, verified by apt and unpacked."""
    for name in ("lists/partial", "archives/partial", "root"):
        (partial / name).mkdir(parents=True)
    (partial / "status").touch()
    (partial / "list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {_RELEASE} main\n")
    places = {
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::SourceList": partial / "list",
        "Dir::State::Lists": partial / "lists",
        "Dir::State::Status": partial / "status",
        "Dir::Cache": partial,
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in places.items() for word in ("-o", f"{name}={value}"))]
    _run(*apt, "update")
    _run(*apt, "install", "--download-only", "--no-install-recommends", "--yes", "erofs-utils")
    for package in sorted((partial / "archives").glob("*.deb")):
        _run("dpkg-deb", "--extract", str(package), str(partial / "root"))
    (loader,) = (path.relative_to(partial) for path in (partial / "root/usr/lib").glob("*-linux-gnu*/ld-linux*.so.*"))
    words = (place / loader, "--library-path", (place / loader).parent, place / "root/usr/bin" / PROGRAM)
    (partial / PROGRAM).write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    (partial / PROGRAM).chmod(0o755)
    shutil.rmtree(partial / "archives")
    shutil.rmtree(partial / "lists")
    partial.rename(place)


def _mirror() -> str:
    """Where apt has this machine's packages from."""
    rows = _run("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages").splitlines()
    places = (row.partition(" ")[2] for row in rows if row.startswith("Debian "))
    if (found := next((place for place in places if "security" not in place), None)) is None:
        raise SystemExit(f"bench.images: apt knows no Debian to have a newer {PROGRAM} from; install erofs-utils 1.7")
    return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
