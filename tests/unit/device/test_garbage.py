"""What a change of pipelines leaves in cycles is freed, whatever was alive when objects were looked at."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from finsy.proto import p4r

from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.device import garbage
from runtime.device.garbage import Remains
from runtime.device.loaded import loaded, read_config
from runtime.device.modeltarget import ModelTarget

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What is collected here may be another test's."""
FEW = 50
"""Objects that the standard library leaves; a pipeline is tens of thousands."""


@dataclass(eq=False)
class Pipeline:
    """In a cycle, as one with closures of its own."""

    itself: Any = None

    def __post_init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Generator[None]:
    yield
    gc.unfreeze()


def gone_pipeline() -> weakref.ref[Pipeline]:
    """One that was alive when all that was there was looked at for the last time."""
    one = Pipeline()
    gc.collect()
    gc.freeze()
    return weakref.ref(one)


def test_a_pipeline_that_has_gone_is_freed_once_a_change_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much the tests before have left in this process."""
    monkeypatch.setattr(garbage, "MOST", sys.maxsize)
    remains, left = Remains(), gone_pipeline()
    gc.collect()
    remains.clear(is_quiet=True)
    assert left() is not None
    remains.expect()
    remains.clear(is_quiet=True)
    assert left() is None


def test_what_has_gone_waits_while_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not for ever."""
    monkeypatch.setattr(garbage, "MOST", sys.maxsize)
    remains, left = Remains(), gone_pipeline()
    remains.expect()
    for _ in range(garbage.PATIENCE - 1):
        remains.clear(is_quiet=False)
        assert left() is not None
    remains.clear(is_quiet=False)
    assert left() is None


def test_a_pipeline_that_has_gone_is_in_no_cycle() -> None:
    """Else a device to which one is given again and again grows by megabytes each time, while it is not idle."""
    target, config = ModelTarget(), p4r.ForwardingPipelineConfig(p4info=p4info(pipeline()))
    config.p4_device_config = write_bundle(pipeline())

    def come_and_go() -> None:
        bundle = read_config(config)
        given = loaded(config, bundle.pipeline, target.prepare(bundle))
        given.instance.activate()
        given.instance.remove()

    come_and_go()
    gc.collect()
    gc.disable()
    try:
        come_and_go()
        assert gc.collect() <= FEW
    finally:
        gc.enable()


def test_a_device_with_very_many_entries_goes_on_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "MOST", 1)
    remains, left = Remains(), gone_pipeline()
    remains.expect()
    remains.clear(is_quiet=True)
    assert left() is not None
