"""Messages that are too large, compressed, nested without end, or none at all; and configurations of the same kind."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from finsy.proto import U128, p4r

from compiler.printers.bundle import MANIFEST, PIPELINE, write_bundle
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.fuzzing.watching import held_by
from tests.conformance.wired import WiredDevice
from tests.hostile.bystander import Bystander
from tests.hostile.conftest import device_process, large_table
from tests.pipelines.controllers import TEXT

pytestmark = pytest.mark.slow
MIB = 1 << 20
TIMEOUT_S = 60.0
WRITE = "/p4.v1.P4Runtime/Write"


def refusal(attacked: WiredDevice, data: bytes, **options: Any) -> tuple[str, str]:
    """Of a Write of these bytes."""
    with grpc.insecure_channel(attacked.address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(WRITE)(data, timeout=TIMEOUT_S, **options)
        error = RpcRefusedError(refused.value)
    return error.code, error.text


def test_huge_messages_leave_nothing_behind(attacked: WiredDevice, bystander: Bystander) -> None:
    process = device_process(attacked.address)
    before = held_by(process).memory_mib
    for _ in range(10):
        code, text = refusal(attacked, bytes(64 * MIB))
        assert (code, text) == (
            "RESOURCE_EXHAUSTED",
            "SERVER: Received message larger than max (67108864 vs. 16777216)",
        )
        bystander.work()
    assert held_by(process).memory_mib < before + 100


def test_compressed_messages_are_not_unpacked(attacked: WiredDevice, bystander: Bystander) -> None:
    process = device_process(attacked.address)
    before = held_by(process).memory_mib
    code, text = refusal(attacked, bytes(200 * MIB), compression=grpc.Compression.Gzip)
    assert (code, text) == ("UNIMPLEMENTED", "Compression algorithm 'gzip' is disabled.")
    assert held_by(process).memory_mib < before + 50
    bystander.work()


def test_bytes_that_are_no_message(attacked: WiredDevice, bystander: Bystander) -> None:
    nested = b""
    for _ in range(300):  # P4DataTypeSpec is not in a Write: groups of an unknown field are
        nested = b"\x0b" + nested + b"\x0c"
    for data in (b"\xff" * 100, nested * 50, b"\x22" + b"\xff" * 4 + b"\x0f"):
        assert refusal(attacked, data) == (
            "INVALID_ARGUMENT",
            "the request is no p4.v1.WriteRequest: its bytes cannot be decoded",
        )
        bystander.work()


def test_values_of_megabytes_are_told_in_part(connect: Callable[[], Client], bystander: Bystander) -> None:
    client = bystander.client
    assert client.election_id is not None
    entry = p4r.TableEntry(table_id=0x02000001)
    entry.match.add(field_id=1).exact.value = b"\xff" * (8 * MIB)
    request = p4r.WriteRequest(device_id=1, election_id=U128.encode(client.election_id))
    request.updates.add(type=p4r.Update.INSERT).entity.table_entry.CopyFrom(entry)
    with pytest.raises(RpcRefusedError) as refused:
        client.write_request(request)
    (error,) = refused.value.errors
    assert error[0] == 3
    assert error[1].startswith("table destination, match field address: value 0xffff")
    assert len(error[1]) < 700
    del connect
    bystander.work()


def bundle(text: str) -> bytes:
    """One of this version, with another pipeline."""
    good = zipfile.ZipFile(io.BytesIO(write_bundle(large_table())))
    manifest = json.loads(good.read(MANIFEST))
    manifest["sha256"] = {PIPELINE: hashlib.sha256(text.encode()).hexdigest()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.writestr(PIPELINE, text)
    return made.getvalue()


NESTED = TEXT.replace("control ingress {", "control ingress { " + "if 1 == 1 { " * 5000)
CONFIGS = {
    "no pipeline at all": (b"\0" * 1000, "it is no zip file, or a damaged one (File is not a zip file)"),
    "gigabytes in a few bytes": (
        bundle("/// x\n" * 5 * MIB),
        f"part pipeline.ir has {30 * MIB} bytes, at most {MIB}",
    ),
    "without end": (bundle(NESTED), "more than 64 levels are nested"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_that_are_none(connect: Callable[[], Client], bystander: Bystander, next_id: int, name: str) -> None:
    """What passes goes on passing, and others write in between."""
    client = connect()
    client.become_primary(next_id, role="pusher")
    data, words = CONFIGS[name]
    request = p4r.SetForwardingPipelineConfigRequest(device_id=1, role="pusher", election_id=U128.encode(next_id))
    request.action = p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT
    request.config.p4_device_config = data
    calls = [client.stub.SetForwardingPipelineConfig.future(request, timeout=TIMEOUT_S) for _ in range(8)]
    bystander.work()
    for call in calls:
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert words in call.details()
    bystander.work()
