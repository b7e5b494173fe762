"""Captures are read by who else reads pcapng: Scapy, tcpdump."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapNgReader

from runtime.verification.pcapng import CapturedFrame, Interface, capture

INTERFACES = (Interface(name="dpu-a:16", description="shop/client"), Interface(name="dpu-a:17 tc"))
ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
ADDRESSES = IP(src="10.0.0.1", dst="10.0.0.2")
FRAMES = tuple(bytes(ETHERNET / ADDRESSES / UDP(sport=1, dport=2) / Raw(bytes(size))) for size in (18, 19, 33))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three frames whose lengths leave 0, 1 and 3 bytes over, the second one late."""
    frames = (
        CapturedFrame(interface=0, time_us=0, data=FRAMES[0], is_inbound=True, comment="first"),
        CapturedFrame(interface=1, time_us=7_200_000_001, data=FRAMES[1], is_inbound=False),
        CapturedFrame(interface=0, time_us=7_200_000_002, data=FRAMES[2], is_inbound=True, comment="größer"),
    )
    written = tmp_path / "story.pcapng"
    written.write_bytes(capture(INTERFACES, frames))
    return written


def test_scapy_reads_it(path: Path) -> None:
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [bytes(packet) for packet in packets] == list(FRAMES)
    assert [float(packet.time) for packet in packets] == [0.0, 7200.000001, 7200.000002]
    assert [packet.sniffed_on for packet in packets] == ["dpu-a:16", "dpu-a:17 tc", "dpu-a:16"]
    assert [packet.direction for packet in packets] == [1, 2, 1]


def test_tcpdump_reads_it(path: Path) -> None:
    tcpdump = shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/bin:/sbin")
    if tcpdump is None:
        pytest.skip("tcpdump is not there; ./setup installs it")
    read = subprocess.run([tcpdump, "-n", "-t", "-r", str(path)], capture_output=True, text=True, check=True)
    assert read.stdout.splitlines() == [f"IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length {size}" for size in (18, 19, 33)]


def test_bytes_are_those_of_the_format() -> None:
    frame = CapturedFrame(interface=0, time_us=(1 << 32) + 2, data=b"\x01\x02\x03", is_inbound=False, comment="why")
    assert capture((Interface(name="a"),), (frame,)).hex(" ", -4) == (
        "0a0d0d0a 2c000000 4d3c2b1a 01000000 ffffffff ffffffff 04000700 7475726e 6f757400 00000000 2c000000 "
        "01000000 20000000 01000000 00000000 02000100 61000000 00000000 20000000 "
        "06000000 38000000 00000000 01000000 02000000 03000000 03000000 01020300 "
        "01000300 77687900 02000400 02000000 00000000 38000000"
    )
