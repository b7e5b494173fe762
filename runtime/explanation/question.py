"""SRC and DST:PORT in the words of policies: who sends, from where, and to which address and port. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from compiler.diagnostic import did_you_mean
from compiler.policy.policyset import Address, PolicySet, Protocol, Service, Workload
from runtime.explanation.outsiders import nodes_called, outsider_at
from runtime.verification.speaking import Ends, Speaker, speakers, spoken

A_SOURCE_PORT = 49_152
"""The first of the dynamic ports (RFC 6335, section 6): for a packet whose source port nobody has said."""
_SHOWN = 8


class QuestionError(Exception):
    """The question names something that is not there, or several things; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What is asked. `source_port` None: a new connection, from any port."""

    source: str
    destination: str
    protocol: Protocol | None = None
    source_port: int | None = None
    flags: str = "S"
    wants_ipv6: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A packet of a speaker. `is_open`: its source port may be any, so nothing may be told that hangs on it."""

    speaker: Speaker
    ends: Ends
    flags: str
    is_open: bool

    @property
    def frame(self) -> bytes:
        return spoken(self.speaker, self.ends, self.flags, b"")


Views = Mapping[str, PolicySet]
"""The policies that were applied to each device."""


def question_of(packet: Packet, views: Views) -> Question:
    """Raises `QuestionError`."""
    speaker, source = _outsider(packet, views) or _source(packet, views)
    policies = views[speaker.device]
    host, port_text = _split(packet.destination)
    wanted = 6 if packet.wants_ipv6 else None
    version = source.version if source is not None else wanted
    destination, service = _destination(host, policies, speaker, version)
    if source is None:
        source = _own(speaker.workload, destination.version)
    if source.version != destination.version:
        raise QuestionError(f"{source} is no address to send from to {destination}: they are of different families")
    protocol, port = _port(port_text, service, packet.protocol)
    ends = Ends(
        protocol=protocol.number,
        src=source,
        src_port=A_SOURCE_PORT if packet.source_port is None else packet.source_port,
        dst=destination,
        dst_port=port,
    )
    return Question(speaker=speaker, ends=ends, flags=packet.flags, is_open=packet.source_port is None)


def _outsider(packet: Packet, views: Views) -> tuple[Speaker, Address] | None:
    """A client outside: from an address that no workload has, to one that services have for such clients, or a node."""
    source, host = _address(packet.source), _split(packet.destination)[0]
    if source is None or _is_of_workload(source, views):
        return None
    policies = next(iter(views.values()), PolicySet())
    named = [s for s in policies.services if s.externals and host in (s.key, s.name)]
    own = [a for s in named[:1] for a in s.externals if a.version == source.version]
    own += [a for d in policies.devices if host == d.node.name for a in d.host_addresses if a.version == source.version]
    target = _address(host) or next(iter(own), None)
    speaker = None if target is None else outsider_at(source, target, views)
    return None if speaker is None else (speaker, source)


def _source(packet: Packet, views: Views) -> tuple[Speaker, Address | None]:
    """Who sends, and from which address if that was said."""
    text = packet.source
    known = [s for device, policies in views.items() for s in speakers(policies) if s.device == device]
    address = _address(text)
    if address is not None:
        found = [speaker for speaker in known if address in speaker.workload.addresses]
    else:
        found = [speaker for speaker in known if text in (speaker.workload.key, speaker.workload.name)]
    if len(found) > 1:
        shown = _listed(f"{s.workload.key} in network {s.network}" for s in found)
        raise QuestionError(f"source '{text}' is several workloads: {shown}; name one as namespace/name")
    if not found:
        raise _not_outside(packet, views) or _unknown_source(text, views, known)
    return found[0], address


def _not_outside(packet: Packet, views: Views) -> QuestionError | None:
    """For a client outside that asks for a service by name: where such clients call it, if they do, is another name."""
    source, (host, port) = _address(packet.source), _split(packet.destination)
    services = (s for policies in views.values() for s in policies.services if host in (s.key, s.name))
    service = next(services, None)
    if source is None or service is None or _is_of_workload(source, views):
        return None
    version, told = source.version, f"no workload has {source}, and service '{service.key}' has "
    own = [address for address in service.externals if address.version == version]
    if own:
        return QuestionError(f"{told}{_listed(map(str, own))}, where no device of {_listed(views)} answers")
    told += f"no IPv{version} address for clients outside"
    if not service.node_ports:
        return QuestionError(f"{told}, and no node ports either")
    nodes = nodes_called(service, version, views)
    if not nodes:
        return QuestionError(f"{told}; its node ports are called at no IPv{version} address of {_listed(views)}")
    asked = [p for p in service.node_ports if port in (p.name, str(p.port), str(p.node_port))] or service.node_ports
    ports = _listed(f"{p.node_port} ({p.protocol}, its port {p.name or p.port})" for p in asked)
    return QuestionError(
        f"{told}; they call it at nodes ({_listed(nodes)}) by node port {ports}: "
        f"ask `turnout explain {source} {nodes[0]}:{asked[0].node_port}{_protocol_option(asked[0].protocol)}`"
    )


def _is_of_workload(address: Address, views: Views) -> bool:
    return any(address in workload.addresses for view in views.values() for workload in view.workloads)


def _protocol_option(protocol: Protocol) -> str:
    """Of a number alone it is TCP."""
    return "" if protocol is Protocol.TCP else f" --protocol {protocol.lower()}"


def _unknown_source(text: str, views: Views, known: Sequence[Speaker]) -> QuestionError:
    elsewhere = {w.key: w for policies in views.values() for w in policies.workloads}
    for workload in elsewhere.values():
        if text in (workload.key, workload.name, *map(str, workload.addresses)):
            return QuestionError(
                f"workload '{workload.key}' is behind no port of {_listed(views)}: it sends nothing there"
            )
    hint = did_you_mean(text, (speaker.workload.key for speaker in known))
    return QuestionError(f"no workload '{text}' is behind a port of {_listed(views)}" + (f"; {hint}" if hint else ""))


def _own(workload: Workload, version: int) -> Address:
    address = workload.address(version)
    if address is None:
        raise QuestionError(f"workload '{workload.key}' has no IPv{version} address")
    return address


def _split(text: str) -> tuple[str, str]:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port:
        raise QuestionError(f"'{text}' has no port: write ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    if ":" in host:
        raise QuestionError(f"'{text}' is not clear: an IPv6 address stands in brackets, as in [fd00::10]:80")
    return host, port


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _destination(
    host: str, policies: PolicySet, speaker: Speaker, version: int | None
) -> tuple[Address, Service | None]:
    """An address, and the service that has it in the speaker's network. A name is a service's before a workload's."""
    address = _address(host)
    if address is not None:
        own = (s for s in policies.services if s.network.name == speaker.network and address in s.vips)
        return address, next(own, None)
    node = _node_address(host, policies, speaker, version)
    if node is not None:
        return node, None
    services = [service for service in policies.services if host in (service.key, service.name)]
    workloads = [workload for workload in policies.workloads if host in (workload.key, workload.name)]
    named = [one for one in services or workloads if one.network.name == speaker.network]
    if not named:
        raise _unknown_destination(host, policies, speaker, [*services, *workloads])
    if len(named) > 1:
        kind = "services" if services else "workloads"
        raise QuestionError(f"destination '{host}' is several {kind}: {_listed(one.key for one in named)}")
    return _address_of(named[0], speaker, version), next((s for s in services if s is named[0]), None)


def _node_address(host: str, policies: PolicySet, speaker: Speaker, version: int | None) -> Address | None:
    """That of the node of the speaker's device, by the node's name, unless a service or workload has that name."""
    names = {name for one in (*policies.services, *policies.workloads) for name in (one.key, one.name)}
    device = next(d for d in policies.devices if d.name == speaker.device)
    own = (a for a in device.host_addresses if version in (None, a.version))
    return next(own, None) if host == device.node.name and host not in names else None


def _address_of(named: Service | Workload, speaker: Speaker, version: int | None) -> Address:
    """Of the family that was asked for, else of one that both have, IPv4 first."""
    own = named.vips if isinstance(named, Service) else named.addresses
    both = {a.version for a in own} & {a.version for a in speaker.workload.addresses}
    chosen = version or min(both, default=4)
    if isinstance(named, Service) and speaker.is_outside:
        address = next((a for a in named.externals if a.version == chosen), None)
    else:
        address = named.address(chosen)
    if address is None:
        raise QuestionError(f"'{named.key}' has no IPv{chosen} address")
    return address


def _unknown_destination(
    host: str, policies: PolicySet, speaker: Speaker, elsewhere: Sequence[Service | Workload]
) -> QuestionError:
    if elsewhere:
        networks = _listed(f"{one.key} in network {one.network.name}" for one in elsewhere)
        return QuestionError(
            f"'{host}' is not in network {speaker.network}, where {speaker.workload.key} is: there is {networks}; "
            "networks do not reach each other"
        )
    names = [one.key for one in (*policies.services, *policies.workloads) if one.network.name == speaker.network]
    hint = did_you_mean(host, names)
    return QuestionError(
        f"no service and no workload '{host}' in network {speaker.network}" + (f"; {hint}" if hint else "")
    )


def _port(text: str, service: Service | None, protocol: Protocol | None) -> tuple[Protocol, int]:
    """A number, or the name of a service's port; the protocol follows from the port where nobody says it."""
    ports = service.ports if service is not None else ()
    if text.isascii() and text.isdecimal():
        number = int(text)
        if not 1 <= number <= 65_535:
            raise QuestionError(f"{text} is no port: ports are 1 to 65535")
        of_number = {p.protocol for p in ports if p.port == number}
        return protocol or (next(iter(of_number)) if len(of_number) == 1 else Protocol.TCP), number
    if service is None:
        raise QuestionError(f"'{text}' is no port number, and only ports of services have names")
    named = [p for p in ports if p.name == text and protocol in (None, p.protocol)]
    if not named:
        shown = _listed(f"{p.name or p.port} ({p.protocol} {p.port})" for p in ports)
        raise QuestionError(f"service '{service.key}' has no port '{text}'; it has: {shown}")
    return named[0].protocol, named[0].port


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
