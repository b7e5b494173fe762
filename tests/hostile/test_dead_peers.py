"""A primary that has died without a word is noticed, so that a backup can become primary."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.client import connecting
from tests.conformance.conftest import running

pytestmark = pytest.mark.slow
LIMITS = ("--limit", "keepalive-s=1", "--limit", "keepalive-timeout-s=1")
OK, TAKEN, NONE = 0, 6, 5


@contextmanager
def controller(address: str, election_id: int) -> Generator[subprocess.Popen[str]]:
    """The primary, in a process of its own."""
    command = [sys.executable, "-m", "tests.hostile.frozen", address, str(election_id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "primary\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("listen", ["tcp", "unix"])
def test_one_that_is_stopped_answers_no_ping(tmp_path: Path, listen: str) -> None:
    """Its kernel goes on to acknowledge TCP, and no FIN comes: only the device's pings tell."""
    where = ["127.0.0.1:0", "--insecure"] if listen == "tcp" else [f"unix:{tmp_path}/d.sock"]
    arguments = ["--name", "d", "--target", "model", "--listen", *where, *LIMITS]
    with running(arguments, tmp_path) as address, connecting(address) as connect, controller(address, 5) as process:
        backup = connect().session()
        backup.arbitrate(4)
        assert backup.told() == (TAKEN, 5)
        process.send_signal(signal.SIGSTOP)
        assert backup.told() == (NONE, 5)
        backup.arbitrate(6)
        assert backup.told() == (OK, 6)


def test_one_that_is_killed_is_noticed_at_once(tmp_path: Path) -> None:
    arguments = ["--name", "d", "--target", "model", "--listen", f"unix:{tmp_path}/d.sock"]
    with running(arguments, tmp_path) as address, connecting(address) as connect, controller(address, 5) as process:
        backup = connect().session()
        backup.arbitrate(4)
        assert backup.told() == (TAKEN, 5)
        process.kill()
        assert backup.told() == (NONE, 5)
