"""The test's end of `shell_session.py`: one p4runtime-shell in a process and an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.peers.handwritten import Entry, Group, Member, Wish

SCRIPT = Path(__file__).with_name("shell_session.py")


class ShellError(Exception):
    """What p4runtime-shell raised; `kind` is its exception, or a gRPC code."""

    def __init__(self, kind: str, text: str, said: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.said = kind, text, said


@dataclass(slots=True)
class Shell:
    """Every method raises ShellError. `said` is what the shell printed in the last one."""

    process: subprocess.Popen[str]
    address: str
    said: str = ""
    is_connected: bool = False

    def connect(
        self,
        election_id: int,
        *,
        config: tuple[Path, Path] | None = None,
        device_id: int = 1,
        tls: tuple[Path, Path, Path] | None = None,
    ) -> str:
        """Arbitrate, load `config` (P4Info as text, bundle) if given, fetch the P4Info; the server's version.

        `tls`: authority, certificate, key.
        """
        files = None if config is None else [str(path) for path in config]
        version = self.do(
            "connect",
            address=self.address,
            device_id=device_id,
            election_id=[0, election_id],
            config=files,
            tls=None if tls is None else [str(path) for path in tls],
        )
        self.is_connected = True
        return version

    def disconnect(self) -> None:
        self.is_connected = False
        self.do("disconnect")

    def insert(self, wish: Wish) -> None:
        self.do("insert", wish=asdict(wish))

    def modify(self, wish: Wish) -> None:
        self.do("modify", wish=asdict(wish))

    def delete(self, wish: Wish) -> None:
        self.do("delete", wish=asdict(wish))

    def read_table(self, table: str, match: Mapping[str, str] | None = None) -> list[Any]:
        return self.do("read", wish=asdict(Entry(table=table, match=match or {})))

    def read_members(self, profile: str, member_id: int = 0) -> list[Any]:
        return self.do("read", wish={"profile": profile, "id": member_id, "call": None})

    def read_groups(self, profile: str, group_id: int = 0) -> list[Any]:
        return self.do("read", wish=asdict(Group(profile=profile, id=group_id, members=())))

    def read_back(self, wish: Wish) -> list[Any]:
        """What the device has under the key of a wish."""
        match wish:
            case Entry(table=table, match=match):
                return self.read_table(table, match)
            case Member(profile=profile, id=number):
                return self.read_members(profile, number)
            case Group(profile=profile, id=number):
                return self.read_groups(profile, number)

    def do(self, command: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"p4runtime-shell ended in {command}"
        answer = json.loads(line)
        self.said = answer["said"]
        if "error" in answer:
            raise ShellError(answer["error"], answer["text"], answer["said"])
        return answer["answer"]


@contextmanager
def opened(python: Path, address: str, folder: Path) -> Generator[Shell]:
    """A shell that is not connected yet. Its stderr is left in `folder`."""
    log = folder / "shell.stderr"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [str(python), "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
        )
    with process:
        try:
            yield Shell(process, address)
        finally:
            process.kill()  # a shell whose stream is open waits for it for ever
