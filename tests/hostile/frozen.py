"""A controller in a process of its own that can be stopped: `python -m tests.hostile.frozen ADDRESS ELECTION_ID`."""

from __future__ import annotations

import sys
import time

from tests.conformance.client import Client


def main() -> None:
    client = Client(sys.argv[1])
    client.become_primary(int(sys.argv[2]))
    print("primary", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
