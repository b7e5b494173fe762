"""A config takes long in the target: the event loop answers everybody else meanwhile, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle, write_bundle
from compiler.printers.p4info import p4info
from runtime.device.configs import Configs
from runtime.device.contents import Contents
from runtime.device.findings import Found
from runtime.device.journal.journal import Forgetful
from runtime.device.modeltarget import ModelInstance, ModelTarget
from runtime.device.target import Advance, Instance, UnderWay, unwatched
from tests.differential.metered import metered

REQUEST = p4r.SetForwardingPipelineConfigRequest
PATIENCE_S = 60
"""After this the loop is taken for held up; nothing waits so long otherwise."""


class Patient:
    """Whatever takes long says that it has begun, and goes on once the event loop has answered somebody else."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.begun: list[str] = []
        self.held_up: list[str] = []

    def at(self, what: str) -> None:
        answered = threading.Event()
        self.begun.append(what)
        self._loop.call_soon_threadsafe(answered.set)
        if not answered.wait(PATIENCE_S):
            self.held_up.append(what)


class SlowInstance(ModelInstance):
    patient: Patient

    def adopt(self, contents: Contents, under_way: UnderWay | None = None, advance: Advance = unwatched) -> list[Found]:
        self.patient.at("adopt")
        return super().adopt(contents, under_way, advance)

    def activate(self) -> None:
        self.patient.at("activate")
        super().activate()


class SlowTarget(ModelTarget):
    patient: Patient

    def prepare(self, bundle: Bundle) -> ModelInstance:
        self.patient.at("prepare")
        made = super().prepare(bundle)
        made.__class__ = SlowInstance
        assert isinstance(made, SlowInstance)
        made.patient = self.patient
        return made


def request(pipeline: Pipeline, action: REQUEST.Action.ValueType) -> p4r.SetForwardingPipelineConfigRequest:
    config = p4r.ForwardingPipelineConfig(p4info=p4info(pipeline), p4_device_config=write_bundle(pipeline))
    return REQUEST(device_id=1, action=action, config=config)


def changed() -> Pipeline:
    return replace(metered(), version="2")


@pytest.mark.parametrize("action", [REQUEST.VERIFY_AND_COMMIT, REQUEST.RECONCILE_AND_COMMIT])
def test_others_are_answered_meanwhile(action: REQUEST.Action.ValueType) -> None:
    async def run() -> Patient:
        target, patient = SlowTarget(), Patient(asyncio.get_running_loop())
        target.patient = patient
        configs = Configs(target, Forgetful(), lambda _: True)
        await configs.set(request(metered(), REQUEST.VERIFY_AND_COMMIT))
        await configs.set(request(changed(), action))
        assert configs.committed is not None
        instance: Instance = configs.committed.instance
        assert instance.pipeline.version == "2"
        configs.close()
        return patient

    patient = asyncio.run(run())
    adopted = ["adopt"] if action == REQUEST.RECONCILE_AND_COMMIT else []
    assert patient.begun == ["prepare", "activate", "prepare", *adopted, "activate"]
    assert patient.held_up == []
