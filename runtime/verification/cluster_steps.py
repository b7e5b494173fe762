"""What happens in a cluster, as data: connections, policy changes in whole and in part, time, restarts; and strategies.

Steps are lists of small frozen records and no rule-based state machine of Hypothesis, for three reasons: a shrunk run
reads as a story and not as a program, it can be kept and played on other levels, and what a step speaks of (the client
before last, the third answer from the end) is a number, so that a step still means something after others were
taken out, where a bundle would be empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from runtime.verification.policies.plan import DEVICES
from runtime.verification.strategies import FAULTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Speaker `client` sends to service port `service` of a family; of its own network's, or of any network's."""

    client: int
    service: int
    version: int
    src_port: int
    flags: str = "S"
    is_own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Client `client` outside sends, to `device`, what it has for service port `service` of a family: to an external
    address, or to a node port there. `is_stray`: in a frame for the other device, which a switch sends to this one."""

    device: str
    client: int
    service: int
    version: int
    src_port: int
    flags: str = "S"
    is_stray: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """To the address of another workload, or to one that nobody has."""

    client: int
    peer: int | None
    version: int
    protocol: int
    src_port: int
    dst_port: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """An echo request, or its answer, to the address of another workload, or to one that nobody has."""

    client: int
    peer: int | None
    version: int
    is_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Who sent what was delivered `back` packets ago opens a connection to who got it, directly, from the same port."""

    back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Who got what was delivered `back` packets ago tells its sender that it was too big."""

    back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """The client of what was delivered `back` packets ago sends again."""

    back: int
    flags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who got what was delivered `back` packets ago answers."""

    back: int
    flags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """The proxy that got what was delivered `back` packets ago goes on to where it was addressed, from its own
    address; and so does every proxy that gets this. If it was no proxy, nobody does anything."""

    back: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A call as it goes when all is well: opened, answered, and both sides have sent data."""

    call: Call | Enter


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """Openings from ports that follow each other, which nobody answers."""

    call: Call | Enter
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A frame of this kind with faults in it, by name and case."""

    step: Call | Enter | Direct | More | Answer
    faults: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """A long packet of this kind in fragments, cut at these bytes behind the IP header, in their order."""

    step: Call | Enter | Direct | More | Answer
    cuts: tuple[int, ...]
    identification: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """In the underlay: a frame of speaker `client` in a tunnel to `device` with `vni_step` added to its VNI."""

    device: str
    client: int
    version: int
    vni_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """The next policies; nothing is written yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What a client writes to a device, or only the first `steps` of it."""

    device: str
    steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """The next policies, and all devices get them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepAll:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """`how`: "fitting" (the program that fits takes over), "whole" (loaded anew over the same maps), or "killed"
    (everything is lost, and written again)."""

    device: str
    how: str


Step = (
    Call
    | Enter
    | Direct
    | Ping
    | Beside
    | Complaint
    | More
    | Answer
    | Onward
    | Exchange
    | Flood
    | Damaged
    | Torn
    | Stray
    | Adopt
    | Push
    | Apply
    | Pause
    | SweepAll
    | Restart
)

_VERSIONS = st.sampled_from((4, 6))
_SMALL = st.integers(0, 9)
_BACK = st.integers(0, 5)
_DEVICE = st.sampled_from(DEVICES)
_DATA = st.sampled_from(("A", "PA", "A", "PA", "SA", "S", "FA", "R"))
_CALLS = st.builds(
    Call,
    client=_SMALL,
    service=_SMALL,
    version=_VERSIONS,
    src_port=st.integers(1024, 1027),
    flags=st.sampled_from(("S", "S", "S", "A")),
    is_own=st.sampled_from((True, True, True, True, False)),
)
_DIRECT = st.builds(
    Direct,
    client=_SMALL,
    peer=st.sampled_from((0, 1, 2, 3, 4, None)),
    version=_VERSIONS,
    protocol=st.sampled_from((6, 17)),
    src_port=st.integers(3024, 3025),
    dst_port=st.sampled_from((7, 7, 8080)),
)
_PINGS = st.builds(
    Ping, client=_SMALL, peer=st.sampled_from((0, 1, 2, 3, 4, None)), version=_VERSIONS, is_answer=st.booleans()
)


def _enterings(are_stray: tuple[bool, ...]) -> st.SearchStrategy[Enter]:
    return st.builds(
        Enter,
        device=_DEVICE,
        client=_SMALL,
        service=_SMALL,
        version=_VERSIONS,
        src_port=st.integers(1024, 1027),
        flags=st.sampled_from(("S", "S", "S", "A")),
        is_stray=st.sampled_from(are_stray),
    )


_ENTERING = _enterings((False,))
_MORE = st.builds(More, back=_BACK, flags=_DATA)
_ANSWERS = st.builds(Answer, back=_BACK, flags=_DATA)
_DAMAGED = st.builds(
    Damaged,
    step=st.one_of(_CALLS, _ENTERING, _DIRECT, _MORE, _ANSWERS),
    faults=FAULTY,
)
_TORN = st.builds(
    Torn,
    step=st.one_of(_CALLS, _ENTERING, _DIRECT, _MORE, _ANSWERS),
    cuts=st.sampled_from(((24,), (32,), (24, 40), (32, 40, 48))),
    identification=st.integers(7, 8),
)
_WEIGHTS: tuple[tuple[st.SearchStrategy[Step], int], ...] = (
    (st.builds(Exchange, call=_CALLS), 5),
    (_CALLS, 3),
    (st.builds(Exchange, call=_ENTERING), 3),
    (_enterings((False, False, True)), 2),
    (_DIRECT, 2),
    (_PINGS, 1),
    (st.builds(Beside, back=_BACK), 1),
    (st.builds(Complaint, back=_BACK), 2),
    (_MORE, 4),
    (_ANSWERS, 4),
    (st.builds(Onward, back=_BACK), 2),
    (st.builds(Flood, call=st.one_of(_CALLS, _CALLS, _ENTERING), count=st.integers(4, 40)), 1),
    (_DAMAGED, 4),
    (_TORN, 2),
    (st.builds(Stray, device=_DEVICE, client=_SMALL, version=_VERSIONS, vni_step=st.sampled_from((0, 1, -1, 256))), 1),
    (st.just(Adopt()), 1),
    (st.just(Apply()), 1),
    (st.builds(Push, device=_DEVICE, steps=st.sampled_from((None, None, 1, 3, 7))), 3),
    (st.builds(Pause, ms=st.sampled_from((1, 9_999, 10_000, 30_000, 60_000, 119_999, 600_000, 7_440_000))), 1),
    (st.just(SweepAll()), 1),
    (st.builds(Restart, device=_DEVICE, how=st.sampled_from(("fitting", "fitting", "whole", "killed"))), 1),
)
STEPS: st.SearchStrategy[Step] = st.sampled_from([s for s, weight in _WEIGHTS for _ in range(weight)]).flatmap(
    lambda strategy: strategy
)
"""Not `one_of`, which takes a strategy that is named twice for one."""
_PART = st.lists(STEPS, max_size=10)
RUNS = st.tuples(*8 * [_PART]).map(lambda parts: [step for part in parts for step in part])
"""One list would be short on average, or never shrink to few steps."""
