"""Volumes of this node's store for other nodes: exported over NBD, read-only, by a storage daemon.

    STORE/serving/daemon.sock      see storagedaemon
    STORE/serving/catalog.HASH     what there is, exported as `catalog`

NBD has no passwords: whoever reaches the address reads all volumes and what the images' configs say; with TLS, whoever
has a certificate.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from agents.storage.io.files import appearing, publish
from agents.storage.io.nbdtls import CREDENTIALS, NbdTls
from agents.storage.io.qmp import Qmp
from agents.storage.io.storagedaemon import StorageDaemon, add, exports, file_node, remove, volume_id
from agents.storage.io.store import Store, StoredImage, Volume
from agents.storage.io.volumefiles import hexadecimal, read_trace, volume_path
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import make_image, parse_manifest
from agents.storage.wire.remotes import CATALOG, CatalogImage, CatalogVolume, Server, catalog_to_json
from agents.storage.wire.traces import Trace

_LOG: Final = logging.getLogger(__name__)
_PURPOSE: Final = "serving volumes"
_BACKLOG: Final = 128
_BLOCK: Final = 512
"""Servers of NBD by QEMU export whole ones."""


class VolumeServer:
    """One for a store. Whatever an earlier one left running is ended first: clients connect again."""

    def __init__(self, store: Path, listen: Server, tls: NbdTls | None = None) -> None:
        """With `tls`, clients need a certificate of its authority."""
        self._store, self.listen = store, replace(listen, tls=tls is not None)
        self._folder = store / "serving"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = () if tls is None else tls.options(self._folder / "tls", "server")
        self._daemon = StorageDaemon(self._folder, _PURPOSE, options=options)
        self._daemon.quit()
        for path in self._folder.glob(f"{CATALOG}.*"):
            path.unlink()
        try:
            self._begin(options)
        except ImageError as error:
            self._daemon.quit()
            raise ImageError(f"{listen}: {error}") from error

    def _begin(self, options: Sequence[str]) -> None:
        """The daemon gets a socket that listens already."""
        with _listening(self.listen) as found:
            address = f"addr.type=fd,addr.str={found.fileno()},max-connections=0"
            credentials = f",tls-creds={CREDENTIALS}" if self.listen.tls else ""
            serving = (*options, "--nbd-server", address + credentials)
            with StorageDaemon(self._folder, _PURPOSE, options=serving, descriptors=(found.fileno(),)).running():
                pass

    def close(self) -> None:
        self._daemon.quit()

    @property
    def is_running(self) -> bool:
        """Its daemon is there. A later one would not listen: that socket was this one's."""
        try:
            with self._daemon.if_running() as qmp:
                return qmp is not None
        except ImageError:  # it does not answer now, which passes
            return True
        return False

    def publish(self) -> int:
        """Export what the store has now, and nothing else; returns how many volumes that is. Volumes that no image has
        any more are read by containers on other nodes until their files go (`turnout image gc`)."""
        store = Store(self._store)
        try:
            images = tuple(_catalogued(store, image) for image in store.images() if _is_served(store, image))
            left = {hexadecimal(one) for one in store.volume_digests() if volume_path(self._store, one).exists()}
        finally:
            store.close()
        wanted = {hexadecimal(volume.digest) for image in images for volume in image.volumes} | left
        catalog = self._write(catalog_to_json(images))
        with self._daemon.running() as qmp:
            there = exports(qmp)
            for name in sorted(wanted):
                if volume_id(name) not in there:
                    _export(qmp, volume_path(self._store, name), name)
            for one in sorted(there - {volume_id(name) for name in (*wanted, CATALOG)}):
                remove(qmp, one)
            self._replace(qmp, catalog, is_there=volume_id(CATALOG) in there)
        return len(wanted)

    def _write(self, content: bytes) -> Path:
        """The catalog in a file of its own, so that one that is being read does not change."""
        path = self._folder / f"{CATALOG}.{sha256(content).hexdigest()[:16]}"
        if not path.exists():
            partial = self._folder / "catalog-part"
            with appearing(partial) as out:
                out.write(content + b" " * (-len(content) % _BLOCK))
                publish(out, partial, path)
        return path

    def _replace(self, qmp: Qmp, catalog: Path, *, is_there: bool) -> None:
        others = [path for path in self._folder.glob(f"{CATALOG}.*") if path != catalog]
        if is_there and others:
            remove(qmp, volume_id(CATALOG))
        if not is_there or others:
            _export(qmp, catalog, CATALOG)
        for path in others:
            path.unlink()


def _listening(address: Server) -> socket.socket:
    """Connections have TCP_NODELAY from it, which QEMU's server sets for none: else what it writes in pieces, as all
    that it says before the first read, waits for 40 ms each time for the acknowledgement that the client delays."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, place = found[0][0], found[0][4]
        listening = socket.create_server(place, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ImageError(error.strerror or str(error)) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _is_served(store: Store, image: StoredImage) -> bool:
    """Disks are not, and nothing that is on another node itself."""
    files = (volume_path(store.folder, volume.digest) for volume in image.volumes)
    return image.mode != BLOCK.name and all(path.exists() for path in files)


def _catalogued(store: Store, stored: StoredImage) -> CatalogImage:
    manifest, config = store.documents(stored)
    parsed = parse_manifest(manifest, f"manifest {stored.manifest_digest}")
    image = make_image(stored.manifest_digest, manifest, parsed, config)
    volumes = tuple(
        CatalogVolume(
            digest=one.digest,
            recipe=one.recipe,
            size_bytes=one.size_bytes,
            role=one.role,
            layers=one.layers,
            trace=_trace(store.folder, one),
        )
        for one in stored.volumes
    )
    return CatalogImage(image=image, mode=stored.mode, names=stored.names, volumes=volumes)


def _trace(folder: Path, volume: Volume) -> Trace | None:
    """None where there is none, or it is no good: what is served does not depend on it."""
    try:
        return read_trace(folder, volume.digest, volume.size_bytes)
    except ImageError as error:
        _LOG.warning("a trace is not served: %s", error)
        return None


def _export(qmp: Qmp, path: Path, name: str) -> None:
    add(qmp, volume_id(name), {**file_node(path), "read-only": True}, {"type": "nbd", "name": name})
