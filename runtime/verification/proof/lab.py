"""The lab for tests of policies: `turnout lab up`, `turnout apply`, commands in it, and `turnout lab down`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runtime.applied import FOLDER
from runtime.lab.installation import turnout_program
from runtime.lab.state import folder_of

TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that is up, with its policies applied."""

    name: str
    policies: tuple[Path, ...]

    @classmethod
    @contextmanager
    def up(cls, policies: Sequence[Path], name: str) -> Generator[Self]:
        """For the block. Raises AssertionError with what the command has said."""
        lab = cls(name=name, policies=tuple(policies))
        try:
            lab.turnout("lab", "up", "--name", name, *map(str, policies))
            lab.apply()
            yield lab
        finally:
            lab.turnout("lab", "down", "--name", name)

    def apply(self, *policies: Path) -> None:
        """These policies from now on, or those that the lab was made for."""
        self.turnout("apply", *map(str, policies or self.policies))

    def exec(self, member: str, *command: str, timeout_s: int = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run a command in a workload, node or device; its exit code is in the result."""
        return _run("lab", "exec", "--name", self.name, member, "--", *command, timeout_s=timeout_s)

    def turnout(self, *words: str) -> str:
        """Run a `turnout` command; its output. Raises AssertionError when it fails.

        Records of what is applied here are the lab's own, and leave with it.
        """
        done = _run(*words, timeout_s=TIMEOUT_S, applied=folder_of(self.name) / "applied")
        assert done.returncode == 0, f"turnout {' '.join(words)} failed:\n{done.stderr}"
        return done.stdout


def _run(*words: str, timeout_s: int, applied: Path | None = None) -> subprocess.CompletedProcess[str]:
    own = {} if applied is None else {FOLDER: str(applied)}
    command = [turnout_program(), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **own})
