"""Certificate and key for who reads the volumes, the node's storage agent: it is in no Pod, so no Secret is mounted for
it. Copies of ours, kept right when those are renewed."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event, Thread
from typing import Final

from agents.storage.io.files import fsync_directory
from agents.storage.io.nbdtls import NbdTls

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 30.0
CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"


def keep_copied(tls: NbdTls, folder: Path, stop: Event) -> None:
    """Now, and from now on in a thread. What cannot be copied is said and tried again."""

    def run() -> None:
        while not stop.wait(_LOOK_S):
            _try(tls, folder)

    _try(tls, folder)
    Thread(target=run, name="tls-copies", daemon=True).start()


def _try(tls: NbdTls, folder: Path) -> None:
    try:
        copy(tls, folder)
    except OSError as error:
        _LOG.warning("%s: TLS files for the storage agent are not copied: %s", folder, error)


def copy(tls: NbdTls, folder: Path) -> None:
    """The key first: a daemon that starts in between finds a pair that does not belong together, and is tried again."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, path in ((KEY, tls.key), (CERTIFICATE, tls.certificate), (CA, tls.ca)):
        content, final = path.read_bytes(), folder / name
        if final.exists() and final.read_bytes() == content:
            continue
        partial = folder / f".{name}"
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_bytes(content)
        partial.rename(final)
        _LOG.info("%s is copied to %s", path, final)
    fsync_directory(folder)
