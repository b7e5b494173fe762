"""Bytes that are no message, and what a message may hold that this version of P4Runtime does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from finsy.proto import p4r

from tests.conformance.client import TIMEOUT_S, Client, RpcRefusedError
from tests.conformance.conftest import Device

Connect = Callable[[], Client]
JUNK = b"\x0a\xff\xff\x01"
UNKNOWN_FIELD = b"\xfa\x3f\x03abc"
UNARY = {
    "Write": "p4.v1.WriteRequest",
    "SetForwardingPipelineConfig": "p4.v1.SetForwardingPipelineConfigRequest",
    "GetForwardingPipelineConfig": "p4.v1.GetForwardingPipelineConfigRequest",
    "Capabilities": "p4.v1.CapabilitiesRequest",
}


def _refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    error: Any = refused.value
    return error.code().name, error.details()


@pytest.mark.parametrize(("method", "name"), UNARY.items())
def test_bytes_that_are_no_request(connect: Connect, method: str, name: str) -> None:
    channel: Any = connect().channel
    call = channel.unary_unary(f"/p4.v1.P4Runtime/{method}")
    words = f"the request is no {name}: its bytes cannot be decoded"
    assert _refused(lambda: call(JUNK, timeout=TIMEOUT_S)) == ("INVALID_ARGUMENT", words)


def test_bytes_that_are_no_read_request(connect: Connect) -> None:
    channel: Any = connect().channel
    call = channel.unary_stream("/p4.v1.P4Runtime/Read")
    words = "the request is no p4.v1.ReadRequest: its bytes cannot be decoded"
    assert _refused(lambda: list(call(JUNK, timeout=TIMEOUT_S))) == ("INVALID_ARGUMENT", words)


def test_bytes_that_are_no_stream_message(connect: Connect) -> None:
    channel: Any = connect().channel
    call = channel.stream_stream("/p4.v1.P4Runtime/StreamChannel")
    words = "the request is no p4.v1.StreamMessageRequest: its bytes cannot be decoded"
    assert _refused(lambda: list(call(iter([JUNK]), timeout=TIMEOUT_S))) == ("INVALID_ARGUMENT", words)


def test_enums_without_a_name(primary: Client, device: Device) -> None:
    request = p4r.WriteRequest(device_id=1)
    request.atomicity = 9  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(RpcRefusedError) as refused:
        primary.write_request(request)
    assert (refused.value.code, refused.value.text) == ("INVALID_ARGUMENT", "there is no atomicity 9")
    setting = p4r.SetForwardingPipelineConfigRequest(device_id=1, config=device.config)
    setting.action = 9  # pyright: ignore[reportAttributeAccessIssue]
    setting.election_id.low = primary.election_id or 0
    words = "the request has no action"
    assert _refused(lambda: primary.stub.SetForwardingPipelineConfig(setting)) == ("INVALID_ARGUMENT", words)


def test_unknown_fields_are_passed_over(primary: Client) -> None:
    entity = p4r.Entity()
    entity.register_entry.MergeFromString(UNKNOWN_FIELD)
    request = p4r.ReadRequest(device_id=1, entities=[entity])
    assert list(primary.stub.Read(request, timeout=TIMEOUT_S)) == []
