"""The values that fields hold: names, addresses, prefixes, MACs, ports; checked with messages in our own words.

Each is an `Annotated` type whose JSON Schema stays within what a CustomResourceDefinition may say. A validator raises
`refusal(...)`, which `compiler.policy.validation` turns into a diagnostic at the value's place.
"""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Interface,
    IPv6Address,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from compiler.diagnostic import Code, did_you_mean
from compiler.policy import codes
from compiler.policy.policyset import Address, Prefix
from compiler.policy.scalar import describe, shortened

REFUSAL: Final = "turnout_refusal"

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME_PATTERN: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED_PATTERN: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_MAC_PATTERN: Final = "[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(\\1[0-9A-Fa-f]{2}){4}"
_HOST_PORT_PATTERN: Final = re.compile(
    r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9][-A-Za-z0-9.]*)):(?P<port>[0-9]{1,5})"
)
_LONGEST_SOCKET_PATH: Final = 107
"""sockaddr_un.sun_path holds 108 bytes, one of them the final NUL (unix(7))."""


def refusal(
    message: str, *, expected: str | None = None, hint: str | None = None, code: Code = codes.INVALID_VALUE
) -> PydanticCustomError:
    """The exception for a value that a field cannot hold."""
    context: dict[str, Any] = {"message": message, "expected": expected, "hint": hint, "code": code}
    return PydanticCustomError(REFUSAL, "{message}", context)


def _string(value: object, expected: str) -> str:
    if not isinstance(value, str):
        hint = "put it in quotes" if isinstance(value, (bool, int, float)) else None
        raise refusal(f"found {describe(value)}", expected=expected, hint=hint, code=codes.WRONG_TYPE)
    return value


def _check_name(value: str) -> str:
    expected = "lower-case letters, digits, '-' and '.', at most 253, letters or digits at both ends"
    if len(value) > 253 or not re.fullmatch(_NAME_PATTERN, value):
        raise refusal(f"'{shortened(value)}' is not a name", expected=expected)
    return value


def _check_label_name(value: str) -> str:
    expected = "lower-case letters, digits and '-', at most 63, letters or digits at both ends"
    if len(value) > 63 or not re.fullmatch(_LABEL, value):
        raise refusal(f"'{shortened(value)}' is not a name", expected=expected)
    return value


def _check_reference(value: str) -> str:
    namespace, slash, name = value.rpartition("/")
    if slash:
        _check_label_name(namespace)
    _check_name(name)
    return value


def _check_port_name(value: str) -> str:
    if len(value) > 63 or not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", value):
        expected = "letters, digits, '-', '_' and '.', at most 63, letters or digits at both ends"
        raise refusal(f"'{shortened(value)}' is not a port name", expected=expected)
    return value


def _check_label_key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    good_prefix = not slash or (len(prefix) <= 253 and re.fullmatch(_NAME_PATTERN, prefix))
    if not good_prefix or len(name) > 63 or not re.fullmatch(_QUALIFIED_PATTERN, name):
        expected = "[prefix/]name; name of letters, digits, '-', '_' and '.', at most 63; prefix a DNS name"
        raise refusal(f"'{shortened(value)}' is not a key of a label or annotation", expected=expected)
    return value


def _check_label_value(value: str) -> str:
    if value and (len(value) > 63 or not re.fullmatch(_QUALIFIED_PATTERN, value)):
        expected = "letters, digits, '-', '_' and '.', at most 63, letters or digits at both ends"
        raise refusal(f"'{shortened(value)}' is not a label value", expected=expected)
    return value


def _parse_address(value: object) -> Address:
    expected = "an IPv4 or IPv6 address"
    text = _string(value, expected)
    try:
        address = ip_address(text)
    except ValueError:
        hint = "write it without the prefix length" if "/" in text else None
        raise refusal(f"'{shortened(text)}' is not an address", expected=expected, hint=hint) from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise refusal(f"'{shortened(text)}' has a zone", expected=expected, hint="leave out '%' and what follows")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise refusal(f"'{text}' is an IPv4-mapped address", expected=expected, hint=f"write {address.ipv4_mapped}")
    if address.is_multicast or address.is_unspecified or address.is_loopback or str(address) == "255.255.255.255":
        raise refusal(f"{address} is not the address of one host on a network", expected=f"{expected}, unicast")
    return address


def _parse_prefix(value: object) -> Prefix:
    expected = "an IPv4 or IPv6 prefix such as 10.1.0.0/16 or fd00::/64"
    network = _prefix(value, expected)
    if network.prefixlen == 0 or network.is_multicast or network.is_loopback:
        raise refusal(f"{network} cannot be a network of workloads", expected=f"{expected}, unicast")
    return network


def _parse_source(value: object) -> Prefix:
    """Of clients: one of length 0 is everybody."""
    expected = "an IPv4 or IPv6 prefix such as 192.0.2.0/24 or 2001:db8::/32"
    network = _prefix(value, expected)
    if network.is_multicast:
        raise refusal(f"{network} is the source of no packet", expected=f"{expected}, unicast")
    return network


def _prefix(value: object, expected: str) -> Prefix:
    text = _string(value, expected)
    try:
        interface = ip_interface(text)
        if "/" not in text or not text.rpartition("/")[2].isdigit():
            raise AddressValueError
    except ValueError:
        raise refusal(f"'{shortened(text)}' is not a prefix", expected=expected) from None
    if interface != ip_interface(interface.network):
        hint = f"did you mean {interface.network}?"
        raise refusal(f"'{text}' has bits set beyond its prefix length", expected=expected, hint=hint)
    return ip_network(interface.network)


def _parse_underlay_address(value: object) -> IPv4Interface:
    expected = "an IPv4 address with its prefix length, such as 192.168.50.1/24"
    text = _string(value, expected)
    try:
        interface = ip_interface(text)
    except ValueError:
        raise refusal(f"'{shortened(text)}' is not an interface address", expected=expected) from None
    if not isinstance(interface, IPv4Interface):
        message = f"'{shortened(text)}' is IPv6: an IPv6 underlay is not supported yet"
        raise refusal(message, expected=expected, code=codes.NOT_SUPPORTED)
    if "/" not in text:
        raise refusal(f"'{text}' has no prefix length", expected=expected)
    edges = (interface.network.network_address, interface.network.broadcast_address)
    if interface.network.prefixlen < 31 and interface.ip in edges:
        raise refusal(f"{interface.ip} is the network or broadcast address of {interface.network}", expected=expected)
    if interface.is_multicast or interface.is_unspecified or interface.is_loopback:
        raise refusal(f"'{text}' is not the address of one host on a network", expected=expected)
    return interface


def _parse_mac(value: object) -> str:
    expected = "a unicast MAC address such as 02:00:00:00:00:01"
    text = _string(value, expected)
    if not re.fullmatch(_MAC_PATTERN, text):
        raise refusal(f"'{shortened(text)}' is not a MAC address", expected=expected)
    octets = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if octets[0] & 1 or not any(octets):
        raise refusal(f"'{text}' is not the MAC address of one host", expected=expected)
    return octets.hex(":")


def _parse_device_address(value: object) -> str:
    expected = "'unix:/path/to/socket' or 'host:port' of the P4Runtime server"
    text = _string(value, expected)
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise refusal(f"'{shortened(text)}' has no absolute path", expected=expected)
        if len(path.encode()) > _LONGEST_SOCKET_PATH:
            raise refusal(f"the socket path is longer than {_LONGEST_SOCKET_PATH} bytes", expected=expected)
        return text
    match = _HOST_PORT_PATTERN.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise refusal(f"'{shortened(text)}' is not a P4Runtime address", expected=expected)
    return text


def _parse_target_port(value: object) -> int | str:
    expected = "a port number (1 to 65535) or the name of a port"
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 65535:
            raise refusal(f"{value} is out of range", expected=expected)
        return value
    if not isinstance(value, str):
        raise refusal(f"found {describe(value)}", expected=expected, code=codes.WRONG_TYPE)
    if len(value) > 15 or not re.fullmatch(_LABEL, value) or not re.search("[a-z]", value):
        hint = "write the number without quotes" if value.isdigit() else None
        raise refusal(f"'{shortened(value)}' is not a port name", expected=expected, hint=hint)
    return value


def _parse_ports(value: object) -> tuple[int, int]:
    """A port, or the first and the last of a range as in '8000-8999'."""
    expected = "a port number (1 to 65535), or a range such as '8000-8999'"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise refusal(f"found {describe(value)}", expected=expected, code=codes.WRONG_TYPE)
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", str(value), re.ASCII)
    if match is None:
        raise refusal(f"'{shortened(str(value))}' is not a range of ports", expected=expected)
    low, high = int(match[1]), int(match[2] or match[1])
    if not 1 <= low <= high <= 65535:
        raise refusal(f"'{value}' is out of range", expected=expected)
    return low, high


def _word_of(known: tuple[str, ...], not_yet: tuple[str, ...]) -> Any:
    """A validator for one of `known`; `not_yet` are words that exist elsewhere and are refused by name."""
    expected = " or ".join(known)

    def check(value: object) -> str:
        text = _string(value, expected)
        if text in not_yet:
            raise refusal(f"{text} is not supported yet", expected=expected, code=codes.NOT_SUPPORTED)
        if text not in known:
            raise refusal(f"'{shortened(text)}' is not known", expected=expected, hint=did_you_mean(text, known))
        return text

    return PlainValidator(check)


_IP_SCHEMA: Final = {"type": "string", "maxLength": 45, "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_PREFIX_SCHEMA: Final = {"type": "string", "maxLength": 49, "format": "cidr"}
# As _MAC_PATTERN, in words of RE2, which has no back references.
_MAC_SCHEMA: Final = {
    "type": "string",
    "maxLength": 17,
    "pattern": "^[0-9A-Fa-f]{2}((:[0-9A-Fa-f]{2}){5}|(-[0-9A-Fa-f]{2}){5})$",
}

Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "maxLength": 253, "pattern": f"^{_NAME_PATTERN}$"}),
]
LabelName = Annotated[
    str,
    AfterValidator(_check_label_name),
    WithJsonSchema({"type": "string", "maxLength": 63, "pattern": f"^{_LABEL}$"}),
]
Reference = Annotated[str, AfterValidator(_check_reference), WithJsonSchema({"type": "string", "maxLength": 317})]
"""A name, or namespace/name."""
PortName = Annotated[str, AfterValidator(_check_port_name), WithJsonSchema({"type": "string", "maxLength": 63})]
LabelKey = Annotated[str, AfterValidator(_check_label_key)]
LabelValue = Annotated[str, AfterValidator(_check_label_value), WithJsonSchema({"type": "string", "maxLength": 63})]
Labels = dict[LabelKey, LabelValue]
Annotations = dict[LabelKey, str]

AddressValue = Annotated[Address, PlainValidator(_parse_address), WithJsonSchema(_IP_SCHEMA)]
PrefixValue = Annotated[Prefix, PlainValidator(_parse_prefix), WithJsonSchema(_PREFIX_SCHEMA)]
SourceValue = Annotated[Prefix, PlainValidator(_parse_source), WithJsonSchema(_PREFIX_SCHEMA)]
UnderlayAddress = Annotated[IPv4Interface, PlainValidator(_parse_underlay_address), WithJsonSchema(_PREFIX_SCHEMA)]
MacValue = Annotated[str, PlainValidator(_parse_mac), WithJsonSchema(_MAC_SCHEMA)]
DeviceAddress = Annotated[str, PlainValidator(_parse_device_address), WithJsonSchema({"type": "string"})]
TargetPort = Annotated[
    int | str,
    PlainValidator(_parse_target_port),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
]
PortsValue = Annotated[
    tuple[int, int],
    PlainValidator(_parse_ports),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
]
"""The first and the last of a range of ports."""
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Mtu = Annotated[int, Field(ge=1280, le=9216)]
"""1280 is the least that IPv6 works with (RFC 8200 section 5)."""

ServiceTypeWord = Annotated[
    str,
    _word_of(("ClusterIP", "NodePort", "LoadBalancer"), ("ExternalName",)),
    WithJsonSchema({"type": "string", "enum": ["ClusterIP", "NodePort", "LoadBalancer"]}),
]
ALGORITHMS: Final = ("Maglev", "SourceHash", "Random", "RoundRobin", "LeastConnections")
AlgorithmWord = Annotated[str, _word_of(ALGORITHMS, ()), WithJsonSchema({"type": "string", "enum": list(ALGORITHMS)})]
PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
ProtocolWord = Annotated[str, _word_of(PROTOCOLS, ()), WithJsonSchema({"type": "string", "enum": list(PROTOCOLS)})]
