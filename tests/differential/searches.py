"""What is searched for differences: each search draws one example and plays it. Called by tests and by `soak`."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import seed, settings
from hypothesis import strategies as st

from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import MIN_FRAME, pinned_to_cpu
from runtime.verification.book import Book
from runtime.verification.cluster import Cluster, Levels
from runtime.verification.cluster_steps import RUNS as CLUSTER_RUNS
from runtime.verification.comparison import Compared, Comparison
from runtime.verification.findings import Violation
from runtime.verification.levels import small
from runtime.verification.malformed.bases import base_frames
from runtime.verification.malformed.catalogue import BY_NAME
from runtime.verification.malformed.fault import damaged
from runtime.verification.playing import Play
from runtime.verification.policies import expected
from runtime.verification.policies.drawing import next_plans, plans
from runtime.verification.policies.manifests import manifests, to_yaml
from runtime.verification.policies.plan import DEVICES, PolicyPlan
from runtime.verification.restarting import RestartingLevel
from runtime.verification.scenes import Scene
from runtime.verification.shop import device_entries
from runtime.verification.strategies import BOUNDED, FAULTY, RUNS, Step, scenes
from tests.differential.direct import search_direct
from tests.differential.gateway import search_gateway
from tests.differential.outside import search_outside

SLOTS = 16
"""So few that connections push each other out."""
EXAMPLES = int(os.environ.get("TURNOUT_EXAMPLES", "60"))
SEED = os.environ.get("TURNOUT_SEED")
"""None: examples follow from the test's own code, and are the same until that changes."""
Test = TypeVar("Test", bound=Callable[..., Any])


def searched(max_examples: int) -> Callable[[Test], Test]:
    """So many examples, the same ones every time; of the seed in the environment if there is one."""

    def decorate(test: Test) -> Test:
        bounded = settings(BOUNDED, max_examples=max_examples)(test)
        return bounded if SEED is None else seed(int(SEED))(bounded)

    return decorate


@contextmanager
def loaded_levels(slots: int = SLOTS) -> Generator[Levels]:
    """tc and XDP for two devices. Pinned once: moving to a CPU takes longer than a packet."""
    source = small(pipeline(), slots)
    made = {name: tuple(RestartingLevel(source, hook) for hook in Hook) for name in DEVICES}
    try:
        with pinned_to_cpu():
            yield made
    finally:
        for level in (level for levels in made.values() for level in levels):
            level.close()


def search_devices(levels: Levels, data: st.DataObject) -> Compared:
    """A device in any state, also in ones that no policies lead to."""
    scene, steps = data.draw(scenes(), label="scene"), data.draw(RUNS, label="steps")
    return play_device(levels, scene, steps)


def play_device(levels: Levels, scene: Scene, steps: list[Step]) -> Compared:
    play = Play(Comparison(levels[DEVICES[0]]), scene)
    play.run(steps)
    return play.comparison.compared


def search_clusters(levels: Levels, data: st.DataObject) -> Compared:
    first = data.draw(plans(), label="first policies")
    second = data.draw(next_plans(first), label="second policies")
    third = data.draw(next_plans(second), label="third policies")
    return Cluster(levels, [first, second, third]).run(data.draw(CLUSTER_RUNS, label="steps"))


_DAMAGED = st.lists(st.tuples(st.sampled_from(base_frames()), FAULTY), min_size=1, max_size=60)


def search_malformed(levels: Levels, data: st.DataObject) -> Compared:
    """Frames with several faults, in front of the shop's known connections."""
    comparison = Comparison(levels[DEVICES[0]])
    comparison.fill(device_entries("A", book=Book(comparison.names)))
    for base in base_frames():
        comparison.process(base.port, base.frame)
    for base, faults in data.draw(_DAMAGED, label="frames"):
        frame = damaged(base.frame, faults, BY_NAME)
        if len(frame) >= MIN_FRAME:
            comparison.process(base.port, frame)
    comparison.compare_state()
    return comparison.compared


def search_policies(levels: Levels, data: st.DataObject) -> Compared:
    """What is said of policies; no packets."""
    plan = data.draw(plans(), label="policies")
    check_diagnostics(plan)
    check_diagnostics(data.draw(next_plans(plan), label="next policies"))
    return Compared()


def check_diagnostics(plan: PolicyPlan) -> None:
    loaded = load_text(to_yaml(manifests(plan)), "generated.yaml")
    wanted = {code.id for code in expected.load_codes(plan)}
    found = {diagnostic.code.id for diagnostic in loaded.diagnostics}
    if found != wanted:
        raise Violation(f"{sorted(wanted)} should be said, not {sorted(found)}:\n{loaded.render()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """`examples` of one round take about as long as those of the others."""

    name: str
    play: Callable[[Levels, st.DataObject], Compared]
    examples: int


SEARCHES = (
    Search(name="devices", play=search_devices, examples=60),
    Search(name="clusters", play=search_clusters, examples=40),
    Search(name="outside", play=search_outside, examples=40),
    Search(name="gateways", play=search_gateway, examples=40),
    Search(name="direct", play=search_direct, examples=40),
    Search(name="malformed", play=search_malformed, examples=60),
    Search(name="policies", play=search_policies, examples=40),
)
