"""What containerd must mount to see a snapshot: the same that its own overlay snapshotter would say."""

from __future__ import annotations

from collections.abc import Sequence

from agents.storage.wire.snapshots import Kind, Mount


def mounts_of(kind: Kind, upper: str, work: str, lowers: Sequence[str], options: Sequence[str]) -> tuple[Mount, ...]:
    """`lowers` are the parents' folders, the nearest first; `options` what this kernel's overlayfs needs besides."""
    if not lowers:
        return (_bind(upper, "ro" if kind is Kind.VIEW else "rw"),)
    if kind is Kind.VIEW and len(lowers) == 1:
        return (_bind(lowers[0], "ro"),)
    writable = (f"workdir={work}", f"upperdir={upper}") if kind is Kind.ACTIVE else ()
    return (Mount(type="overlay", source="overlay", options=(*options, *writable, f"lowerdir={':'.join(lowers)}")),)


def disk_mounts(kind: Kind, disk: str) -> tuple[Mount, ...]:
    """`disk` is a file; mount sets up the loop device, which goes with the mount."""
    return (Mount(type="ext4", source=disk, options=("loop", "ro" if kind is Kind.VIEW else "rw")),)


def _bind(source: str, access: str) -> Mount:
    return Mount(type="bind", source=source, options=(access, "rbind"))
