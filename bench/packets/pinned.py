"""Pins XDP programs of some cases, and writes their frames beside them, so that another harness can measure them.

Any harness will do that takes a pinned XDP program and a pcap of equally long frames, and gives the program a packet
that has come in on the loopback, as a test run without a context does:

    sudo .venv/bin/python -m bench.packets.pinned            # pins, and says what to measure
    sudo .venv/bin/python -m bench.packets.pinned --remove   # takes them away, with the tables behind them
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterator
from pathlib import Path

from bench.packets.cases import DIRECT, ELSEWHERE, KNOWN, LOCAL, UNDERLAY, VERSIONS, Case
from bench.packets.entries import entries
from bench.packets.loading import LoadedPipeline
from bench.packets.wrapper import Frames
from bench.report.results import FOLDER
from runtime.bpf.bpffs import mount_bpffs, unmount_bpffs
from runtime.bpf.chains import Hook

PINS = FOLDER / "pins"
_ETHERNET = 1
"""LINKTYPE_ETHERNET."""
_SIZES = (1, 4096, 65_536)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--remove", action="store_true", help="take the pins away")
    if unmount_bpffs(PINS):
        print(f"removed what was pinned in {PINS}")
    if parser.parse_args().remove:
        return
    mount_bpffs(PINS)
    for case in _cases():
        frames = FOLDER / f"{_name(case)}.pcap"
        frames.write_bytes(b"".join(_pcap(case.kind.frames(case.version, case.flows, case.services))))
        for pin in _pins(case):
            print(f"--pin {pin} --pcap {frames}")


def _cases() -> Iterator[Case]:
    """Those whose flows are learned from the frames themselves."""
    for version in VERSIONS:
        for flows in _SIZES:
            yield Case(kind=KNOWN, hook=Hook.XDP, version=version, flows=flows, services=1)
        for kind in (LOCAL, UNDERLAY, ELSEWHERE, DIRECT):
            yield Case(kind=kind, hook=Hook.XDP, version=version, flows=4096, services=1)


def _pins(case: Case) -> Iterator[Path]:
    """With the fast path, and without."""
    with LoadedPipeline(case.hook, case.slots, case.version, entries(case.services)) as subject:
        subject.come_in_on(case.kind.port)
        for is_fast in (True, False):
            path = PINS / (_name(case) if is_fast else f"{_name(case)}_whole")
            subject.pin(path, is_fast=is_fast)
            yield path


def _pcap(frames: Frames) -> Iterator[bytes]:
    """The classic format, in this machine's byte order; all at time 0."""
    length = frames.shape[1]
    yield struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 16, _ETHERNET)
    for frame in frames:
        yield struct.pack("=IIII", 0, 0, length, length) + frame.tobytes()


def _name(case: Case) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in case.kind.name).split()
    return "_".join((*words, f"v{case.version}", str(case.flows)))


if __name__ == "__main__":
    main()
