"""What the commands of `turnout image` share: how the store is opened, an image as a row."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agents.storage.io.store import Store, StoredImage
from agents.storage.translate import modes
from agents.storage.wire.errors import ImageError
from cli.console import Output, fail
from compiler.policy.imagekinds import MODE_ALIASES

OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result on stdout.")]


class Mode(StrEnum):
    """Those of ImageConversion that images can be converted in."""

    EROFS = modes.EROFS.name
    OVERLAYFS = modes.OVERLAYFS.name
    BLOCK = modes.BLOCK.name
    OVERLAYBD = "overlaybd"

    @property
    def plain(self) -> str:
        """Without other names for the same."""
        return MODE_ALIASES.get(self.value, self.value)


class Compression(StrEnum):
    """Those of ImageConversion."""

    NONE = "none"
    LZ4 = "lz4"


ModeOption = Annotated[
    Mode | None, typer.Option("--mode", help="Which one, of an image that was converted in several modes.")
]
ImageArgument = Annotated[
    str, typer.Argument(help="Name it was converted by, or the beginning of its digest.", show_default=False)
]


@contextmanager
def opened_store(folder: Path) -> Generator[Store]:
    """The store; what goes wrong with an image ends the command with exit code 1."""
    try:
        store = Store(folder)
        try:
            yield store
        finally:
            store.close()
    except ImageError as error:
        raise fail(str(error)) from error


COLUMNS = ("digest", "platform", "mode", "layers", "volumes", "size", "names")


def row_of(image: StoredImage) -> dict[str, object]:
    return {
        "digest": image.manifest_digest,
        "platform": image.platform,
        "mode": image.mode,
        "layers": len(image.layers),
        "volumes": len(image.volumes),
        "size": image.size_bytes,
        "names": ", ".join(image.names),
    }
