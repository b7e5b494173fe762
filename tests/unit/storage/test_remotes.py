"""Servers of volumes, catalogs, and NBD's messages: read back, and refused with what is wrong."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from agents.storage.wire import nbd
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import make_image, parse_manifest
from agents.storage.wire.remotes import (
    CatalogImage,
    CatalogVolume,
    RemoteVolume,
    Server,
    catalog_to_json,
    parse_catalog,
    parse_remote,
    parse_server,
    remote_to_json,
)
from agents.storage.wire.traces import FileRead, Trace

VOLUME = CatalogVolume(digest=f"sha256:{'a' * 64}", recipe="r", size_bytes=4096, role="root", layers=1)


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


def _image() -> CatalogImage:
    rootfs = {"type": "layers", "diff_ids": [_digest(b"layer")]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": _digest(b"layer"), "size": 5}
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _digest(config), "size": 1}
    manifest = json.dumps({"schemaVersion": 2, "config": described, "layers": [layer]}).encode()
    image = make_image(_digest(manifest), manifest, parse_manifest(manifest, "m"), config)
    return CatalogImage(image=image, mode="erofs", names=("oci:/x",), volumes=(VOLUME,))


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("node-1", "node-1", 10_809, "nbd://node-1:10809"),
        ("10.0.0.1:9", "10.0.0.1", 9, "nbd://10.0.0.1:9"),
        ("nbd://node-1/", "node-1", 10_809, "nbd://node-1:10809"),
        ("nbds://node-1:9", "node-1", 9, "nbds://node-1:9"),
        ("[fd00::1]", "fd00::1", 10_809, "nbd://[fd00::1]:10809"),
        ("nbd://[fd00::1]:65535", "fd00::1", 65_535, "nbd://[fd00::1]:65535"),
    ],
)
def test_servers(text: str, host: str, port: int, shown: str) -> None:
    server = parse_server(text)
    assert (server, str(server), parse_server(shown)) == (
        Server(host=host, port=port, tls="nbds" in text),
        shown,
        server,
    )


def test_a_server_whose_certificate_names_something_else() -> None:
    server = parse_server("nbds://[fd00::1]?tls-hostname=volumes.turnout-system")
    assert server == Server(host="fd00::1", port=10_809, tls=True, tls_hostname="volumes.turnout-system")
    assert str(server) == "nbds://[fd00::1]:10809?tls-hostname=volumes.turnout-system"
    assert parse_server(str(server)) == server


@pytest.mark.parametrize(
    "text", ["nbd://a?tls-hostname=x", "a?tls-hostname=x", "nbds://a?x", "nbds://a?tls-hostname=", "nbds://a?x=y"]
)
def test_no_names_of_certificates(text: str) -> None:
    with pytest.raises(ImageError) as refused:
        parse_server(text)
    assert (
        str(refused.value) == f"'{text}' is no server of volumes: behind nbds://HOST[:PORT] may be ?tls-hostname=NAME"
    )


@pytest.mark.parametrize("text", ["", ":1", "a:0", "a:65536", "a:x", "a/b", "u@a", "fd00::1", "a b", "a:", "http://a"])
def test_no_servers(text: str) -> None:
    with pytest.raises(ImageError) as refused:
        parse_server(text)
    assert str(refused.value) == f"'{text}' is no server of volumes; expected [nbd://]HOST[:PORT] or nbds://HOST[:PORT]"


def test_a_remote_volume_reads_back() -> None:
    remote = RemoteVolume(server=Server(host="fd00::1", port=1), size_bytes=4096)
    assert parse_remote(remote_to_json(remote), "x") == remote


def test_a_catalog_reads_back_though_it_is_padded() -> None:
    assert parse_catalog(catalog_to_json([_image()]) + b"   \0\0", "x") == (_image(),)


def test_a_trace_goes_with_its_volume() -> None:
    """Servers of versions before name no files; nodes of versions before look for none."""
    files = (FileRead(0, b"usr/lib/odd \xff", 4096, 100),)
    trace = Trace(volume=VOLUME.digest, size_bytes=4096, extents=((0, 4096),), files=files)
    image = replace(_image(), volumes=(replace(VOLUME, trace=trace),))
    written = json.loads(catalog_to_json([image]))
    assert parse_catalog(json.dumps(written).encode(), "x") == (image,)
    (volume,) = written["images"][0]["volumes"]
    assert volume["trace"] == [[0, 4096]]
    del volume["files"]
    older = replace(image, volumes=(replace(VOLUME, trace=replace(trace, files=())),))
    assert parse_catalog(json.dumps(written).encode(), "x") == (older,)
    volume["files"] = 1
    with pytest.raises(ImageError, match=r"^x, the trace of volume sha256:a{64} has no text 'files'$"):
        parse_catalog(json.dumps(written).encode(), "x")


def _changed(**fields: Any) -> bytes:
    """A catalog of one image with other fields."""
    (image,) = json.loads(catalog_to_json([_image()]))["images"]
    return json.dumps({"version": 1, "images": [image | fields]}).encode()


_BAD_VOLUME = {"digest": "sha256:x", "recipe": "r", "sizeBytes": 1, "role": "root", "layers": 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x is no JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "x is no JSON object"),
        (b'{"version": 2}', "x is of version 2; this takes 1"),
        (b'{"version": 1}', "x has no list of objects 'images'"),
        (b'{"version": 1, "images": [1]}', "x has no list of objects 'images'"),
        (_changed(manifest=1), "x has no text 'manifest'"),
        (_changed(manifest="!"), "x has no base64 'manifest'"),
        (_changed(config="e30="), f"x gives manifest {_image().image.digest} a config that is not its own"),
        (_changed(mode=None), "x has no text 'mode'"),
        (_changed(volumes=[_BAD_VOLUME]), "x names a volume 'sha256:x', which is no sha256 digest"),
        (_changed(volumes=[_BAD_VOLUME | {"digest": VOLUME.digest, "sizeBytes": -1}]), "x has no number 'sizeBytes'"),
    ],
)
def test_what_is_no_catalog(data: bytes, message: str) -> None:
    with pytest.raises(ImageError) as refused:
        parse_catalog(data, "x")
    assert str(refused.value) == message


def test_the_handshake() -> None:
    assert nbd.client_flags(b"NBDMAGICIHAVEOPT\0\3") == b"\0\0\0\3"
    assert nbd.client_flags(b"NBDMAGICIHAVEOPT\0\1") == b"\0\0\0\1"
    assert nbd.go("ab") == b"IHAVEOPT" + struct.pack(">III", 7, 8, 2) + b"ab\0\0"
    assert nbd.told(3, struct.pack(">HQH", 0, 4096, 3)) == nbd.Export(4096)
    assert nbd.told(3, b"\0\3rest") is False
    assert nbd.told(1, b"") is True


@pytest.mark.parametrize("greeting", [b"NBDMAGIC\0\0B\x02\x81\x86\x12\x53\0\3", b"SSH-2.0-OpenSSH_9.2", bytes(18)])
def test_no_server_of_nbd(greeting: bytes) -> None:
    with pytest.raises(ImageError) as refused:
        nbd.client_flags(greeting[:18])
    assert str(refused.value) == "is no NBD server of today's kind"


def test_refusals_of_a_server() -> None:
    with pytest.raises(nbd.UnknownExportError):
        nbd.told(1 << 31 | 6, b"no such export")
    with pytest.raises(ImageError) as refused:
        nbd.told(1 << 31 | 2, b"use TLS")
    assert str(refused.value) == "refuses: use TLS"
    with pytest.raises(ImageError) as refused:
        nbd.told(1 << 31 | 2, b"")
    assert str(refused.value) == "refuses: error 2"


def test_replies() -> None:
    assert nbd.reply(struct.pack(">IIQ", 0x67446698, 5, 77)) == (77, 5)
    for parse, data in ((nbd.reply, bytes(16)), (nbd.option_reply, bytes(20))):
        with pytest.raises(ImageError) as refused:
            parse(data)
        assert str(refused.value) == "answers what is no NBD"
