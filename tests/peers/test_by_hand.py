"""docs/by-hand.md does what it says: its lines are typed, its script is run, on a device of the model target."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.conftest import Files
from tests.peers.processes import ROOT
from tests.peers.terminal import Terminal, on_terminal

pytestmark = [pytest.mark.peer, pytest.mark.slow]
PAGE = (ROOT / "docs" / "by-hand.md").read_text()
PROMPT = "P4Runtime sh >>> "
REFUSED = "P4RuntimeWriteException"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def sessions() -> list[list[tuple[str, str]]]:
    """The shell sessions of the page, each to its `exit`: what is typed, and what is shown."""
    steps = [
        step.partition("\n") for block in blocks("console") for step in re.split(f"^{PROMPT}", block, flags=re.M)[1:]
    ]
    found: list[list[tuple[str, str]]] = [[]]
    for typed, _, shown in steps:
        found[-1].append((typed, shown))
        if typed == "exit":
            found.append([])
    assert found.pop() == []
    return found


def play(terminal: Terminal, steps: list[tuple[str, str]]) -> None:
    for typed, shown in steps[:-1]:
        terminal.wait_for(PROMPT.strip())
        terminal.type(typed)
        if typed.startswith("def "):
            terminal.type("")
        if "connections" not in typed and "packets" not in typed:  # nothing has passed this device
            for line in filter(lambda line: line != "...", shown.splitlines()):
                terminal.wait_for(line.strip())
    terminal.wait_for(PROMPT.strip())
    terminal.type(steps[-1][0])
    assert terminal.wait_for_end() == 0
    refused = sum(REFUSED in shown for _, shown in steps)
    assert terminal.transcript.count("Traceback") == refused, terminal.transcript


def test_the_page(
    model_address: str, files: Files, python_of_shell: Path, shell_home: dict[str, str], tmp_path: Path
) -> None:
    first, second = sessions()
    command = [str(python_of_shell), "-m", "p4runtime_sh", "--grpc-addr", model_address, "--election-id", "0,1"]
    with on_terminal([*command, "--config", ",".join(map(str, files))], tmp_path, shell_home) as terminal:
        play(terminal, first)
    with on_terminal(command, tmp_path, shell_home) as terminal:
        play(terminal, second)

    (script,), (shown,) = blocks("python"), blocks("text")
    program = tmp_path / "by_hand.py"
    program.write_text(script.replace("unix:/run/turnout/dpu-a.sock", model_address))
    run = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=30)
    assert run.stdout == shown.replace("4 connections", "0 connections")
    assert "Traceback" not in run.stderr
