"""SetForwardingPipelineConfig and GetForwardingPipelineConfig: every action, and refusals that change nothing."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.printers.bundle import write_bundle
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import Device, running

PORT = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 exact { value: "\000" } } action { action { action_id: 0x01000003 } } }'
OTHER = PORT.replace(r"\001", r"\002", 1)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Client]:
    """The primary of a model that has no pipeline yet."""
    arguments = ["--name", "d", "--listen", f"unix:{tmp_path}/d.sock", "--target", "model", "--device-id", "3"]
    with running(arguments, tmp_path) as address:
        client = Client(address, device_id=3)
        client.become_primary(1)
        yield client
        client.close()


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(RpcRefusedError) as error:
        call()
    assert error.value.errors == []
    return error.value.code, error.value.text


def test_without_a_pipeline(fresh: Client) -> None:
    nothing = ("FAILED_PRECONDITION", "No forwarding pipeline config is set for this device")
    assert refused(lambda: fresh.write(f"INSERT {PORT}")) == nothing
    assert refused(lambda: fresh.read("table_entry { }")) == nothing
    assert not fresh.get_config(device_id=3).HasField("config")
    code = ("NOT_FOUND", "no config has been saved (VERIFY_AND_SAVE) since the last commit")
    assert refused(lambda: fresh.set_config("COMMIT")) == code
    assert refused(lambda: fresh.set_config("UNSPECIFIED")) == ("INVALID_ARGUMENT", "the request has no action")


def test_reconcile_on_an_empty_device_commits(fresh: Client, device: Device) -> None:
    fresh.set_config("RECONCILE_AND_COMMIT", device.config)
    fresh.write(f"INSERT {PORT}")


def test_verify_changes_nothing(fresh: Client, device: Device) -> None:
    fresh.set_config("VERIFY", device.config)
    assert not fresh.get_config(device_id=3).HasField("config")


@pytest.mark.parametrize("action", ["VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT"])
def test_a_config_is_needed(primary: Client, action: str) -> None:
    assert refused(lambda: primary.set_config(action)) == ("INVALID_ARGUMENT", "the request has no config")


def test_commit_clears(primary: Client, device: Device) -> None:
    primary.write(f"INSERT {PORT}")
    primary.set_config("VERIFY_AND_COMMIT", device.config)
    assert primary.read("table_entry { }") == []


def test_save_then_write_then_commit(primary: Client, device: Device) -> None:
    primary.write(f"INSERT {PORT}")
    primary.set_config("VERIFY_AND_SAVE", device.config)
    assert primary.read("table_entry { }") == []
    primary.write(f"INSERT {OTHER}")
    assert refused(lambda: primary.set_config("COMMIT", device.config)) == (
        "INVALID_ARGUMENT",
        "COMMIT realizes what was saved; it takes no config",
    )
    primary.set_config("COMMIT")
    assert [one.table_entry.match[0].exact.value for one in primary.read("table_entry { }")] == [b"\2"]
    assert refused(lambda: primary.set_config("COMMIT"))[0] == "NOT_FOUND"


def test_saving_again_forgets_the_first(primary: Client, device: Device) -> None:
    primary.set_config("VERIFY_AND_SAVE", device.config)
    primary.write(f"INSERT {PORT}")
    primary.set_config("VERIFY_AND_SAVE", device.config)
    primary.set_config("COMMIT")
    assert primary.read("table_entry { }") == []


def test_reconcile_with_the_same_pipeline_keeps_everything(primary: Client, device: Device) -> None:
    primary.write(f"INSERT {PORT}", "MODIFY counter_entry { counter_id: 0x12000001 data { packet_count: 5 } }")
    config = p4r.ForwardingPipelineConfig()
    config.CopyFrom(device.config)
    config.cookie.cookie = 78
    primary.set_config("RECONCILE_AND_COMMIT", config)
    assert len(primary.read("table_entry { }")) == 1
    (cell,) = primary.read("counter_entry { counter_id: 0x12000001 index { index: 3 } }")
    assert cell.counter_entry.data.packet_count == 5
    assert primary.get_config("COOKIE_ONLY").config.cookie.cookie == 78


def test_reconcile_with_no_bundle_at_all(primary: Client, device: Device) -> None:
    primary.write(f"INSERT {PORT}")
    config = _with_bundle(device, device.config.p4_device_config + b"x" * 100_000)
    code, _ = refused(lambda: primary.set_config("RECONCILE_AND_COMMIT", config))
    assert code == "INVALID_ARGUMENT"
    assert len(primary.read("table_entry { }")) == 1


def test_refused_configs_leave_the_old_one(primary: Client, device: Device) -> None:
    primary.write(f"INSERT {PORT}")
    wrong_info = p4r.ForwardingPipelineConfig()
    wrong_info.CopyFrom(device.config)
    wrong_info.p4info.tables[2].size = 1
    bundle = device.config.p4_device_config
    rows = [
        (p4r.ForwardingPipelineConfig(p4info=device.config.p4info), "the config has no p4_device_config"),
        (_with_bundle(device, b"not a zip"), "p4_device_config is not a bundle: it is no zip file"),
        (_with_bundle(device, bundle[: len(bundle) // 2]), "p4_device_config is not a bundle: it is no zip file"),
        (wrong_info, "the P4Info is not that of pipeline turnout: tables, arp: size differs from the pipeline's"),
        (p4r.ForwardingPipelineConfig(p4_device_config=bundle), "the P4Info is not that of pipeline turnout: tables lacks port"),
    ]  # fmt: skip
    for config, words in rows:
        for action in ("VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT"):
            code, text = refused(lambda action=action, config=config: primary.set_config(action, config))
            assert (code, text[: len(words)]) == ("INVALID_ARGUMENT", words)
    assert len(primary.read("table_entry { }")) == 1
    assert primary.get_config().config == device.config
    assert refused(lambda: primary.set_config("COMMIT"))[0] == "NOT_FOUND"


def test_what_only_the_kernel_refuses(primary: Client, device: Device) -> None:
    if device.target != "kernel":
        return
    rows = [
        (write_bundle(device.pipeline), "the target kernel refuses the pipeline: the bundle has no tc.o"),
        (write_bundle(device.pipeline, tc=b"\x7fELF"), "the target kernel refuses the pipeline: "),
    ]
    for bundle, words in rows:
        code, text = refused(
            lambda bundle=bundle: primary.set_config("VERIFY_AND_COMMIT", _with_bundle(device, bundle))
        )
        assert (code, text[: len(words)]) == ("INVALID_ARGUMENT", words)
    primary.write(f"INSERT {PORT}")


def test_get(primary: Client, device: Device) -> None:
    config = device.config
    assert primary.get_config("ALL").config == config
    assert primary.get_config("COOKIE_ONLY").config == p4r.ForwardingPipelineConfig(cookie=config.cookie)
    assert primary.get_config("P4INFO_AND_COOKIE").config == p4r.ForwardingPipelineConfig(
        p4info=config.p4info, cookie=config.cookie
    )
    assert primary.get_config("DEVICE_CONFIG_AND_COOKIE").config == p4r.ForwardingPipelineConfig(
        p4_device_config=config.p4_device_config, cookie=config.cookie
    )


def _with_bundle(device: Device, bundle: bytes) -> p4r.ForwardingPipelineConfig:
    return p4r.ForwardingPipelineConfig(p4info=device.config.p4info, p4_device_config=bundle)
