"""Loop devices by the kernel's own calls: what they are, and that none is left over."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agents.storage.io.loops import loop_device, mount_device
from agents.storage.wire.errors import ImageError
from tests.images.agent import loops_below, wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]
_KIB: Final = 16
_HOLDING: Final = """
import sys, time
from pathlib import Path
from typing import Final
from agents.storage.io.loops import loop_device
with loop_device(Path(sys.argv[1]), 16):
    print("there", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    path.write_bytes(bytes(1 << 20))
    return path


def test_a_device_is_as_it_was_asked_for_and_ends_with_the_block(file: Path) -> None:
    with loop_device(file, _KIB) as device:
        about = Path("/sys/block") / device.name
        found = [(about / name).read_text().strip() for name in ("loop/backing_file", "ro", "queue/read_ahead_kb")]
        assert found == [str(file), "1", str(_KIB)]
        assert (about / "loop" / "autoclear").read_text().strip() == "1"
    wait_until(lambda: loops_below(file.parent) == [], "the loop device is left")


def test_a_process_that_is_killed_leaves_none(file: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDING, str(file)], stdout=subprocess.PIPE) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"there\n"
        assert loops_below(file.parent) == [str(file)]
        holding.send_signal(signal.SIGKILL)
    wait_until(lambda: loops_below(file.parent) == [], "the loop device is left")


def test_what_is_no_file_system_is_refused_and_nothing_stays(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with (
        pytest.raises(ImageError, match=r"mount of /dev/loop\d+ at .*: Invalid argument"),
        loop_device(file, _KIB) as one,
    ):
        mount_device(one, target)
    assert not target.is_mount()
    wait_until(lambda: loops_below(file.parent) == [], "the loop device is left")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no loop device: No such file"), loop_device(tmp_path / "none", _KIB):
        pass
