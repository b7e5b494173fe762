"""What `sessionAffinity` and `sessionAffinityConfig` say, alike in a DpuService and in a Kubernetes Service."""

from __future__ import annotations

from typing import Annotated, Any, Final, Protocol

from pydantic import Field

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.located import Located
from compiler.policy.model import Model
from compiler.policy.policyset import Algorithm

CLIENT_IP: Final = "ClientIP"
DEFAULT_SECONDS: Final = 10_800
"""Kubernetes' default of three hours (ClientIPConfig of core/v1)."""
LONGEST_SECONDS: Final = 86_400

TimeoutSeconds = Annotated[int, Field(ge=1, le=LONGEST_SECONDS)]


class ClientIpConfig(Model):
    timeout_seconds: Annotated[
        TimeoutSeconds, Field(description="So long after its last new connection a client is remembered.")
    ] = DEFAULT_SECONDS


class SessionAffinityConfig(Model):
    client_ip: Annotated[ClientIpConfig | None, Field(alias="clientIP")] = None


class WithAffinity(Protocol):
    """A spec that has both fields."""

    @property
    def session_affinity(self) -> str: ...

    @property
    def session_affinity_config(self) -> SessionAffinityConfig | None: ...


def check_counted(algorithm: Algorithm, seconds: int, located: Located[Any], report: Report) -> None:
    """A client that is remembered goes past the choice, and the connection would count for nobody."""
    if seconds and algorithm is Algorithm.LEAST_CONNECTIONS:
        message = "sessionAffinity ClientIP and algorithm LeastConnections contradict each other"
        hint = "connections of clients that are remembered are not counted; SourceHash keeps clients as well"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "sessionAffinity"), message, hint=hint)


def affinity_seconds(spec: WithAffinity, located: Located[Any], report: Report) -> int:
    """How long a client stays with its backend; 0: it need not. `spec` is that of the object."""
    config = spec.session_affinity_config
    if spec.session_affinity == CLIENT_IP:
        return config.client_ip.timeout_seconds if config and config.client_ip else DEFAULT_SECONDS
    if config is not None and config.client_ip is not None:
        message = "sessionAffinityConfig without sessionAffinity ClientIP does nothing"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "sessionAffinityConfig"), message)
    return 0
