"""What a command sees to before its libraries are imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SAID = """
import os
from cli.main import app

app(["device", "--help"], standalone_mode=False)
print(os.environ["GRPC_EXPERIMENTS"])
"""


@pytest.mark.parametrize("given", ["", "tcp_frame_size_tuning"])
def test_a_device_reads_messages_in_the_thread_that_waits_for_them_unless_told_otherwise(given: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_EXPERIMENTS"}
    if given:
        environment["GRPC_EXPERIMENTS"] = given
    done = subprocess.run([sys.executable, "-c", _SAID], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == (given or "-event_engine_listener")
    assert "Unknown experiment" not in done.stderr
