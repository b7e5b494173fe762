"""P4Info: the contract, and what a v1model program has besides."""

from __future__ import annotations

from compiler.ir.names import Names
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import DIGEST_PREFIX, digest_fields, p4c_id, v1model_p4info


def test_v1model_adds_digests_and_nothing_else() -> None:
    added = v1model_p4info(portable_pipeline())
    assert [digest.preamble.name for digest in added.digests] == ["learn_connections_ipv4", "learn_connections_ipv6"]
    assert added.pkg_info.arch == "v1model"
    added.pkg_info.arch = ""
    del added.digests[:]
    added.ClearField("type_info")
    assert added == p4info(portable_pipeline())


def test_p4info_is_the_same_for_the_offloaded_composition() -> None:
    assert p4info(offload_pipeline()) == p4info(portable_pipeline())


def test_ids_of_digests_are_those_of_p4c() -> None:
    # As p4c 1.2.5 writes them for these names.
    assert p4c_id(DIGEST_PREFIX, "learn_flow_ipv4", set()) == 389145489
    assert p4c_id(DIGEST_PREFIX, "learn_flow_reverse_ipv6", set()) == 388637233
    assert p4c_id(DIGEST_PREFIX, "learn_flow_ipv4", {389145489}) == 389145490


def test_a_digest_holds_key_arguments_and_profile_of_each_table() -> None:
    names = Names(portable_pipeline())
    fields = digest_fields(names, names.stores["connections_ipv4"])
    assert fields[:8] == (
        ("flow_ipv4_network", 16),
        ("flow_ipv4_leg", 8),
        ("flow_ipv4_protocol", 8),
        ("flow_ipv4_src", 32),
        ("flow_ipv4_dst", 32),
        ("flow_ipv4_src_port", 16),
        ("flow_ipv4_dst_port", 16),
        ("flow_ipv4_new_src", 32),
    )
    assert fields[12:15] == (
        ("flow_ipv4_new_service_id", 16),
        ("flow_ipv4_profile", 8),
        ("flow_reverse_ipv4_network", 16),
    )
    assert len(fields) == 28


def test_every_name_is_the_ir_name_without_a_prefix() -> None:
    info = p4info(portable_pipeline())
    for part in (*info.tables, *info.actions, *info.counters, *info.direct_counters, *info.action_profiles):
        assert part.preamble.name == part.preamble.alias
        assert "." not in part.preamble.name


def test_learned_tables_and_selectors_say_so() -> None:
    info = p4info(portable_pipeline())
    ageing = {table.preamble.name for table in info.tables if table.idle_timeout_behavior}
    assert ageing == {table.name for table in portable_pipeline().tables if table.store is not None}
    for profile in info.action_profiles:
        largest = 16 if "proxies" in profile.preamble.name else 1000
        found = (profile.with_selector, profile.max_group_size, profile.HasField("sum_of_weights"))
        assert found == (True, largest, True)
