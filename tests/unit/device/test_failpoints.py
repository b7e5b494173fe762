"""Places where a device can be made to die: who does not ask for it gets nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.device.failpoints import VARIABLE

LIVE = "from runtime.device.failpoints import Point, reached; reached(Point.INTENT); print('goes on')"


@pytest.mark.parametrize(
    ("variable", "content", "code"),
    [(None, "write.intent", 0), ("file", None, 0), ("file", "write.applied", 0), ("file", "write.intent\n", -9)],
)
def test_only_at_the_place_that_is_named(tmp_path: Path, variable: str | None, content: str | None, code: int) -> None:
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    if variable is not None:
        environment[VARIABLE] = str(tmp_path / variable)
    if content is not None:
        (tmp_path / "file").write_text(content)
    done = subprocess.run([sys.executable, "-c", LIVE], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "" if code else "goes on\n"), done.stderr
