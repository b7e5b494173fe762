"""What a mutant has to get past: vectors, named sequences, frames cut or damaged, a mesh, storage, sequences at random.

A check is a generator that says what it does next, so that whoever runs it knows what has failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from hypothesis import Phase, given, settings
from hypothesis.errors import HypothesisException

from runtime.verification.book import Book
from runtime.verification.comparison import Comparison
from runtime.verification.levels import Level
from runtime.verification.meshes import NETWORKS, VIP_HOST, Mesh, Segment, port_of
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene
from runtime.verification.sequences import SEQUENCES
from runtime.verification.shop import device_entries
from runtime.verification.shop_frames import Arrival, cut, mutated, vectors
from runtime.verification.strategies import BOUNDED, RUNS, Step, scenes
from tests.differential.redirecting import entries_of
from tests.mutation.crossing import crossed
from tests.mutation.directing import directed
from tests.mutation.policing import policed
from tests.mutation.remembering import clients_return, steered

EXAMPLES = 40
DAMAGED = 300
_ANY_OF_64: list[str] = ["10.1.0.0/16", "fd00:1::/64"]
_HOST_10: list[str] = ["10.1.0.10/32", "fd00:1::a/128"]
MESH = Mesh(
    proxies=(("red", 250), ("red", 252)),
    redirects=(
        {
            "network": "red",
            "failure": "closed",
            "selector": {"host": "10"},
            "outbound": {
                "include": [{"ports": [80]}],
                "exclude": [{"cidrs": ["10.1.0.12/31"]}],
                "deny": [{"ports": [81]}],
            },
        },
        {
            "network": "red",
            "failure": "open",
            "selector": {"host": "11"},
            "inbound": {
                "include": [{"cidrs": _HOST_10, "ports": [1025]}],
                "deny": [{"cidrs": _ANY_OF_64, "ports": [8080]}],
            },
        },
        {
            "network": "blue",
            "failure": "closed",
            "selector": {"host": "10"},
            "outbound": {"include": [{"ports": [80]}]},
        },
        {
            "network": "blue",
            "failure": "open",
            "selector": {"host": "11"},
            "outbound": {"include": [{"ports": ["80-81"]}], "deny": [{"cidrs": _HOST_10, "ports": [8080]}]},
        },
        {
            "network": "blue",
            "failure": "closed",
            "selector": {"host": "11"},
            "inbound": {
                "include": [{"cidrs": _ANY_OF_64, "ports": [81]}],
                "deny": [{"cidrs": _HOST_10, "ports": [1025]}],
            },
        },
    ),
)
"""One network with two proxies, one without any."""
_ARRIVALS: list[Arrival] = list(vectors())


def first_failing(steps: Iterator[str]) -> str | None:
    """What failed, None when nothing did. A fault may end in any exception; Hypothesis's own say nothing of it."""
    doing = ""
    try:
        for step in steps:
            doing = step
    except HypothesisException:
        raise
    except Exception:  # noqa: BLE001  whatever it is, the fault was seen
        return doing
    return None


def checks(level: Level) -> Iterator[str]:
    """Quick ones first. Raises what tells the mutant from the pipeline as it is."""
    yield from _vectors(level)
    for sequence in SEQUENCES:
        yield f"sequence '{sequence.name}'"
        sequence.run(Comparison([level]))
    yield from _cut_and_damaged(level)
    yield "redirects"
    _redirected(level)
    yield "NetworkPolicies"
    policed(level)
    yield "a service gateway"
    crossed(level)
    yield "backends that answer by themselves"
    directed(level)
    yield "hosts of storage"
    steered(level)
    yield "clients that come again"
    clients_return(level)
    yield "generated sequences"
    _play_generated(level)


def _shop(level: Level) -> Comparison:
    comparison = Comparison([level])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    return comparison


def _vectors(level: Level) -> Iterator[str]:
    yield "the entries of the vectors"
    comparison = _shop(level)
    for name, port, frame in _ARRIVALS:
        yield f"vector '{name}'"
        comparison.wait(7)
        comparison.process(port, frame)
    yield "connections and counters after the vectors"
    comparison.compare_state()


def _cut_and_damaged(level: Level) -> Iterator[str]:
    yield "vectors cut short"
    comparison = _shop(level)
    for _, port, frame in cut(_ARRIVALS):
        comparison.process(port, frame)
    comparison.compare_state()
    yield "damaged vectors over time"
    for number, (_, port, frame) in enumerate(mutated(_ARRIVALS, 0, DAMAGED)):
        comparison.wait(1 + number % 5 * 4_000)
        comparison.process(port, frame)
    comparison.compare_state()


def _redirected(level: Level) -> None:
    """Openings between all hosts of a mesh, from several ports each."""
    comparison = Comparison([level])
    comparison.fill(entries_of(MESH))
    for network, version, src, dst, dst_port, src_port in product(
        NETWORKS, (4, 6), (10, 11), (10, 11, 12, VIP_HOST), (80, 81, 8080, 1025), range(1025, 1033)
    ):
        segment = Segment(version=version, src=src, dst=dst, src_port=src_port, dst_port=dst_port, flags="S")
        comparison.process(port_of(network, src), segment.frame())
    comparison.compare_state()


def _play_generated(level: Level) -> None:
    @settings(BOUNDED, max_examples=EXAMPLES, phases=(Phase.generate,))
    @given(scene=scenes(), steps=RUNS)
    def play(scene: Scene, steps: list[Step]) -> None:
        Play(Comparison([level]), scene).run(steps)

    play()
