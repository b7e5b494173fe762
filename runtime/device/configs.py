"""Forwarding pipeline configurations: the one that packets pass, and one that may be saved for a later COMMIT.

A saved configuration is a whole instance of the target, loaded beside the running one: reads and writes go to it, and
COMMIT is one step. A refused configuration leaves both as they were. Whatever changes is written down before it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from finsy.proto import p4r

from compiler.printers.bundle import Bundle
from runtime.device.batch import Batch, Outcomes
from runtime.device.digesting import Tell
from runtime.device.failpoints import Point, reached
from runtime.device.idling import monotonic_ms, resume
from runtime.device.journal.journal import Recorder
from runtime.device.journal.records import DONE, REFUSED, Outcome, none_of, outcome_of
from runtime.device.journal.replay import carry, replayed
from runtime.device.loaded import Loaded, check_fit, loaded, read_config
from runtime.device.packetio import decode_packet_out
from runtime.device.portnames import NO_PORTS, PortNames
from runtime.device.reads import Reader
from runtime.device.refusals import Code, RefusedError, aborted, invalid, not_found
from runtime.device.slices import Steps
from runtime.device.target import Instance, PipelineRefusedError, Target
from runtime.device.upcalls import Upcalls

REQUEST = p4r.SetForwardingPipelineConfigRequest
NO_CONFIG_GIVEN = "the request has no config"
NO_CONFIG = "No forwarding pipeline config is set for this device"


class Configs:
    """One device's configurations. The caller sees to it that no two changes run at a time."""

    def __init__(self, target: Target, journal: Recorder, tell: Tell, ports: PortNames = NO_PORTS) -> None:
        """`tell` takes what packets have for controllers; `ports` are the names of ports."""
        self._ports = ports
        self._target = target
        self._journal = journal
        self._tell = tell
        self._upcalls: Upcalls | None = None
        self.committed: Loaded | None = None
        self.saved: Loaded | None = None

    @property
    def current(self) -> Loaded:
        """What reads and writes refer to: the saved one if there is one. Raises FAILED_PRECONDITION."""
        found = self.saved or self.committed
        if found is None:
            raise RefusedError(Code.FAILED_PRECONDITION, NO_CONFIG)
        return found

    def check_held(self, reader: Reader) -> None:
        """Raises ABORTED: what it reads has been given back, since another pipeline was committed meanwhile."""
        if not any(one is not None and one.reader is reader for one in (self.committed, self.saved)):
            raise aborted("another pipeline took over while this was read; read again")

    def write(self, request: p4r.WriteRequest, raw: bytes | None = None) -> Steps[Outcomes]:
        """One outcome for each update, in order. Raises `RefusedError`: nothing is done.

        `raw` is the request as it came, if it is all to be done. The caller keeps readers away until it is over.
        """
        current = self.current
        self._journal.intend(request, raw)
        reached(Point.INTENT)
        outcome: Outcome | None = None
        try:
            given = yield from current.writer.steps(Batch(request.updates, request.atomicity, raw))
            outcome = outcome_of(given)
            reached(Point.APPLIED)
        finally:
            for space, value, number in current.schema.translations.take_new():
                self._journal.note_name(space, value, number)
            self._journal.conclude(none_of(len(request.updates)) if outcome is None else outcome)
        reached(Point.CONCLUDED)
        return given

    async def set(self, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        """Raises `RefusedError`: INVALID_ARGUMENT, NOT_FOUND (nothing saved), UNIMPLEMENTED."""
        match request.action:
            case REQUEST.VERIFY:
                (await self._load(request)).instance.remove()
            case REQUEST.VERIFY_AND_SAVE:
                self._save(await self._load(request))
            case REQUEST.VERIFY_AND_COMMIT:
                await self._commit(await self._load(request))
            case REQUEST.COMMIT:
                if request.HasField("config"):
                    raise invalid("COMMIT realizes what was saved; it takes no config")
                if self.saved is None:
                    raise not_found("no config has been saved (VERIFY_AND_SAVE) since the last commit")
                await self._commit(self.saved)
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

    def packet_out(self, message: p4r.PacketOut) -> None:
        """Send a controller's packet by the pipeline that runs.

        Raises `RefusedError`: FAILED_PRECONDITION without one, INVALID_ARGUMENT, and what the target refuses.
        """
        if self.committed is None:
            raise RefusedError(Code.FAILED_PRECONDITION, NO_CONFIG)
        schema = self.committed.schema
        packet = decode_packet_out(schema.pipeline.packet_out, message, schema.translations.types)
        if packet.port is None:
            self._target.submit(packet.frame)
        else:
            self._target.send(packet.port, packet.frame)

    def digest_ack(self, message: p4r.DigestListAck) -> None:
        """Raises `RefusedError`: FAILED_PRECONDITION without a pipeline, INVALID_ARGUMENT."""
        if self._upcalls is None:
            raise RefusedError(Code.FAILED_PRECONDITION, NO_CONFIG)
        self._upcalls.acknowledge(message)

    def hear(self, given: Loaded) -> None:
        """Tell controllers what packets have for them in a configuration that has become active."""
        self._upcalls = Upcalls(given.schema, given.contents, self._tell)
        given.instance.listen(self._upcalls)

    def tick(self) -> None:
        """About once a second."""
        self._target.tick()
        if self._upcalls is not None:
            self._upcalls.tick()
        for one in (self.committed, self.saved):
            if one is not None:
                one.instance.tick()

    def close(self) -> None:
        for one in (self.saved, self.committed):
            if one is not None:
                one.instance.close()
        self.saved = self.committed = None

    async def _load(self, request: p4r.SetForwardingPipelineConfigRequest) -> Loaded:
        config, bundle = await _read(request)
        instance = await self._prepared(self._target.prepare, bundle)
        return loaded(config, bundle.pipeline, instance, self._ports)

    async def _prepared(self, prepare: Callable[[Bundle], Instance], bundle: Bundle) -> Instance:
        try:
            return await asyncio.to_thread(prepare, bundle)
        except PipelineRefusedError as refusal:
            raise invalid(f"the target {self._target.name} refuses the pipeline: {refusal}") from refusal

    def _save(self, given: Loaded) -> None:
        self._intend("VERIFY_AND_SAVE", given)
        if self.saved is not None:
            self.saved.instance.remove()
        reached(Point.RELEASED)
        self.saved = given
        self._journal.conclude(DONE)
        reached(Point.CONFIG_CONCLUDED)

    async def _commit(self, given: Loaded, action: str = "VERIFY_AND_COMMIT") -> None:
        self._intend("COMMIT" if given is self.saved else action, given)
        try:
            await asyncio.to_thread(given.instance.activate)
        except (PipelineRefusedError, RefusedError) as refusal:
            self._journal.conclude(REFUSED)
            if given is not self.saved:
                given.instance.remove()
            raise invalid(f"the target {self._target.name} cannot activate the pipeline: {refusal}") from refusal
        reached(Point.ACTIVATED)
        self.hear(given)
        for other in (self.saved, self.committed):
            if other is not None and other is not given:
                other.instance.remove()
        reached(Point.RELEASED)
        self.saved, self.committed = None, given
        self._journal.conclude(DONE)
        reached(Point.CONFIG_CONCLUDED)

    def _intend(self, action: str, given: Loaded) -> None:
        """Write down what is about to change. Raises `RefusedError`: it must not change then."""
        reached(Point.LOADED)
        try:
            self._journal.intend_config(action, given.config, given.instance.place)
        except RefusedError:
            if given is not self.saved:
                given.instance.remove()
            raise
        reached(Point.CONFIG_INTENT)

    async def _reconcile(self, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        old = self.committed
        if old is None:
            await self._commit(await self._load(request))
            return
        if not request.HasField("config"):
            raise invalid(NO_CONFIG_GIVEN)
        if old.config.p4_device_config != request.config.p4_device_config:
            await self._carry_over(old, request)
            return
        check_fit(request.config.p4info, old.schema.pipeline)
        self._journal.intend_config("RECONCILE_AND_COMMIT", request.config, old.instance.place)
        reached(Point.CONFIG_INTENT)
        old.config.CopyFrom(request.config)
        if self.saved is not None:
            self.saved.instance.remove()
            self.saved = None
        self._journal.conclude(DONE)

    async def _carry_over(self, old: Loaded, request: p4r.SetForwardingPipelineConfigRequest) -> None:
        """All that was written goes on in another pipeline, or nothing changes: INVALID_ARGUMENT."""
        config, bundle = await _read(request)
        made = await asyncio.to_thread(replayed, config, bundle, "", self._ports)
        refusals = await asyncio.to_thread(carry, old, made)
        if refusals:
            more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
            raise invalid(f"pipeline {bundle.pipeline.name} cannot keep what is there: {refusals[0]}{more}")
        instance = await self._prepared(partial(self._target.prepare_after, old.instance), bundle)
        placed = made.loaded.moved_to(instance)
        try:
            await asyncio.to_thread(instance.adopt, placed.contents)
        except RefusedError:
            instance.remove()
            raise
        await self._commit(placed, "RECONCILE_AND_COMMIT")
        await asyncio.to_thread(resume, placed, monotonic_ms())


async def _read(request: p4r.SetForwardingPipelineConfigRequest) -> tuple[p4r.ForwardingPipelineConfig, Bundle]:
    """A copy of the config, which is the device's own from now on, and what it holds. Raises INVALID_ARGUMENT."""
    if not request.HasField("config"):
        raise invalid(NO_CONFIG_GIVEN)
    config = p4r.ForwardingPipelineConfig()
    config.CopyFrom(request.config)
    return config, await asyncio.to_thread(read_config, config)
