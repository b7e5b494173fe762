"""`turnout shell` as a person uses it: on a terminal, by names, with the device's own words for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.lab.installation import turnout_program
from tests.peers.conftest import Files, OpenShell
from tests.peers.handwritten import workloads
from tests.peers.terminal import on_terminal

pytestmark = [pytest.mark.peer, pytest.mark.slow]
PROMPT = "P4Runtime sh >>>"


def test_a_session(
    model_address: str, files: Files, open_shell: OpenShell, shell_home: dict[str, str], tmp_path: Path
) -> None:
    with open_shell(model_address) as loading:
        loading.connect(1, config=files)
        for wish in workloads():
            loading.insert(wish)
        loading.disconnect()
    command = [turnout_program(), "shell", "--device", model_address]
    with on_terminal(command, tmp_path, shell_home) as terminal:
        terminal.wait_for(PROMPT)

        terminal.type("tables")
        listed = terminal.wait_for("tunnel\n").split()
        assert {"network", "route_ipv4", "route_ipv6", "service_ipv4", "service_ipv6", "tunnel"} <= set(listed)

        terminal.type('table_entry["network"].read(print)')
        shown = terminal.wait_for('("set_gateway")')
        assert 'field_id: 1 ("network")' in shown

        terminal.type('e = table_entry["network"](action="set_gateway"); e.match["network"] = "1"; e.insert()')
        terminal.wait_for("INVALID_ARGUMENT, 'table network: action set_gateway, parameter ipv4 is missing'")

        terminal.type("exit")
        assert terminal.wait_for_end() == 0
