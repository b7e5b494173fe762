"""Records which blocks of an image's volumes a start reads, and which files these are of: the image's program runs
here, on volumes whose every read a storage daemon writes down.

The program has a mount, a process and a network namespace of its own (loopback alone), the image as its root, and a
writable layer that is thrown away. It is no sandbox: an image that is traced is trusted as one that is run.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agents.storage.io import mounts
from agents.storage.io.filemaps import mapped_files
from agents.storage.io.loops import loop_device
from agents.storage.io.remotevolumes import AHEAD_KIB
from agents.storage.io.storagedaemon import StorageDaemon, add, volume_id
from agents.storage.io.volumefiles import hexadecimal
from agents.storage.translate.filereads import file_reads
from agents.storage.translate.modes import EROFS
from agents.storage.wire.errors import ImageError
from agents.storage.wire.traces import MOST_FILES, Extents, FileReads, Trace, log_to_extents

_LOG: Final = logging.getLogger(__name__)
_SCRIPT: Final = """
root=$1; shift
ip link set lo up
for name in proc dev; do [ -d "$root/$name" ] || mkdir "$root/$name"; done
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 125
exec env -i "$@"
"""
_NAMESPACES: Final = ("unshare", "--mount", "--propagation", "private", "--pid", "--net", "--fork", "--kill-child")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """As an image's config has it: `environment` in the form NAME=VALUE, `folder` is where it begins."""

    arguments: tuple[str, ...]
    environment: tuple[str, ...] = ()
    folder: str = "/"


def record(
    volumes: Sequence[tuple[str, Path]], mode: str, layers: int, program: Program, seconds: float
) -> list[Trace]:
    """Run the program so long, or until it ends. `volumes` are digest and file of each, the lowest first. Raises
    ImageError where it cannot be run, or fails."""
    with TemporaryDirectory(prefix="turnout-trace-") as name, ExitStack() as stack:
        folder = Path(name)
        devices = [stack.enter_context(_watched(folder, digest, file)) for digest, file in volumes]
        root = folder / "root"
        root.mkdir()
        _mount(devices, mode, layers, root, folder / "upper")
        try:
            _run(program, root, seconds)
        finally:
            mounts.lazily_unmount(root)
        return [_trace(folder, digest, file) for digest, file in volumes]


@contextmanager
def _watched(folder: Path, digest: str, file: Path) -> Generator[Path]:
    """A block device of the volume, read as on a node that reads it over the network."""
    place = folder / volume_id(hexadecimal(digest))
    place.mkdir()
    shown = place / "volume"
    shown.touch()
    options = ("--trace", f"enable=blk_co_preadv,file={place / 'log'}")
    daemon = StorageDaemon(place, "tracing", options=options)
    try:
        with daemon.running() as qmp:
            node = {"driver": "file", "filename": str(file.absolute()), "read-only": True}
            add(qmp, "volume", node, {"type": "fuse", "mountpoint": str(shown)})
        with loop_device(shown, AHEAD_KIB) as device:
            yield device
    finally:
        mounts.lazily_unmount(shown)
        daemon.kill()


def _mount(devices: Sequence[Path], mode: str, layers: int, root: Path, upper: Path) -> None:
    if len(devices) > 1:
        mounts.mount_over_each_other(devices, root, upper)
    elif mode == EROFS.name:
        mounts.mount(devices[0], root, upper)
    else:
        mounts.mount_layers(devices[0], layers, root, upper)


def _run(program: Program, root: Path, seconds: float) -> None:
    change = shutil.which("unshare") or "/usr/bin/unshare"  # the image's PATH may have none
    inside = (change, f"--root={root}", f"--wd={program.folder}", "--", *program.arguments)
    command = (*_NAMESPACES, "sh", "-c", _SCRIPT, "sh", str(root), *program.environment, *inside)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            _, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        said = errors.decode(errors="replace").strip()[-500:]
        raise ImageError(
            f"{program.arguments[0]} ended with exit code {process.returncode}: {said or 'without a word'}"
        )


def _trace(folder: Path, digest: str, file: Path) -> Trace:
    log, size = folder / volume_id(hexadecimal(digest)) / "log", file.stat().st_size
    try:
        content = log.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("this qemu-storage-daemon writes no log of what is read (--trace)") from error
    extents = log_to_extents(content, size)
    return Trace(volume=digest, size_bytes=size, extents=extents, files=files_of(folder, file, extents))


def files_of(folder: Path, file: Path, extents: Extents) -> FileReads:
    """The first ones, where there are more than a trace has; none where the kernel does not say where files lie."""
    mounted = folder / "files"
    mounted.mkdir(exist_ok=True)
    mounts.mount(file, mounted, None)
    try:
        return file_reads(extents, mapped_files(mounted))[:MOST_FILES]
    except OSError as error:
        _LOG.warning("the trace has no files: %s", error.strerror)
        return ()
    finally:
        mounts.unmount(mounted)
