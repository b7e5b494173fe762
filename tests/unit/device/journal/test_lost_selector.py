"""RECONCILE_AND_COMMIT to a pipeline without a selector in which nothing is."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.fuzzing.subjects import config
from tests.unit.device.journal.device import Device


def test_an_empty_selector_may_be_missing(tmp_path: Path) -> None:
    device = Device(tmp_path / "state")
    device.set("VERIFY_AND_COMMIT", config("plain", "model").message)
    device.set("RECONCILE_AND_COMMIT", config("metered", "model").message)
    assert device.configs.current.schema.pipeline.name == "metered"
    device.kill()
