"""Converting in tests: one call, and conversions as processes that can be killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agents.storage.conversion import Converted, convert, no_progress
from agents.storage.io.store import Store
from agents.storage.translate.modes import EROFS, Mode
from agents.storage.translate.platforms import parse_platform
from compiler.policy.imagenames import parse_image_name

AMD64 = parse_platform("linux/amd64")


def converted(source: str | Path, folder: Path, platform: str = "linux/amd64", mode: Mode = EROFS) -> Converted:
    """Convert what a name or the folder of a layout says into the store in `folder`."""
    store = Store(folder)
    try:
        name = f"oci:{source}" if isinstance(source, Path) else source
        return convert(parse_image_name(name), parse_platform(platform), store, no_progress, mode=mode)
    finally:
        store.close()


def turnout(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`turnout image ...`, to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def command(*arguments: str | Path) -> list[str]:
    return [str(Path(sys.executable).with_name("turnout")), "image", *map(str, arguments)]
