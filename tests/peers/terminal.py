"""A program on a terminal of its own: what is typed, and what is shown, without colours and cursor movements."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROWS, COLUMNS = 50, 160
CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-Z\\-_=>78]|\r")
"""Escape sequences (ECMA-48) and carriage returns."""
WAIT_S = 30


@dataclass(slots=True)
class Terminal:
    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""
    """What no wait has passed yet."""
    transcript: str = ""

    def type(self, line: str) -> None:
        os.write(self.descriptor, line.encode() + b"\r")

    def wait_for(self, text: str) -> str:
        """What has been shown up to and including `text` since the last wait."""
        end = time.monotonic() + WAIT_S
        while text not in self.shown:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} was not shown, but:\n{self.shown}"
            if select.select([self.descriptor], [], [], left)[0]:
                self.shown = CONTROL.sub("", self.shown + self._read())
        found, _, self.shown = self.shown.partition(text)
        return found + text

    def wait_for_end(self) -> int:
        """The exit code; reads on meanwhile, as a program may wait for its terminal."""
        end = time.monotonic() + WAIT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end after:\n{self.shown}"
            if select.select([self.descriptor], [], [], 0.1)[0]:
                self.shown += self._read()
        return self.process.returncode

    def _read(self) -> str:
        try:
            text = os.read(self.descriptor, 65_536).decode(errors="replace")
        except OSError:  # EIO: the program has closed the terminal
            return ""
        self.transcript += text
        return text


@contextmanager
def on_terminal(command: list[str], folder: Path, environment: Mapping[str, str]) -> Generator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
