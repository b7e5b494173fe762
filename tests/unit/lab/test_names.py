"""Names of namespaces and interfaces: legal for the kernel, and never one for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.lab.errors import LabError
from runtime.lab.names import LONGEST_INTERFACE, LONGEST_NAMESPACE, check_lab_name, interface_name, namespace_name

PORT = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True)
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
NAME = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)
TAKEN = ("lo", "all", "default", "mgmt0", "bonding_masters")


@given(first=PORT | st.sampled_from(TAKEN), second=PORT | st.sampled_from(TAKEN))
def test_two_ports_never_share_an_interface(first: str, second: str) -> None:
    assert (interface_name(first) == interface_name(second)) is (first == second)


@given(port=PORT | st.sampled_from(TAKEN))
def test_an_interface_name_is_one_that_the_kernel_takes(port: str) -> None:
    name = interface_name(port)
    assert 1 <= len(name) <= LONGEST_INTERFACE
    assert name not in TAKEN


def test_a_port_keeps_its_name_where_it_can() -> None:
    assert interface_name("client") == "client"
    assert interface_name("fifteen-letters") == "fifteen-letters"
    assert interface_name("default") == "defaul~"
    assert interface_name("a-very-long-port-name.1") == "a-very~ff9cca76"


Parts = tuple[str, ...]
MEMBER = st.one_of(
    st.tuples(LABEL, st.just("node"), NAME),
    st.tuples(LABEL, st.just("device"), NAME),
    st.tuples(LABEL, st.just("workload"), LABEL, NAME),
    st.tuples(LABEL, st.just("underlay")),
)


@given(first=MEMBER, second=MEMBER)
def test_two_members_never_share_a_namespace(first: Parts, second: Parts) -> None:
    assert (namespace_name(*first) == namespace_name(*second)) is (first == second)
    assert len(namespace_name(*first)) <= LONGEST_NAMESPACE


@pytest.mark.parametrize("lab", ["a", "lab", "lab-2", "0", "abcdefghijklmnopqrst"])
def test_names_for_labs(lab: str) -> None:
    assert check_lab_name(lab) == lab


@pytest.mark.parametrize("lab", ["", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "abcdefghijklmnopqrstu", "a\n"])
def test_names_that_no_lab_may_have(lab: str) -> None:
    with pytest.raises(LabError, match="cannot be the name of a lab"):
        check_lab_name(lab)
