"""What the present entries leave unused."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.entries import Entries
from compiler.pipeline import policing
from compiler.pipeline.assembly import pipeline
from compiler.printers.features import features, features_of_tables
from runtime.verification.shop import device_entries


def used(*without: str) -> set[str]:
    """The flags that are 1 for the shop, but for tables left without entries."""
    shop = device_entries("A")
    entries = Entries(members=shop.members, groups=shop.groups, table_entries=shop.table_entries)
    kept = tuple(entry for entry in entries.table_entries if entry.table not in without)
    return {name for name, value in features(pipeline(), replace(entries, table_entries=kept)).items() if value}


EVERYTHING = used()


REDIRECTS = {
    f"uses_{table}_ipv{version}" for table in ("outbound", "inbound", "proxy", "redirect_limit") for version in (4, 6)
}


AFFINITY = {f"uses_affinity_backend_ipv{version}" for version in (4, 6)}


OUTSIDE = {
    f"uses_{table}_ipv{version}"
    for table in ("eip", "entrance", "source_range", "crossing", "direct_backend")
    for version in (4, 6)
}


SHARING = {f"uses_served_ipv{version}" for version in (4, 6)}


POLICIES = {f"uses_{stem}_ipv{version}" for stem in policing.STEMS for version in (4, 6)}


def test_the_whole_shop_uses_everything_but_what_few_have() -> None:
    few = REDIRECTS | {"uses_storage"} | AFFINITY | OUTSIDE | POLICIES | SHARING
    assert set(features(pipeline(), Entries())) == EVERYTHING | few


def test_policies_learn_connections_without_any_service() -> None:
    for table in ("isolated_source_ipv4", "isolated_destination_ipv4"):
        assert features_of_tables(pipeline(), frozenset({"port", table}))["uses_connections_ipv4"]


def test_what_another_device_let_in_is_learned_without_any_service() -> None:
    assert features_of_tables(pipeline(), frozenset({"port", "tunnel", "entrance_ipv4"}))["uses_connections_ipv4"]


def test_connections_to_backends_are_learned_without_any_service() -> None:
    assert features_of_tables(pipeline(), frozenset({"port", "served_ipv4"}))["uses_connections_ipv4"]


def test_redirects_learn_connections_without_any_service() -> None:
    filled = frozenset({"port", "inbound_ipv4", "proxy_ipv4"})
    assert features_of_tables(pipeline(), filled)["uses_connections_ipv4"]


def test_an_empty_device_uses_nothing() -> None:
    assert not any(features(pipeline(), Entries()).values())


def test_a_table_without_entries_is_unused() -> None:
    assert used("tunnel") == EVERYTHING - {"uses_tunnel"}


def test_without_services_of_a_family_its_connections_are_unused() -> None:
    assert used("service_ipv6") == EVERYTHING - {"uses_service_ipv6", "uses_connections_ipv6"}


def test_without_backends_nothing_is_learned() -> None:
    assert used("backend_ipv4") == EVERYTHING - {"uses_backend_ipv4", "uses_connections_ipv4"}


def test_connections_that_are_left_stay_in_use_when_their_service_is_gone() -> None:
    shop = device_entries("A")
    filled = frozenset(entry.table for entry in shop.table_entries) - {"service_ipv4", "backend_ipv4"}
    assert not features_of_tables(pipeline(), filled)["uses_connections_ipv4"]
    assert features_of_tables(pipeline(), filled | {"flow_ipv4"})["uses_connections_ipv4"]
    assert features_of_tables(pipeline(), filled | {"flow_reverse_ipv4"})["uses_connections_ipv4"]
