"""Layers of images that are measured, made from Debian's and PyPI's packages.

Each is kept as an archive under build/bench/images/layers, by what it was made from: what images share has the same
bytes in all of them, which two runs of pip would not give.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report.results import FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`recipe` says what `fill` puts into an empty folder."""

    recipe: str
    fill: Callable[[Path], None] = field(compare=False, repr=False)

    def archive(self) -> bytes:
        """A tar, made when there is none."""
        key = sha256(self.recipe.encode()).hexdigest()[:16]
        path = FOLDER / "images" / "layers" / f"{key}.tar"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_bytes(_archive(self.fill))
            partial.rename(path)
        return path.read_bytes()


def _archive(fill: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory(prefix="turnout-bench-") as name:
        fill(Path(name))
        command = ("tar", "--sort=name", "--owner=0", "--group=0", "--mtime=@1700000000", "-C", name, "-c", ".")
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def debian(names: str) -> Layer:
    """Packages as dpkg unpacks them; nothing of what their scripts would do."""

    def fill(root: Path) -> None:
        for folder in ("bin", "lib", "lib64", "sbin"):
            (root / "usr" / folder).mkdir(parents=True)
            (root / folder).symlink_to(f"usr/{folder}")
        with TemporaryDirectory(prefix="turnout-bench-") as downloads:
            command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names.split()]
            subprocess.run(command, cwd=downloads, check=True)
            for package in sorted(Path(downloads).glob("*.deb")):
                _unpack(package, root)

    return Layer(recipe=f"debian 1 {names}", fill=fill)


def _unpack(package: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        command = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
        subprocess.run(command, stdin=archive.stdout, check=True)


def pypi(names: str) -> Layer:
    def fill(root: Path) -> None:
        options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]
        options += ["--no-warn-script-location", "--python-version", "3.11", "--target", str(root / "opt" / "site")]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *names.split()], check=True)

    return Layer(recipe=f"pypi 1 {names}", fill=fill)


def files(texts: dict[str, str], folders: str = "") -> Layer:
    """Small files by path, and empty folders."""

    def fill(root: Path) -> None:
        for folder in folders.split():
            (root / folder).mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

    return Layer(recipe=f"files 1 {sorted(texts.items())} {folders}", fill=fill)


def remove_partial(folder: Path) -> Path:
    """Where what becomes `folder` is made, empty."""
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    return partial
