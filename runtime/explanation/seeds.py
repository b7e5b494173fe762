"""What devices of this machine hash with, which decides the backend that a new connection gets.

P4Runtime does not tell it, and should not: who knows it can fill the table of connections. Who may read the device's
folder may know.
"""

from __future__ import annotations

from pathlib import Path

from runtime.device.statefolder import kept_seed
from runtime.lab.errors import LabError
from runtime.lab.state import RUN, all_states, folder_of

_UNIX = "unix:"


def seed_of(device: str, address: str, run: Path = RUN) -> int | None:
    """None when nothing here says it: of a device elsewhere, or with a folder that is not where it is looked for.

    Looked for are the folder beside the socket, `/run/turnout/dpu1` of `/run/turnout/dpu1.sock`, and those of labs.
    """
    if not address.startswith(_UNIX):
        return None
    socket = Path(address.removeprefix(_UNIX))
    found = kept_seed(socket.with_suffix(""))
    if found is not None:
        return found
    try:
        labs = [state.lab for state in all_states(run) if address in state.listens]
    except (LabError, OSError):
        return None
    return next((seed for lab in labs if (seed := kept_seed(folder_of(lab, run) / device)) is not None), None)
