"""Images with everything that a layer may hold and that is easy to get wrong, by name; and layers that are refused."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.images.archives import Tar, header, padded, pax_record

CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
"""cap_net_bind_service, permitted and effective (capabilities(7), VFS_CAP_REVISION_2)."""


def _xattr(name: str) -> str:
    return f"SCHILY.xattr.{name}"


def _files() -> list[bytes]:
    tar = Tar()
    tar.directory("etc/", mode=0o755, mtime=1_500_000_000)
    tar.add("etc/empty")
    tar.add("etc/one", data=b"x", mode=0o600, uid=1000, gid=1001, mtime=1_234_567_890)
    for size in (511, 4031, 4032, 4064, 4095, 4096, 4097, 8192, 70_000):
        tar.add(f"sizes/{size}", data=bytes(index * 7 % 251 for index in range(size)))
    tar.add("bin/su", data=b"#!", mode=0o4755)
    tar.add("bin/wall", data=b"#!", mode=0o2755, gid=5)
    tar.directory("tmp", mode=0o1777)
    tar.add("times/ns", data=b"t", pax={"mtime": "1600000000.123456789"})
    tar.add("times/coarse", pax={"mtime": "1600000000.5"})
    tar.add("times/long-fraction", pax={"mtime": "1600000000.1234567894321"})
    tar.add("times/before-1970", mtime=-5)
    tar.add("times/after-2038", mtime=5_000_000_000)
    tar.add("times/after-2262", pax={"mtime": "9999999999999"})
    tar.add("owners/large", uid=3_000_000_000, gid=4_000_000_000)
    tar.add("owners/pax", pax={"uid": "2147483648", "gid": "65536"})
    return [tar.finished()]


def _whiteouts() -> list[bytes]:
    lower = Tar()
    for name in ("keep", "gone", "dir/keep", "dir/gone", "opaque/old", "opaque/sub/old", "tree/a/b/c", "late/old"):
        lower.add(name, data=name.encode())
    lower.directory("mode", mode=0o711, uid=7, gid=8, mtime=1_400_000_000)
    lower.add("mode/old")
    lower.add("a-file", data=b"file")
    lower.directory("a-directory")
    lower.add("a-directory/inside", data=b"inside")
    lower.add("reborn/old", data=b"1")
    middle = Tar()
    middle.add(".wh.gone").add("dir/.wh.gone").add("opaque/.wh..wh..opq").add("opaque/new", data=b"new")
    middle.add("tree/.wh.a").add("late/new", data=b"new").add("late/.wh..wh..opq").add("mode/new")
    middle.add("a-file/now-a-directory", data=b"d").add("a-directory", data=b"now a file")
    middle.add(".wh.reborn").add(".wh.never-was")
    upper = Tar()
    upper.add("tree/a/new", data=b"back").add("reborn/new", data=b"2").add("opaque/sub/new", data=b"3")
    upper.add("gone", data=b"again").directory("mode", mode=0o700)
    upper.add("fresh/.wh.hidden").add(".wh.a-directory")
    return [lower.finished(), middle.finished(), upper.finished()]


def _lowest() -> list[bytes]:
    """Whiteouts where nothing is below."""
    tar = Tar().add("a", data=b"1").add(".wh.a").add(".wh.a").add("b/c", data=b"2").add("b/.wh.c").add(".wh.d")
    tar.directory("o").add("o/on-the-way/x", data=b"3").directory("o/own").add("o/own/y", data=b"4")
    tar.directory("o/kept").directory("o/kept/way").add("o/kept/lost/z").add("o/.wh..wh..opq").add(
        "o/later/x", data=b"5"
    )
    return [tar.finished()]


def _root_opaque() -> list[bytes]:
    lower = Tar().add("below", data=b"1").add("both/below", data=b"1")
    upper = Tar().add(".wh..wh..opq").add("above", data=b"2").add("both/above", data=b"2")
    return [lower.finished(), upper.finished()]


def _links() -> list[bytes]:
    lower = Tar()
    lower.add("a", data=b"shared" * 1000, mode=0o640, uid=3).add("b", b"1", link="a", mode=0o604, uid=4, mtime=1_111)
    lower.add("deep/er/c", b"1", link="/a").add("via", b"2", link="deep").add("d", b"1", link="via/er/c")
    lower.add("dangling", b"2", link="/no/where").add("dangling-too", b"1", link="dangling")
    lower.add("absolute", b"2", link="/etc/../../../a").add("loop", b"2", link="loop")
    lower.add("long", b"2", link="x" * 300).add("longer", b"2", link="y/" * 2040)
    lower.add("device", b"3", device=(1, 3)).add("device-too", b"1", link="device")
    lower.add("capable", data=b"c", pax={_xattr("security.capability"): CAPABILITY})
    lower.add("capable-too", b"1", link="capable")
    upper = Tar()
    upper.add("a", data=b"copied up", mode=0o600).add("e", b"1", link="a", mode=0o600)
    upper.add(".wh.d").add("through", b"2", link="inside").directory("inside").add("through/file", data=b"lands inside")
    return [lower.finished(), upper.finished()]


def _escapes() -> list[bytes]:
    tar = Tar()
    tar.add("/absolute", data=b"1").add("../above", data=b"2").add("a/../../b", data=b"3").add("./c", data=b"4")
    tar.add("out", b"2", link="/../../../tmp").add("out/landed", data=b"5")
    tar.add("up", b"2", link="../../..").add("up/landed-too", data=b"6")
    tar.add("chain", b"2", link="out").add("chain/deep/er", data=b"7")
    tar.add("..", b"5", mode=0o700).add("./", b"5", mode=0o700, uid=9).add("//double//slash", data=b"8")
    tar.add("hard", b"1", link="../../../../absolute", mode=0o600)
    return [tar.finished()]


def _attributes() -> list[bytes]:
    lower = Tar()
    lower.add("caps", data=b"x", mode=0o755, pax={_xattr("security.capability"): CAPABILITY})
    lower.add(
        "user", data=b"x", pax={_xattr("user.one"): "1", _xattr("user.binary"): b"\x00\xff\n=", _xattr("user.e"): ""}
    )
    lower.directory("dir", pax={_xattr("user.on-directory"): "yes", _xattr("trusted.kept"): "root only"})
    lower.add("link", b"2", link="user", pax={_xattr("trusted.on-link"): "t"})
    lower.add("skipped", b"2", link="user", pax={_xattr("user.on-link"): "not possible"})
    lower.add("fifo", b"6", pax={_xattr("user.on-fifo"): "not possible"})
    lower.add("strange", pax={_xattr("nonsense"): "x", _xattr("user.long"): "v" * 3000})
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, perm, number)
        for tag, perm, number in (
            (1, 6, 2**32 - 1),
            (2, 4, 1000),
            (4, 4, 2**32 - 1),
            (16, 4, 2**32 - 1),
            (32, 4, 2**32 - 1),
        )
    )
    lower.add("acl", mode=0o644, pax={_xattr("system.posix_acl_access"): acl})
    lower.directory("opaque-by-attribute").add("opaque-by-attribute/below", data=b"1")
    upper = Tar()
    upper.add("dir/new", data=b"in a directory that keeps its attributes")
    upper.directory("opaque-by-attribute", pax={_xattr("trusted.overlay.opaque"): "y"})
    upper.add("opaque-by-attribute/above", data=b"2").add(
        "user", data=b"attributes are replaced", pax={_xattr("user.two"): "2"}
    )
    return [lower.finished(), upper.finished()]


def _devices() -> list[bytes]:
    lower = Tar()
    lower.add("dev/null", b"3", mode=0o666, device=(1, 3)).add("dev/sda", b"4", mode=0o660, gid=6, device=(8, 0))
    lower.add("dev/large", b"3", device=(4095, 1_048_575)).add("dev/fifo", b"6", mode=0o622).add("hidden", data=b"1")
    upper = Tar().add("hidden", b"3", device=(0, 0)).add("dev/sda", data=b"now a file").add("dev/block-zero", b"4")
    return [lower.finished(), upper.finished()]


def _names() -> list[bytes]:
    tar = Tar()
    for name in (
        b"new\nline",
        b"tab\t",
        b"quote'\"\\",
        b" blank ",
        b"-dash",
        b"\xff\xfe not utf-8",
        "ünïcödé ☃".encode(),
    ):
        tar.add(b"odd/" + name, data=name)
    tar.add(b"odd/" + b"n" * 255, data=b"255").add("x" * 250 + "/" + "y" * 250 + "/" + "z" * 250, data=b"deep")
    tar.add("p" * 90 + "/" + "q" * 90, data=b"pax").add(b"short", data=b"pax wins", pax={"path": "given/by/pax"})
    long_name = b"gnu/" + b"g" * 200
    tar.raw(header(b"././@LongLink", b"L", size=len(long_name) + 1, magic=b"ustar  \0") + padded(long_name + b"\0"))
    tar.raw(header(long_name, size=3, magic=b"ustar  \0") + padded(b"gnu"))
    tar.raw(header(b"by-prefix", size=3, tail=b"prefix/of/ustar") + padded(b"ust"))
    tar.raw(header(b"old-directory/", b"\0")).raw(header(b"old-directory/file", b"\0", size=2) + padded(b"v7"))
    tar.add("trailing/", data=b"a file").raw(header(b"v7", size=2, magic=bytes(8)) + padded(b"v7"))
    for number in range(700):
        tar.add(f"many/{number:04d}-{'n' * (number % 90)}")
    return [tar.finished()]


def _twice() -> list[bytes]:
    tar = Tar()
    tar.add("file", data=b"first", mode=0o600).add("file", data=b"second", mode=0o640)
    tar.directory("was-directory").add("was-directory/in", data=b"x").add("was-directory", data=b"file")
    tar.add("was-file", data=b"x").directory("was-file").add("was-file/in", data=b"y")
    tar.directory("dir", mode=0o700, mtime=1).add("dir/in", data=b"z").directory("dir", mode=0o755, mtime=2)
    tar.add("link", b"2", link="dir").directory("link", mode=0o711).add("link/own", data=b"w")
    tar.add("target", data=b"t" * 5000).add("name", b"1", link="target").add("target", data=b"other")
    tar.add("after/.wh.x").add("after/x", data=b"white, then there")
    tar.directory("then-link", mtime=77).add("then-link", b"2", link="dir")
    return [tar.finished()]


def _parents() -> list[bytes]:
    lower = Tar().directory("a", mode=0o750, uid=11, gid=12, mtime=1_300_000_000).directory("a/b", mode=0o700, uid=13)
    lower.add("usr/lib/x", data=b"1").add("lib", b"2", link="usr/lib")
    upper = Tar().add("a/b/c/d/file", data=b"deep").add("lib/y", data=b"replaces the link").add("a/b/c/.wh.e")
    return [lower.finished(), upper.finished()]


def sparse_content() -> bytes:
    return b"begin" + bytes(99_995) + b"middle" + bytes(200_000 - 100_006) + b"end" + bytes(300_000 - 200_003)


def _sparse() -> list[bytes]:
    parts = b"begin" + b"middle" + b"end"
    pairs = "0,5,100000,6,200000,3"
    tar = Tar()
    tar.add(
        "s00/x", data=parts, pax={"GNU.sparse.size": "300000", "GNU.sparse.numblocks": "3", "GNU.sparse.map": pairs}
    )
    tar.add(
        "GNUSparseFile.1/x",
        data=parts,
        pax={
            "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "s01/x", "GNU.sparse.size": "300000",
            "GNU.sparse.numblocks": "3", "GNU.sparse.map": pairs,
        },
    )  # fmt: skip
    sparse_map = b"3\n0\n5\n100000\n6\n200000\n3\n".ljust(512, b"\0")
    tar.add(
        "GNUSparseFile.2/x",
        data=sparse_map + parts,
        pax={
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s10/x",
            "GNU.sparse.realsize": "300000",
        },
    )  # fmt: skip
    tar.add("all-hole", data=b"0\n".ljust(512, b"\0"), pax={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": "5000001",
    })  # fmt: skip
    tar.add("zeros", data=bytes(100_000))
    return [tar.finished()]


def _global_header() -> list[bytes]:
    record = pax_record(b"comment", b"nothing")
    tar = Tar().add("before", data=b"1").raw(header(b"made/global", b"g", size=len(record)) + padded(record))
    return [tar.add("after", data=b"2").finished()]


def _aufs() -> list[bytes]:
    tar = Tar().directory(".wh..wh.plnk").add(".wh..wh.plnk/1.2", data=b"linked").add(".wh..wh.aufs", data=b"")
    return [tar.add("file", data=b"x").finished()]


def _large() -> list[bytes]:
    """Files that shrink, one of them known by two names, one that does not, and one that does here and there; an upper
    layer replaces a part of them."""
    text = b"".join(b"line %d of a text\n" % number for number in range(20_000))
    noise = random.Random(1).randbytes(150_001)
    lower = Tar().add("text", data=text).add("same", b"1", link="text").add("noise", data=noise)
    lower.add("mixed", data=noise[:50_000] + text[:100_001] + noise[50_000:]).add("replaced", data=text[:70_000])
    upper = Tar().add("replaced", data=noise).add(".wh.noise")
    upper.add("few", data=text[:5_000], pax={_xattr("user.color"): "blue", _xattr("user.e"): ""})
    return [lower.finished(), upper.add("folder/text", data=text, mode=0o4755, uid=7).finished()]


IMAGES: dict[str, Callable[[], list[bytes]]] = {
    "files": _files,
    "whiteouts": _whiteouts,
    "lowest": _lowest,
    "root-opaque": _root_opaque,
    "links": _links,
    "escapes": _escapes,
    "attributes": _attributes,
    "devices": _devices,
    "names": _names,
    "twice": _twice,
    "parents": _parents,
    "sparse": _sparse,
    "large": _large,
    "global-header": _global_header,
    "aufs": _aufs,
}

REFUSED: dict[str, tuple[Callable[[], list[bytes]], str]] = {
    "link-to-layer-below": (
        lambda: [Tar().add("a").finished(), Tar().add("b", b"1", link="a").finished()],
        "entry 'b': a hard link to 'a', which this layer does not hold",
    ),
    "link-to-directory": (
        lambda: [Tar().directory("d").add("b", b"1", link="d").finished()],
        "entry 'b': a hard link to 'd', which is a directory",
    ),
    "link-to-itself": (
        lambda: [Tar().add("a").add("a", b"1", link="a").finished()],
        "entry 'a': a hard link to 'a', which this layer does not hold",
    ),
    "under-a-file": (
        lambda: [Tar().add("a").add("a/b").finished()],
        "entry 'a/b': 'a' is not a directory",
    ),
    "far-under-a-file": (
        lambda: [Tar().add("a").add("a/b/c").finished()],
        "entry 'a/b/c': 'a' is not a directory",
    ),
    "name-of-256": (
        lambda: [Tar().add("n" * 256).finished()],
        f"entry '{'n' * 256}': a name of 256 bytes, where file systems take 255",
    ),
    "path-of-4500": (
        lambda: [Tar().add("/".join(["p" * 90] * 50)).finished()],
        f"entry '{'/'.join(['p' * 90] * 50)}': a path of 4549 bytes, where Linux takes 4095",
    ),
    "link-to-4096": (
        lambda: [Tar().add("a", b"2", link="t" * 4096).finished()],
        "entry 'a': a symbolic link to a path of 4096 bytes; Linux ends at 4095",
    ),
    "whiteout-of-nothing": (
        lambda: [Tar().add("d/.wh.").finished()],
        "entry 'd/.wh.': a whiteout that names nothing",
    ),
    "whiteout-of-the-parent": (
        lambda: [Tar().add("d/.wh...").finished()],
        "entry 'd/.wh...': a whiteout that names nothing",
    ),
    "there-and-white": (
        lambda: [Tar().finished(), Tar().add("a").add(".wh.a").finished()],
        "entry '.wh.a': the layer holds 'a' as well",
    ),
    "white-twice": (
        lambda: [Tar().finished(), Tar().add(".wh.a").add(".wh.a").finished()],
        "entry '.wh.a': the layer holds 'a' as well",
    ),
    "loop-of-links": (
        lambda: [Tar().add("l", b"2", link="l").add("l/x").finished()],
        "entry 'l/x': too many symbolic links",
    ),
    "unknown-type": (
        lambda: [Tar().add("a", b"Z").finished()],
        "entry 'a': unknown type b'Z'",
    ),
    "empty-symlink": (
        lambda: [Tar().add("a", b"2").finished()],
        "entry 'a': a symbolic link without a target",
    ),
    "directory-that-became-a-link-to-nothing": (
        lambda: [Tar().directory("d").add("d", b"2", link="gone").finished()],
        "entry 'd': the directory is not there any more at the end of the layer",
    ),
    "directory-that-is-removed-again": (
        lambda: [Tar().directory("d").add(".wh.d").finished()],
        "entry 'd': the directory is not there any more at the end of the layer",
    ),
    "cut-short": (
        lambda: [Tar().add("a", data=b"x" * 2000).finished()[:1500]],
        "the archive ends within 'a'",
    ),
    "damaged-header": (
        lambda: [Tar().add("a").raw(b"\x01" * 512).finished()],
        "the header at byte 512 has a wrong checksum: this is no tar archive, or it is damaged",
    ),
    "damaged-extended-header": (
        lambda: [Tar().raw(header(b"x", b"x", size=8) + padded(b"99 a=b\n\n")).add("a").finished()],
        "the extended header at byte 0 is damaged",
    ),
    "one-zero-block": (
        lambda: [Tar().add("a").raw(bytes(512)).add("b").finished()],
        "one zero block at byte 512, where two end an archive",
    ),
    "no-archive": (
        lambda: [b"this is no archive".ljust(2048, b"!")],
        "the header at byte 0 has a wrong checksum: this is no tar archive, or it is damaged",
    ),
}
