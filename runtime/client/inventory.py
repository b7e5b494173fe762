"""What `turnout show` tells of a device, read over P4Runtime: records of plain values, one dictionary a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from finsy.proto import p4r

from compiler.ir.entries import ActionCall, Entries, Exact, GroupRef, Lpm, Range, TableEntry, Ternary, numbers_of
from compiler.ir.formats import number_to_text
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Table
from compiler.pipeline import admission
from compiler.pipeline.storage import LAST_SERVICE
from runtime.client import backendrows
from runtime.client.contents import Contents
from runtime.client.policyrows import rows
from runtime.client.session import Session
from runtime.device.schema import schema

Record = dict[str, object]
_NONE = p4r.CounterData()
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}

SERVICE_COLUMNS = (
    "device", "network", "service", "address", "protocol", "port", "backends", "affinity_s", "connections",
    "requests", "replies", "request_bytes", "reply_bytes",
)  # fmt: skip
BACKEND_COLUMNS = (
    "device", "network", "service", "address", "protocol", "port", "backend", "weight", "open_connections",
)  # fmt: skip
RANGE_COLUMNS = ("device", "network", "service", "address", "protocol", "port", "range", "decision", "connections")
FLOW_COLUMNS = (
    "device", "network", "protocol", "source", "service", "backend", "seen_as", "idle_s", "packets", "bytes",
)  # fmt: skip
REDIRECT_COLUMNS = (
    "device", "network", "policy", "direction", "workload", "peer", "ports", "decision", "connections",
)  # fmt: skip
POLICY_COLUMNS = (
    "device", "network", "workloads", "direction", "policy", "peers", "protocol", "ports", "connections",
)  # fmt: skip
LIMIT_COLUMNS = ("device", "network", "policy", "workload", "per_second", "burst", "redirected", "dropped")
PORTAL_COLUMNS = (
    "device", "network", "policy", "address", "port", "targets", "connections", "class", "rate_bps", "requests",
    "replies", "request_bytes", "reply_bytes",
)  # fmt: skip
TABLE_COLUMNS = ("device", "table", "entries", "size", "kind")
PORT_COLUMNS = ("device", "port", "vlan", "leads_to", "network", "packets", "bytes")
DROP_COLUMNS = ("device", "reason", "packets", "bytes", "meaning")


class Inventory:
    """One device's contents. Reads lazily, each part once."""

    def __init__(self, name: str, session: Session, pipeline: Pipeline) -> None:
        self._name, self._session, self._pipeline = name, session, pipeline
        self._tables: Mapping[str, Table] = {table.name: table for table in pipeline.tables}
        self._codecs = {codec.name: codec for codec in schema(pipeline).tables.values()}

    @cached_property
    def _entries(self) -> Entries:
        return Contents(self._pipeline).read(self._session)

    @cached_property
    def _networks(self) -> dict[int, str]:
        """Names of networks by id, as the policies called them."""
        named = (e for e in self._entries.table_entries if e.table == "network" and e.owner)
        return {_values(entry)[0]: entry.owner.removeprefix("Network ") for entry in named}

    def services(self) -> Iterator[Record]:
        """One record for each address, protocol and port; counters since the pipeline was loaded."""
        yield from (record for number, record in self._services() if number <= LAST_SERVICE)

    def portals(self) -> Iterator[Record]:
        """One record for each address of a portal or registry, with the class and the rate of its packets."""
        held = {_values(e)[0]: e for e in self._entries.table_entries if e.table == "storage" and not _values(e)[1]}
        for number, record in self._services():
            if number <= LAST_SERVICE:
                continue
            entry = held.get(number)
            marks = _arguments(entry) if entry is not None else ()
            rate = entry.meter.cir * 8 if entry is not None and entry.meter is not None else ""
            yield {
                **record,
                "policy": str(record["service"]).removeprefix("StorageSteering "),
                "targets": record["backends"],
                "class": marks[0] >> 2 if marks else "",
                "rate_bps": rate,
            }

    def _services(self) -> Iterator[tuple[int, Record]]:
        """All numbers with their records: of services, and of portals and registries."""
        sizes = {(g.selector, g.id): len(g.members) for g in self._entries.groups}
        groups = {
            (entry.table.removeprefix("backend_"), _values(entry)[0]): entry.action.group_id
            for entry in self._entries.table_entries
            if isinstance(entry.action, GroupRef)
        }
        entries = [e for e in self._entries.table_entries if e.table in ("service_ipv4", "service_ipv6")]
        numbers = sorted({_arguments(entry)[0] for entry in entries})
        requests, replies = self._indexed("service_requests", numbers), self._indexed("service_replies", numbers)
        for family in ("ipv4", "ipv6"):
            connections = self._direct(f"service_{family}")
            for entry in (e for e in entries if e.table == f"service_{family}"):
                number, _, affinity_ms = _arguments(entry)
                network, address, protocol, port = _values(entry)
                asked, answered = requests.get(number, _NONE), replies.get(number, _NONE)
                yield (
                    number,
                    {
                        "device": self._name,
                        "network": self._network(network),
                        "service": entry.owner,
                        "address": number_to_text(address, family),
                        "protocol": PROTOCOLS.get(protocol, str(protocol)),
                        "port": port,
                        "backends": sizes.get((f"backends_{family}", groups.get((family, number), 0)), 0),
                        "affinity_s": affinity_ms / 1000 if affinity_ms % 1000 else affinity_ms // 1000,
                        "connections": connections.get(entry.matches, _NONE).packet_count,
                        "requests": asked.packet_count,
                        "replies": answered.packet_count,
                        "request_bytes": asked.byte_count,
                        "reply_bytes": answered.byte_count,
                    },
                )

    def backends(self) -> Iterator[Record]:
        """One record for each backend of services with algorithm LeastConnections; connections that are open to it."""
        if not backendrows.asks_for_counts(self._entries):
            return
        for row in backendrows.rows(self._entries, self._session.counts()):
            network, address, protocol, port = _values(row.entry)
            yield {
                "device": self._name,
                "network": self._network(network),
                "service": row.entry.owner,
                "address": number_to_text(address, row.family),
                "protocol": PROTOCOLS.get(protocol, str(protocol)),
                "port": port,
                "backend": _endpoint(*row.backend, row.family),
                "weight": row.weight,
                "open_connections": row.connections,
            }

    def ranges(self) -> Iterator[Record]:
        """One record for each range of clients outside that a service lets in or does not; their new connections."""
        for family in ("ipv4", "ipv6"):
            table = f"{admission.TABLE}_{family}"
            held = [e for e in self._entries.table_entries if e.table == table]
            counts = self._direct(table) if held else {}
            services = {
                _arguments(e)[0]: _values(e) for e in self._entries.table_entries if e.table == f"service_{family}"
            }
            for entry in held:
                (number, *_), source = numbers_of(entry.matches[0]), entry.matches[1]
                if number not in services or not isinstance(source, Lpm) or not isinstance(entry.action, ActionCall):
                    continue
                network, address, protocol, port = services[number]
                yield {
                    "device": self._name,
                    "network": self._network(network),
                    "service": entry.owner,
                    "address": number_to_text(address, family),
                    "protocol": PROTOCOLS.get(protocol, str(protocol)),
                    "port": port,
                    "range": f"{number_to_text(source.value, family)}/{source.prefix_len}",
                    "decision": entry.action.action.partition("_")[0],
                    "connections": counts.get(entry.matches, _NONE).packet_count,
                }

    def flows(self) -> Iterator[Record]:
        """Known connections, one record for each pair of learned entries.

        `seen_as` is the source that the backend sees: another one behind a service gateway, and of a backend that calls
        its own service.
        """
        for family in ("ipv4", "ipv6"):
            codec = self._codecs[f"flow_{family}"]
            for message in self._read_table(codec.table.id, counters=True, idle=True):
                values = [match.value for match in codec.decode_matches(message.match) if isinstance(match, Exact)]
                network, _, protocol, src, dst, src_port, dst_port = values
                action = codec.decode_action(message.action)
                if not isinstance(action, ActionCall):
                    continue
                new_src, new_dst, new_src_port, new_dst_port, *_ = action.arguments
                yield {
                    "device": self._name,
                    "network": self._network(network),
                    "protocol": PROTOCOLS.get(protocol, str(protocol)),
                    "source": _endpoint(src, src_port, family),
                    "service": _endpoint(dst, dst_port, family),
                    "backend": _endpoint(new_dst, new_dst_port, family),
                    "seen_as": _endpoint(new_src, new_src_port, family),
                    "idle_s": round(message.time_since_last_hit.elapsed_ns / 1e9, 1),
                    "packets": message.counter_data.packet_count,
                    "bytes": message.counter_data.byte_count,
                }

    def redirects(self) -> Iterator[Record]:
        """One record for each rule of a MeshRedirect and workload; new connections that it decided."""
        for table in ("outbound_ipv4", "outbound_ipv6", "inbound_ipv4", "inbound_ipv6"):
            direction, _, family = table.partition("_")
            counts = self._prioritized(table)
            for entry in (e for e in self._entries.table_entries if e.table == table):
                network, workload, peer, ports = entry.matches
                if not (
                    isinstance(peer, Ternary) and isinstance(ports, Range) and isinstance(entry.action, ActionCall)
                ):
                    continue
                yield {
                    "device": self._name,
                    "network": self._network(numbers_of(network)[0]),
                    "policy": entry.owner.removeprefix("MeshRedirect "),
                    "direction": direction,
                    "workload": number_to_text(numbers_of(workload)[0], family),
                    "peer": f"{number_to_text(peer.value, family)}/{peer.mask.bit_count()}" if peer.mask else "any",
                    "ports": _ports_text(ports),
                    "decision": _decision(entry.action),
                    "connections": counts.get((entry.matches, entry.priority), _NONE).packet_count,
                }

    def policies(self) -> Iterator[Record]:
        """One record for each prefix of ports that NetworkPolicies of workloads allow; their new connections."""

        def counts(table: str) -> dict[object, int]:
            return {matches: counted.packet_count for matches, counted in self._direct(table).items()}

        for row in rows(self._entries, counts):
            yield {
                "device": self._name,
                "network": self._network(row.network),
                "workloads": ", ".join(row.workloads),
                "direction": row.direction,
                "policy": row.policy,
                "peers": ", ".join(row.peers) or "nobody",
                "protocol": "any" if row.protocol is None else PROTOCOLS.get(row.protocol, str(row.protocol)),
                "ports": row.ports or "any",
                "connections": row.connections,
            }

    def limits(self) -> Iterator[Record]:
        """One record for each workload and family whose new connections a second a MeshRedirect limits."""
        for family in ("ipv4", "ipv6"):
            table, workloads = f"redirect_limit_{family}", self._limited(family)
            counts = self._colors(table)
            for entry in (e for e in self._entries.table_entries if e.table == table and e.meter is not None):
                network, address = workloads.get(_values(entry)[0], (0, 0))
                counted = counts[entry.matches]
                yield {
                    "device": self._name,
                    "network": self._network(network),
                    "policy": entry.owner.removeprefix("MeshRedirect "),
                    "workload": number_to_text(address, family),
                    "per_second": entry.meter.cir if entry.meter is not None else "",
                    "burst": entry.meter.cburst if entry.meter is not None else "",
                    "redirected": counted.green.packet_count,
                    "dropped": counted.red.packet_count,
                }

    def _limited(self, family: str) -> dict[int, tuple[int, int]]:
        """The network and the address of a workload by its limiter, as rules name it."""
        tables = (f"outbound_{family}", f"inbound_{family}")
        rules = [e for e in self._entries.table_entries if e.table in tables and len(_arguments(e)) > 1]
        return {_arguments(rule)[1]: (_values(rule)[0], _values(rule)[1]) for rule in rules}

    def _colors(self, table: str) -> dict[object, p4r.MeterCounterData]:
        codec = self._codecs[table]
        wanted = p4r.TableEntry(table_id=codec.table.id)
        wanted.meter_counter_data.SetInParent()
        found = (entity.table_entry for entity in self._session.read([p4r.Entity(table_entry=wanted)]))
        return {codec.decode_matches(entry.match): entry.meter_counter_data for entry in found}

    def tables(self) -> Iterator[Record]:
        counts = Counter(entry.table for entry in self._entries.table_entries)
        for table in self._pipeline.tables:
            learned = table.store is not None
            held = sum(1 for _ in self._read_table(table.id, counters=False)) if learned else counts[table.name]
            yield {
                "device": self._name,
                "table": table.name,
                "entries": held,
                "size": table.size,
                "kind": "learned" if learned else "selector" if table.selector else "written",
            }

    def ports(self) -> Iterator[Record]:
        counts = self._direct("port")
        for entry in (e for e in self._entries.table_entries if e.table == "port"):
            port, vlan = _values(entry)
            arguments = _arguments(entry)
            seen = counts.get(entry.matches, _NONE)
            yield {
                "device": self._name,
                "port": port,
                "vlan": vlan,
                "leads_to": entry.owner if arguments else "underlay",
                "network": self._network(arguments[0]) if arguments else "",
                "packets": seen.packet_count,
                "bytes": seen.byte_count,
            }

    def drops(self) -> Iterator[Record]:
        """Drop reasons that have been counted."""
        counted = self._indexed(self._pipeline.drop_counter, [reason.id for reason in self._pipeline.drop_reasons])
        for reason in self._pipeline.drop_reasons:
            seen = counted.get(reason.id, _NONE)
            if seen.packet_count:
                yield {
                    "device": self._name,
                    "reason": reason.name,
                    "packets": seen.packet_count,
                    "bytes": seen.byte_count,
                    "meaning": reason.doc,
                }

    def _network(self, number: int) -> str:
        return self._networks.get(number, str(number))

    def _indexed(self, name: str, indices: Iterable[int]) -> dict[int, p4r.CounterData]:
        """Those that are not 0. Asked for one by one: most of a large counter belongs to nothing."""
        counter = next(c for c in self._pipeline.counters if c.name == name)
        wanted = [
            p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=counter.id, index=p4r.Index(index=index)))
            for index in indices
        ]
        found = (entity.counter_entry for entity in self._session.read(wanted)) if wanted else ()
        return {entry.index.index: entry.data for entry in found if entry.data.packet_count}

    def _direct(self, table: str) -> dict[object, p4r.CounterData]:
        codec = self._codecs[table]
        return {
            codec.decode_matches(message.match): message.counter_data
            for message in self._read_table(codec.table.id, counters=True)
        }

    def _prioritized(self, table: str) -> dict[tuple[object, int], p4r.CounterData]:
        codec = self._codecs[table]
        return {
            (codec.decode_matches(message.match), message.priority): message.counter_data
            for message in self._read_table(codec.table.id, counters=True)
        }

    def _read_table(self, table_id: int, *, counters: bool, idle: bool = False) -> Iterator[p4r.TableEntry]:
        wanted = p4r.TableEntry(table_id=table_id)
        if counters:
            wanted.counter_data.SetInParent()
        if idle:
            wanted.time_since_last_hit.SetInParent()
        for entity in self._session.read([p4r.Entity(table_entry=wanted)]):
            yield entity.table_entry


def _values(entry: TableEntry) -> list[int]:
    return [match.value for match in entry.matches if isinstance(match, Exact)]


def _arguments(entry: TableEntry) -> tuple[int, ...]:
    return entry.action.arguments if isinstance(entry.action, ActionCall) else ()


def _ports_text(ports: Range) -> str:
    if (ports.low, ports.high) == (0, 65535):
        return "any"
    return str(ports.low) if ports.low == ports.high else f"{ports.low}-{ports.high}"


def _decision(call: ActionCall) -> str:
    """`redirect, open`, `redirect, closed`, `bypass` or `deny`."""
    verb = call.action.partition("_")[0]
    return f"{verb}, {'closed' if call.arguments[0] else 'open'}" if call.arguments else verb


def _endpoint(address: int, port: int, family: str) -> str:
    shown = number_to_text(address, family)
    return f"[{shown}]:{port}" if family == "ipv6" else f"{shown}:{port}"
