"""How the proxies of a lab are started: `turnout proxy run` of the same installation."""

from __future__ import annotations

from pathlib import Path

from runtime.lab.topology import LabWorkload


def proxy_command(turnout: str, workload: LabWorkload, folder: Path) -> list[str]:
    """The command that runs Envoy for a workload of type Proxy; it prints "ready" when Envoy listens.

    The access log is NAMESPACE.NAME.access.log in the lab's folder.
    """
    http_ports = workload.proxy.http_ports if workload.proxy is not None else ()
    return [
        *(turnout, "proxy", "run", "--name", workload.key.replace("/", "."), "--folder", str(folder)),
        *("--interface", workload.interface),
        *(word for address in workload.addresses for word in ("--address", str(address.ip))),
        *(word for gateway in workload.gateways for word in ("--gateway", str(gateway))),
        *(word for port in http_ports for word in ("--http-port", str(port))),
    ]
