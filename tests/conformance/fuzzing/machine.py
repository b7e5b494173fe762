"""The state machine: batches, reads, clients that come, go and take over, configurations, no messages at all, links.

One device is used by all examples of a run. Each example begins with a new primary that loads the pipeline anew, so
that it depends on nothing before it; only election ids go on rising, and are drawn as steps from the highest.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from finsy.proto import U128, p4r
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.conformance.client import RpcRefusedError, Session
from tests.conformance.fuzzing.dice import Dice
from tests.conformance.fuzzing.driving import Answer, DifferentError, Driver, shown
from tests.conformance.fuzzing.faults import FAULTS
from tests.conformance.fuzzing.making import Maker
from tests.conformance.fuzzing.subjects import Running
from tests.conformance.fuzzing.talking import Stream, compare_errors
from tests.conformance.fuzzing.walking import damage
from tests.conformance.oracle.arbitration import Told
from tests.conformance.oracle.device import Config
from tests.conformance.oracle.judgement import Code

SET = p4r.SetForwardingPipelineConfigRequest
ROLES = ("", "operator", "observer")
MANY_STREAMS = 5
LONGEST_BATCH = 40
METHODS = ("Write", "Read", "SetForwardingPipelineConfig", "GetForwardingPipelineConfig", "Capabilities")


@st.composite
def batches(draw: st.DrawFn, machine: Fuzz, longest: int) -> p4r.WriteRequest:
    return machine.batch(Dice(draw), longest)


class Fuzz(RuleBasedStateMachine):
    """`running` and `driver` are set once for a run."""

    running: ClassVar[Running]
    driver: ClassVar[Driver]
    numbers: ClassVar[list[int]] = [0]
    """Of the last stream."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[Stream] = []
        self.oracle = self.driver.oracle
        self.stub = self.driver.stub

    @initialize()
    def begin(self) -> None:
        """A primary of the default role, and an empty pipeline."""
        self.driver.story.clear()
        self._open()
        self._arbitrate(self.streams[0], "", self._highest("") + 1)
        self._set_config(SET.VERIFY_AND_COMMIT, self.running.configs[0])

    # writes

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        self.driver.write(data.draw(batches(self, LONGEST_BATCH), label="batch"))

    @rule(data=st.data())
    def write_much(self, data: st.DataObject) -> None:
        """Several batches, by a primary, and whether all is there."""
        self._take_over()
        for _ in range(4):
            self.driver.write(data.draw(batches(self, LONGEST_BATCH), label="batch"))
        self.driver.read_everything()

    @rule(port=st.sampled_from((1, 16)), is_up=st.booleans())
    def change_a_link(self, port: int, is_up: bool) -> None:
        """Nothing that a client reads changes by it."""
        self.running.set_link(port, is_up)

    @rule(data=st.data())
    def write_as_somebody(self, data: st.DataObject) -> None:
        """By a backup, in another role, to another device, without an election id."""
        request = data.draw(batches(self, 2), label="batch")
        dice = Dice(data.draw)
        match dice.below(4):
            case 0:
                request.role = dice.one((*ROLES, "nobody"))
            case 1:
                request.device_id = dice.one((2, 0, 1))
            case 2:
                request.ClearField("election_id")
            case _:
                pass
        if request.HasField("election_id"):
            highest = self._highest(request.role)
            request.election_id.CopyFrom(U128.encode(dice.one((highest, highest + 1, max(0, highest - 1), 0))))
        self.driver.write(request)

    def batch(self, dice: Dice, longest: int) -> p4r.WriteRequest:
        request = p4r.WriteRequest(device_id=1, election_id=U128.encode(self._highest("")))
        current = self.oracle.current
        if current is None:
            return request
        maker = Maker(dice, current.state)
        for _ in range(dice.one((longest, 1, max(1, longest // 4), max(1, longest // 2)))):
            update = maker.update()
            self._spoil(dice, update)
            request.updates.append(update)
        if dice.rarely(5):
            request.atomicity = dice.one((1, 2, 0, 9))  # pyright: ignore[reportAttributeAccessIssue]
        return request

    def _spoil(self, dice: Dice, update: p4r.Update) -> None:
        """Two of three updates stay as they are."""
        known = self.running.configs[0].known
        match dice.below(6):
            case 4:
                dice.one(FAULTS)[1](dice, known, update)
            case 5:
                damage(dice, update)
                if dice.rarely(3):
                    dice.one(FAULTS)[1](dice, known, update)
            case _:
                pass

    # reads

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        current = self.oracle.current
        assert current is not None
        dice = Dice(data.draw)
        maker = Maker(dice, current.state)
        requests = [maker.request() for _ in range(1 + dice.below(4))]
        for request in requests:
            if dice.rarely(4):
                damage(dice, request)
        self.driver.read(requests, device_id=2 if dice.rarely(20) else 1)

    @rule()
    def read_everything(self) -> None:
        self.driver.read_everything()

    # clients

    @rule(data=st.data())
    def arbitrate(self, data: st.DataObject) -> None:
        """A stream that is there, or a new one, asks for a role with an election id near the highest."""
        dice = Dice(data.draw)
        if (len(self.streams) < MANY_STREAMS and dice.below(2)) or not self.streams:
            self._open()
            stream = self.streams[-1]
        else:
            stream = dice.one(self.streams)
        current = self.oracle.arbitration.role_of.get(stream.number)
        role = dice.one(ROLES) if current is None or dice.rarely(8) else current
        highest = self._highest(role)
        election_id = dice.one((highest + 1, highest, max(0, highest - 1), None, highest + (1 << 64)))
        self._arbitrate(stream, role, election_id, device_id=dice.one((1, 1, 1, 1, 1, 1, 2)))

    @rule()
    def take_over(self) -> None:
        self._take_over()

    def _take_over(self) -> None:
        """There is a primary of the default role again: till then, all that is written is refused."""
        if self.oracle.arbitration.roles[""].primary is None:
            self._open()
            self._arbitrate(self.streams[-1], "", self._highest("") + 1)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.streams:
            self._leave(Dice(data.draw).one(self.streams))

    @rule(data=st.data())
    def speak(self, data: st.DataObject) -> None:
        """Packets and acknowledgements by anybody; what has nothing in it comes last, since its answer is certain."""
        current = self.oracle.current
        if not self.streams or current is None:
            return
        dice = Dice(data.draw)
        stream, maker = dice.one(self.streams), Maker(dice, current.state)
        messages = [maker.message() for _ in range(1 + dice.below(4))]
        for message in messages:
            if dice.rarely(3):
                damage(dice, message)
        messages = [message for message in messages if message.WhichOneof("update") not in ("arbitration", None)]
        for message in (*messages, p4r.StreamMessageRequest()):
            stream.session.send(message)
        role = self.oracle.arbitration.roles.get(self.oracle.arbitration.role_of.get(stream.number, "nobody's"))
        is_primary = role is not None and role.primary == stream.number
        compare_errors(stream, messages, current.state.known, is_primary=is_primary)

    # configurations

    @rule(data=st.data())
    def configure(self, data: st.DataObject) -> None:
        dice = Dice(data.draw)
        dice.one((self._set_any_config, self._get_config, self._set_what_cannot_be))(dice)

    def _set_any_config(self, dice: Dice) -> None:
        action = dice.one(
            (SET.VERIFY, SET.VERIFY_AND_SAVE, SET.COMMIT, SET.RECONCILE_AND_COMMIT, SET.VERIFY_AND_COMMIT, 0, 9)
        )
        config = dice.one(self.running.configs)
        self._set_config(action, None if action == SET.COMMIT and not dice.rarely(5) else config)

    def _set_config(self, action: int, config: Config | None) -> None:
        request = self._config_request(action, None if config is None else config.message)
        judgement = self.oracle.set_config(request, config)
        answer = self.driver.call("SetForwardingPipelineConfig", request.SerializeToString())
        _check(answer, judgement.acceptable, "SetForwardingPipelineConfig")
        if answer.code is Code.OK and judgement.change is not None:
            judgement.change()

    def _config_request(
        self, action: int, config: p4r.ForwardingPipelineConfig | None
    ) -> p4r.SetForwardingPipelineConfigRequest:
        request = SET(device_id=1, election_id=U128.encode(self._highest("")), config=config)
        request.action = action  # pyright: ignore[reportAttributeAccessIssue]
        return request

    def _set_what_cannot_be(self, dice: Dice) -> None:
        """Configurations that are none: cut, another pipeline's P4Info, nothing at all."""
        action = dice.one((SET.VERIFY, SET.VERIFY_AND_SAVE, SET.VERIFY_AND_COMMIT))
        broken = p4r.ForwardingPipelineConfig()
        broken.CopyFrom(self.running.configs[0].message)
        match dice.below(4):
            case 0:
                broken.p4_device_config = broken.p4_device_config[: dice.below(len(broken.p4_device_config))]
            case 1:
                broken.p4info.Clear()
            case 2:
                broken.p4info.tables[0].size += 1
            case _:
                broken.Clear()
        request = self._config_request(action, broken)
        answer = self.driver.call("SetForwardingPipelineConfig", request.SerializeToString())
        _check(
            answer, self.oracle.set_config(request, None).acceptable, "SetForwardingPipelineConfig of a broken config"
        )

    def _get_config(self, dice: Dice) -> None:
        kind = dice.one(p4r.GetForwardingPipelineConfigRequest.ResponseType.values())
        request = p4r.GetForwardingPipelineConfigRequest(device_id=1, response_type=kind)
        answer = self.driver.call("GetForwardingPipelineConfig", request.SerializeToString())
        _check(answer, {Code.OK}, "GetForwardingPipelineConfig")
        found = p4r.GetForwardingPipelineConfigResponse.FromString(answer.received[0]).config
        current = self.oracle.current
        assert current is not None
        wanted = p4r.ForwardingPipelineConfig()
        wanted.CopyFrom(current.config.message)
        if kind in (request.COOKIE_ONLY, request.P4INFO_AND_COOKIE):
            wanted.ClearField("p4_device_config")
        if kind in (request.COOKIE_ONLY, request.DEVICE_CONFIG_AND_COOKIE):
            wanted.ClearField("p4info")
        if found != wanted:
            raise DifferentError("GetForwardingPipelineConfig: another configuration than the one that was set")

    # bytes

    @rule(data=st.data())
    def garbage(self, data: st.DataObject) -> None:
        """What is no message is refused, and whatever may be one changes nothing: it has no election id."""
        dice = Dice(data.draw)
        method, junk = dice.one(METHODS), b"\x0a\xff\xff" + dice.bytes(12)
        answer = (self.driver.stream if method == "Read" else self.driver.call)(method, junk)
        _check(answer, {Code.INVALID_ARGUMENT}, f"{method} of {junk.hex()}")
        answer = self.driver.call("Capabilities", b"")
        version = p4r.CapabilitiesResponse.FromString(answer.received[0]).p4runtime_api_version
        assert version == "1.5.0"

    # streams

    def _highest(self, role: str) -> int:
        known = self.oracle.arbitration.roles.get(role)
        return 0 if known is None or known.highest is None else known.highest

    def _open(self) -> None:
        self.numbers[0] += 1
        self.streams.append(Stream(self.numbers[0], Session(self.stub, 1)))

    def _arbitrate(self, stream: Stream, role: str, election_id: int | None, *, device_id: int = 1) -> None:
        update = p4r.MasterArbitrationUpdate(device_id=device_id)
        if role:
            update.role.name = role
        if election_id is not None:
            update.election_id.CopyFrom(U128.encode(election_id))
        code, told = self.oracle.arbitration.arbitrate(stream.number, update)
        stream.session.send(p4r.StreamMessageRequest(arbitration=update))
        if code is not Code.OK:
            self.streams.remove(stream)
            self._expect_end(stream, code)
        self._expect(told)

    def _expect(self, outcome: dict[int, Told]) -> None:
        for stream in self.streams:
            if stream.number in outcome:
                self._compare(stream, outcome[stream.number])

    def _compare(self, stream: Stream, wanted: Told) -> None:
        found = stream.receive().arbitration
        told = Told(
            role=found.role.name,
            election_id=U128.decode(found.election_id) if found.HasField("election_id") else None,
            code=Code(found.status.code),
        )
        if told != wanted or found.device_id != 1:
            raise DifferentError(f"stream {stream.number} is told {told}, expected is {wanted}")

    def _expect_end(self, stream: Stream, code: Code) -> None:
        try:
            message = stream.receive()
        except RpcRefusedError as refused:
            if refused.code != code.name:
                raise DifferentError(f"a stream ends with {refused.code}, expected is {code.name}") from refused
        else:
            raise DifferentError(f"a stream goes on that should end with {code.name}: {shown(message)}")

    def _leave(self, stream: Stream) -> None:
        """It stops sending, and the device ends it: by then everybody has been told."""
        stream.session.half_close()
        stream.wait_for_end()
        self.streams.remove(stream)
        self._expect(self.oracle.arbitration.leave(stream.number))

    def teardown(self) -> None:
        for stream in list(self.streams):
            self._leave(stream)


def _check(answer: Answer, acceptable: Collection[Code], what: str) -> None:
    if answer.code not in acceptable:
        named = " or ".join(sorted(code.name for code in acceptable))
        raise DifferentError(f"{what}: {answer.code.name} ({answer.text}), acceptable is {named}")
