"""One StreamChannel of the state machine, and what is said on it beside arbitration."""

from __future__ import annotations

from dataclasses import dataclass

from finsy.proto import p4r

from tests.conformance.client import Session
from tests.conformance.fuzzing.driving import DifferentError, shown
from tests.conformance.oracle.judgement import Code
from tests.conformance.oracle.program import Program
from tests.conformance.oracle.streaming import judge_message

UNASKED = ("idle_timeout_notification", "packet", "digest")


@dataclass(slots=True)
class Stream:
    """A StreamChannel, by its number in the oracle."""

    number: int
    session: Session

    def receive(self) -> p4r.StreamMessageResponse:
        """The next message that is an answer: entries may be idle at any time."""
        while (message := self.session.receive()).WhichOneof("update") in UNASKED:
            pass
        return message

    def wait_for_end(self) -> None:
        self.session.wait_for_end(unless=UNASKED)


def compare_errors(
    stream: Stream, messages: list[p4r.StreamMessageRequest], known: Program, *, is_primary: bool
) -> None:
    """Errors come in the order of what they are about."""
    error = stream.receive().error
    for message in messages:
        judgement = judge_message(known, message, is_primary=is_primary)
        if about(error) == about_message(message):
            code, error = Code(error.canonical_code), stream.receive().error
        else:
            code = Code.OK
        if code not in judgement.acceptable:
            named = " or ".join(sorted(code.name for code in judgement.acceptable))
            raise DifferentError(f"{shown(message)} is answered by {code.name}, acceptable is {named}")
    if about(error) != p4r.StreamOtherError().SerializeToString():
        raise DifferentError(f"a StreamError that nobody waits for: {shown(error)}")


def about(error: p4r.StreamError) -> bytes:
    """The message that an error carries with it, as bytes."""
    match error.WhichOneof("details"):
        case "packet_out":
            return error.packet_out.packet_out.SerializeToString()
        case "digest_list_ack":
            return error.digest_list_ack.digest_list_ack.SerializeToString()
        case _:
            return error.other.SerializeToString()


def about_message(message: p4r.StreamMessageRequest) -> bytes:
    match message.WhichOneof("update"):
        case "packet":
            return message.packet.SerializeToString()
        case "digest_ack":
            return message.digest_ack.SerializeToString()
        case _:
            return p4r.StreamOtherError(other=message.other).SerializeToString()
