"""Runs the state machine on a device that is there."""

from __future__ import annotations

import time
from dataclasses import dataclass

from finsy.proto import U128, p4r
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.client import Session
from tests.conformance.fuzzing.driving import Driver
from tests.conformance.fuzzing.machine import Fuzz
from tests.conformance.fuzzing.subjects import Running
from tests.conformance.fuzzing.vectors import Vector
from tests.conformance.fuzzing.watching import Held, held_by
from tests.conformance.oracle.arbitration import Arbitration
from tests.conformance.oracle.device import Oracle
from tests.conformance.oracle.judgement import Code

SET = p4r.SetForwardingPipelineConfigRequest
VECTOR_STREAM = -1
"""The number of the stream that vectors are written by."""
STEPS = 30
SETTLING_S = 3.0
"""After it nothing that the device does by itself is still under way."""
BOUNDED = settings(
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much),
    phases=(Phase.generate, Phase.shrink),
    print_blob=False,
    report_multiple_bugs=False,
)


@dataclass(frozen=True, slots=True)
class Fuzzer:
    """One device and the oracle that follows it, over any number of runs."""

    running: Running
    driver: Driver

    def run(self, examples: int, steps: int = STEPS, seed_number: int | None = None, *, is_shrunk: bool = True) -> None:
        """The same examples for the same seed; without one, those that follow from the code. Raises what differs.

        Shrinking what was found takes minutes: up to 5.
        """

        class Played(Fuzz):
            running = self.running
            driver = self.driver

        chosen = settings(BOUNDED, max_examples=examples, stateful_step_count=steps, derandomize=seed_number is None)
        if not is_shrunk:
            chosen = settings(chosen, phases=(Phase.generate,))
        played = Played if seed_number is None else seed(seed_number)(Played)
        run_state_machine_as_test(played, settings=chosen)

    def held(self) -> Held:
        """What the device holds when its first pipeline has just been loaded, and is empty."""
        self.play(Vector(name="nothing", program=self.running.configs[0].name, requests=()))
        time.sleep(SETTLING_S)
        return held_by(self.running.pid)

    def play(self, vector: Vector) -> None:
        """On an empty pipeline, by a new primary. Raises what differs."""
        oracle = self.driver.oracle
        election_id = (oracle.arbitration.roles[""].highest or 0) + 1
        session = Session(self.driver.stub, oracle.device_id)
        update = p4r.MasterArbitrationUpdate(device_id=oracle.device_id, election_id=U128.encode(election_id))
        oracle.arbitration.arbitrate(VECTOR_STREAM, update)
        session.arbitrate(election_id)
        assert session.told() == (Code.OK, election_id)
        try:
            self._load(vector.program, election_id)
            vector.play(self.driver, election_id)
        finally:
            session.half_close()
            session.wait_for_end()
            oracle.arbitration.leave(VECTOR_STREAM)

    def _load(self, program: str, election_id: int) -> None:
        config = next(config for config in self.running.configs if config.name == program)
        request = SET(device_id=1, election_id=U128.encode(election_id), action=SET.VERIFY_AND_COMMIT)
        request.config.CopyFrom(config.message)
        judgement = self.driver.oracle.set_config(request, config)
        answer = self.driver.call("SetForwardingPipelineConfig", request.SerializeToString())
        assert (answer.code, judgement.acceptable) == (Code.OK, {Code.OK}), answer.text
        assert judgement.change is not None
        judgement.change()

    def close(self) -> None:
        self.driver.close()


def fuzzer(running: Running) -> Fuzzer:
    oracle = Oracle(device_id=1, arbitration=Arbitration(device_id=1))
    return Fuzzer(running, Driver(running.address, oracle))
