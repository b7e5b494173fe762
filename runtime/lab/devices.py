"""How the devices of a lab are started: `turnout device run` of the same installation."""

from __future__ import annotations

from pathlib import Path

from runtime.lab.building import DeviceCommand
from runtime.lab.topology import LabDevice


def device_command(turnout: str) -> DeviceCommand:
    """How the lab runs a device: `turnout device run`, with nothing left on the ports when it ends.

    The model target has no ports: such a device takes pipelines and entries, and carries no packet.
    """

    def command(device: LabDevice, folder: Path) -> list[str]:
        always = [turnout, "device", "run", "--name", device.name, "--listen", device.listen]
        always += ["--device-id", str(device.device_id), "--target", device.target]
        if device.socket is None:
            always.append("--insecure")
        if device.target != "kernel":
            return always
        ports = [word for port in device.ports for word in ("--port", f"{port.id}={port.interface}")]
        return [*always, "--state-dir", str(folder), "--ephemeral", *ports]

    return command
