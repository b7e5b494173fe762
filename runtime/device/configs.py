"""Forwarding pipeline configurations: the one that packets pass, and one that may be saved for a later COMMIT.

A saved configuration is a whole instance of the target, loaded beside the running one: reads and writes go to it, and
COMMIT is one step. A refused configuration leaves both as they were.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from finsy.proto import p4i, p4r

from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle, BundleError, read_bundle
from compiler.printers.p4info import p4info
from runtime.device.contents import Contents, empty_contents
from runtime.device.fit import first_difference
from runtime.device.reads import Reader
from runtime.device.refusals import Code, RefusedError, invalid, not_found, unimplemented
from runtime.device.schema import Schema, schema
from runtime.device.target import Instance, PipelineRefusedError, Target
from runtime.device.updates import Writer
from runtime.verified import NOT_VERIFIED, RecordError, program_digests, program_standing, read_verification

LOG = logging.getLogger("turnout.device")
REQUEST = p4r.SetForwardingPipelineConfigRequest
NO_CONFIG = "No forwarding pipeline config is set for this device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, its codecs, what was written into it, and its place in the target."""

    config: p4r.ForwardingPipelineConfig
    schema: Schema
    contents: Contents
    instance: Instance
    writer: Writer
    reader: Reader


class Configs:
    """One device's configurations. The caller sees to it that no two changes run at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.committed: Loaded | None = None
        self.saved: Loaded | None = None

    @property
    def current(self) -> Loaded:
        """What reads and writes refer to: the saved one if there is one. Raises FAILED_PRECONDITION."""
        found = self.saved or self.committed
        if found is None:
            raise RefusedError(Code.FAILED_PRECONDITION, NO_CONFIG)
        return found

    async def set(self, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        """Raises `RefusedError`: INVALID_ARGUMENT, NOT_FOUND (nothing saved), UNIMPLEMENTED."""
        match request.action:
            case REQUEST.VERIFY:
                (await self._load(request)).instance.close()
            case REQUEST.VERIFY_AND_SAVE:
                self._save(await self._load(request))
            case REQUEST.VERIFY_AND_COMMIT:
                self._commit(await self._load(request))
            case REQUEST.COMMIT:
                if request.HasField("config"):
                    raise invalid("COMMIT realizes what was saved; it takes no config")
                if self.saved is None:
                    raise not_found("no config has been saved (VERIFY_AND_SAVE) since the last commit")
                self._commit(self.saved)
            case REQUEST.RECONCILE_AND_COMMIT:
                await self._reconcile(request)
            case _:
                raise invalid("the request has no action")

    def get(
        self, kind: p4r.GetForwardingPipelineConfigRequest.ResponseType.ValueType
    ) -> p4r.ForwardingPipelineConfig | None:
        """The parts asked for of the current configuration, None without one."""
        current, asked = self.saved or self.committed, p4r.GetForwardingPipelineConfigRequest
        if current is None:
            return None
        whole = current.config
        answer = p4r.ForwardingPipelineConfig()
        if whole.HasField("cookie"):
            answer.cookie.CopyFrom(whole.cookie)
        if kind in (asked.ALL, asked.P4INFO_AND_COOKIE):
            answer.p4info.CopyFrom(whole.p4info)
        if kind in (asked.ALL, asked.DEVICE_CONFIG_AND_COOKIE):
            answer.p4_device_config = whole.p4_device_config
        return answer

    def tick(self) -> None:
        """About once a second."""
        self._target.tick()
        for loaded in (self.committed, self.saved):
            if loaded is not None:
                loaded.instance.tick()

    def close(self) -> None:
        for loaded in (self.saved, self.committed):
            if loaded is not None:
                loaded.instance.close()
        self.saved = self.committed = None

    async def _load(self, request: p4r.SetForwardingPipelineConfigRequest) -> Loaded:
        if not request.HasField("config"):
            raise invalid("the request has no config")
        config = p4r.ForwardingPipelineConfig()
        config.CopyFrom(request.config)
        bundle, pipeline = await asyncio.to_thread(_read, config)
        try:
            instance = await asyncio.to_thread(self._target.prepare, bundle)
        except PipelineRefusedError as refusal:
            raise invalid(f"the target {self._target.name} refuses the pipeline: {refusal}") from refusal
        return _loaded(config, pipeline, instance)

    def _save(self, loaded: Loaded) -> None:
        if self.saved is not None:
            self.saved.instance.close()
        self.saved = loaded

    def _commit(self, loaded: Loaded) -> None:
        try:
            loaded.instance.activate()
        except PipelineRefusedError as refusal:
            if loaded is not self.saved:
                loaded.instance.close()
            raise invalid(f"the target {self._target.name} cannot activate the pipeline: {refusal}") from refusal
        for other in (self.saved, self.committed):
            if other is not None and other is not loaded:
                other.instance.close()
        self.saved, self.committed = None, loaded

    async def _reconcile(self, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        if not request.HasField("config"):
            raise invalid("the request has no config")
        old = self.committed
        if old is None:
            self._commit(await self._load(request))
            return
        if old.config.p4_device_config != request.config.p4_device_config:
            raise unimplemented(
                "RECONCILE_AND_COMMIT: keeping state over a changed pipeline is not supported; "
                "VERIFY_AND_COMMIT replaces it and clears the state"
            )
        _check_fit(request.config.p4info, old.schema.pipeline)
        old.config.CopyFrom(request.config)
        if self.saved is not None:
            self.saved.instance.close()
            self.saved = None


def _read(config: p4r.ForwardingPipelineConfig) -> tuple[Bundle, Pipeline]:
    """Raises INVALID_ARGUMENT."""
    if not config.p4_device_config:
        raise invalid("the config has no p4_device_config: the bundle that `turnout compile` writes")
    try:
        bundle = read_bundle(config.p4_device_config)
    except BundleError as problem:
        raise invalid(f"p4_device_config is not a bundle: {problem}") from problem
    _check_fit(config.p4info, bundle.pipeline)
    LOG.info("pipeline %s %s: %s", bundle.pipeline.name, bundle.pipeline.version, _standing(bundle))
    return bundle, bundle.pipeline


def _standing(bundle: Bundle) -> str:
    """Whether somebody has verified this very program, for who reads the log: nothing depends on it."""
    if bundle.verification is None:
        return NOT_VERIFIED
    try:
        record = read_verification(bundle.verification)
    except RecordError as problem:
        return f"{NOT_VERIFIED}: {problem}"
    return program_standing(record, program_digests(bundle.pipeline, bundle.tc, bundle.xdp))


def _check_fit(given: p4i.P4Info, pipeline: Pipeline) -> None:
    difference = first_difference(given, p4info(pipeline))
    if difference is not None:
        raise invalid(f"the P4Info is not that of pipeline {pipeline.name}: {difference}")


def _loaded(config: p4r.ForwardingPipelineConfig, pipeline: Pipeline, instance: Instance) -> Loaded:
    codecs = schema(pipeline)
    contents = empty_contents(pipeline, tuple(codecs.tables.values()))
    return Loaded(
        config=config,
        schema=codecs,
        contents=contents,
        instance=instance,
        writer=Writer(codecs, contents, instance),
        reader=Reader(codecs, contents, instance),
    )
