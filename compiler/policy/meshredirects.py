"""MeshRedirects: the workloads that each concerns, and whether a proxy is there for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.located import Located
from compiler.policy.meshkinds import MeshRedirect, RedirectDirection, RedirectRule
from compiler.policy.policyset import ConnectionLimit, Device, Network, Redirect, Redirection, Workload, WorkloadType
from compiler.policy.policyset import RedirectRule as Resolved
from compiler.policy.references import Directory, check_annotations
from compiler.policy.scalar import shortened

ANY_PORT: Final = (0, 65535)


def resolve_redirects(
    objects: Mapping[str, Located[MeshRedirect]],
    networks: Directory[Network],
    workloads: Iterable[Workload],
    report: Report,
) -> tuple[Redirect, ...]:
    """Those whose network is known, by "namespace/name"."""
    all_workloads = tuple(workloads)
    resolved = (_resolved(objects[name], networks, all_workloads, report) for name in sorted(objects))
    return tuple(redirect for redirect in resolved if redirect is not None)


def _resolved(
    located: Located[MeshRedirect], networks: Directory[Network], workloads: tuple[Workload, ...], report: Report
) -> Redirect | None:
    spec, metadata = located.model.spec, located.model.metadata
    check_annotations(located, metadata.annotations, (), report)
    if spec.outbound is None and spec.inbound is None:
        message = f"MeshRedirect '{metadata.namespace}/{metadata.name}' has neither 'outbound' nor 'inbound'"
        report.add(codes.MISSING_FIELD, located.key("spec"), message, expected="one of them, or both")
    network = networks.find(spec.network, located.at("spec", "network"), report)
    if network is None:
        return None
    return Redirect(
        name=metadata.name,
        namespace=metadata.namespace,
        network=network,
        workloads=_selected(located, network, workloads, report),
        is_closed=spec.failure == "closed",
        outbound=_direction(located, "outbound", spec.outbound),
        inbound=_direction(located, "inbound", spec.inbound),
        limit=_limit(located, report),
        http_ports=tuple(sorted(set(spec.http_ports))),
        labels=tuple(sorted(metadata.labels.items())),
        span=located.span,
    )


def _limit(located: Located[MeshRedirect], report: Report) -> ConnectionLimit | None:
    spec = located.model.spec
    if spec.limit is None:
        return None
    ways = (spec.outbound, spec.inbound)
    if not any(way is not None and way.include for way in ways):
        message = f"MeshRedirect '{located.model.metadata.namespace}/{located.model.metadata.name}' includes nothing"
        hint = "a limit is one of what goes to the proxy"
        report.add(codes.LIMIT_OF_NOTHING, located.key("spec", "limit"), f"{message}, so its limit is none", hint=hint)
    rate = spec.limit.connections_per_second
    return ConnectionLimit(connections_per_s=rate, burst=spec.limit.burst or rate, span=located.key("spec", "limit"))


def _selected(
    located: Located[MeshRedirect], network: Network, workloads: tuple[Workload, ...], report: Report
) -> tuple[Workload, ...]:
    """Proxies are never among them: their own connections are not redirected."""
    spec = located.model.spec
    namespaces = spec.namespaces or (located.model.metadata.namespace,)
    wanted = set(spec.selector.items())
    selected = tuple(
        workload
        for workload in workloads
        if workload.network.name == network.name
        and workload.namespace in namespaces
        and workload.type is not WorkloadType.PROXY
        and wanted <= set(workload.labels)
    )
    if not selected:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted))
        having = f" has {shortened(labels)}" if labels else ""
        message = f"no workload of network '{network.name}' in namespace {_either(namespaces)}{having}"
        report.add(codes.EMPTY_SELECTOR_MATCH, located.key("spec"), message)
    return selected


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def _direction(located: Located[MeshRedirect], name: str, written: RedirectDirection | None) -> Redirection | None:
    if written is None:
        return None

    def rules(field: str, given: tuple[RedirectRule, ...]) -> tuple[Resolved, ...]:
        is_default = field not in written.model_fields_set
        path = ("spec", name) if is_default else ("spec", name, field)
        return tuple(
            Resolved(
                cidrs=rule.cidrs,
                ports=rule.ports or (ANY_PORT,),
                span=located.key(*path) if is_default else located.at(*path, index),
            )
            for index, rule in enumerate(given)
        )

    return Redirection(
        include=rules("include", written.include),
        exclude=rules("exclude", written.exclude),
        deny=rules("deny", written.deny),
    )


def check_proxies(redirects: Iterable[Redirect], devices: Iterable[Device], report: Report) -> None:
    """Warn of devices where a policy concerns workloads, and no proxy of their network is."""
    for redirect in redirects:
        concerned = {workload.key for workload in redirect.workloads}
        for device in devices:
            here = [port.workload for port in device.ports if port.workload is not None]
            if not any(w.key in concerned for w in here) or proxies_of(device, redirect.network):
                continue
            fate = "end" if redirect.is_closed else "go on without one"
            report.add(
                codes.NO_PROXY,
                redirect.span,
                f"device '{device.name}' has no proxy of network '{redirect.network.name}': what is redirected "
                f"there will {fate}",
                hint="add a Workload of type Proxy on the device's node, and a port to it",
            )


def proxies_of(device: Device, network: Network) -> tuple[Workload, ...]:
    """The proxies of a network that are behind ports of a device."""
    here = (port.workload for port in device.ports if port.workload is not None)
    return tuple(w for w in here if w.type is WorkloadType.PROXY and w.network.name == network.name)
