"""Services whose backends answer clients outside by themselves: `serverReturn` of a DpuService, and the annotation of a
Kubernetes Service (docs/services.md).

Such a backend has the external addresses itself, so its packets are not translated; it gets them by its own MAC
address, and its device sends its answers to the underlay's router.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from compiler.diagnostic import Report, did_you_mean
from compiler.policy import codes
from compiler.policy.kinds import ALGORITHM_ANNOTATION, SERVER_RETURN_ANNOTATION
from compiler.policy.located import Located
from compiler.policy.policyset import Algorithm, Backend, Device, Protocol, Redirect, ServerReturn, Service
from compiler.policy.scalar import shortened
from compiler.span import Span

WORDS: Final = tuple(ServerReturn)
_ANNOTATION: Final = ("metadata", "annotations", SERVER_RETURN_ANNOTATION)


def annotated_return(located: Located[Any], report: Report) -> ServerReturn:
    """What the annotation of a Kubernetes Service says."""
    word = located.model.metadata.annotations.get(SERVER_RETURN_ANNOTATION, ServerReturn.ENTRANCE)
    if word in WORDS:
        return ServerReturn(word)
    message = f"{'.'.join(_ANNOTATION)}: '{shortened(word)}' is not known"
    hint = did_you_mean(word, WORDS)
    report.add(codes.INVALID_VALUE, located.at(*_ANNOTATION), message, expected=" or ".join(WORDS), hint=hint)
    return ServerReturn.ENTRANCE


def check_written_return(service: Service, located: Located[Any], report: Report) -> None:
    """Whether a DpuService asks for nothing that goes against serverReturn Direct."""
    if service.server_return is ServerReturn.DIRECT:
        written = located.key("spec", "serverReturn")
        if not service.externals:
            _refuse_without_addresses(service, written, report)
        without = {port.port for port in service.ports if not port.backends}
        for index, port in enumerate(located.model.spec.ports):
            if port.target_port not in (None, port.port) and port.port in without:
                span = located.at("spec", "ports", index, "targetPort")
                _refuse_target(service, port.port, port.target_port, span, report)
        _check(service, located, located.key("spec", "algorithm"), report)


def check_annotated_return(service: Service, located: Located[Any], report: Report) -> None:
    """The same of a Kubernetes Service, whose load balancer's controller may have given it no address yet."""
    if service.server_return is ServerReturn.DIRECT:
        if located.model.spec.type != "LoadBalancer" and not service.externals:
            _refuse_without_addresses(service, located.key(*_ANNOTATION), report)
        _check(service, located, located.key("metadata", "annotations", ALGORITHM_ANNOTATION), report)


def _refuse_without_addresses(service: Service, span: Span, report: Report) -> None:
    message = f"server return Direct of service '{service.key}' without external addresses does nothing"
    report.add(codes.CONFLICTING_FIELDS, span, message, hint="what clients inside call is answered as ever")


def _refuse_target(service: Service, port: int, target: int, span: Span, report: Report) -> None:
    message = f"backends of service '{service.key}' answer from the port that is called: {port}, and not {target}"
    report.add(codes.CONFLICTING_FIELDS, span, message, expected="a target port that is the port")


def _check(service: Service, located: Located[Any], algorithm: Span, report: Report) -> None:
    """Ports stay, as addresses do: nobody translates the answers back. And no device sees both sides."""
    for port in service.ports:
        backends = (*port.backends, *(port.outside or ()))
        for number in sorted({backend.port for backend in backends} - {port.port}):
            _refuse_target(service, port.port, number, port.span, report)
    if service.algorithm is Algorithm.LEAST_CONNECTIONS:
        message = "server return Direct and algorithm LeastConnections contradict each other"
        hint = "no device sees when such a connection is over"
        report.add(codes.CONFLICTING_FIELDS, algorithm, message, hint=hint)
    if service.affinity_s:
        message = "server return Direct and sessionAffinity ClientIP contradict each other"
        hint = "algorithm SourceHash keeps clients at their backends"
        report.add(codes.CONFLICTING_FIELDS, located.key("spec", "sessionAffinity"), message, hint=hint)


def device_of_workloads(devices: Iterable[Device]) -> Mapping[str, Device]:
    """The device that each workload is behind, by the workload's key."""
    return {port.workload.key: device for device in devices for port in device.ports if port.workload is not None}


def met_by_proxies(redirects: Iterable[Redirect]) -> frozenset[str]:
    """Keys of the workloads that a MeshRedirect brings connections to by way of a proxy."""
    return frozenset(w.key for redirect in redirects if redirect.inbound is not None for w in redirect.workloads)


def why_not(
    backend: Backend, protocol: Protocol, homes: Mapping[str, Device], at_proxies: frozenset[str]
) -> str | None:
    """Why a backend cannot answer clients outside by itself; None where it can."""
    workload = backend.workload
    if workload is None:
        return "no Workload has its address"
    if workload.key not in homes:
        return "it is behind no port of a device"
    if not homes[workload.key].lets_in:
        return f"device '{homes[workload.key].name}' has no uplink, or no underlay with 'gatewayMac'"
    if protocol is Protocol.TCP and workload.key in at_proxies:
        return "a MeshRedirect brings its connections to a proxy"
    return None


def check_direct_backends(
    services: Iterable[Service], devices: Iterable[Device], redirects: Sequence[Redirect], report: Report
) -> None:
    """Warn of backends that get nothing from clients outside, since they could not answer."""
    homes, at_proxies = device_of_workloads(devices), met_by_proxies(redirects)
    for service in (one for one in services if one.server_return is ServerReturn.DIRECT and one.externals):
        told: set[Span] = set()
        for port in service.ports:
            for backend in (*port.backends, *(port.outside or ())):
                reason = why_not(backend, port.protocol, homes, at_proxies)
                if reason is not None and backend.span not in told:
                    told.add(backend.span)
                    message = f"backend {backend.address} of service '{service.key}' cannot answer by itself: {reason}"
                    hint = "it gets no connections of clients outside"
                    report.add(codes.NO_WAY_OUT, backend.span, message, hint=hint)
