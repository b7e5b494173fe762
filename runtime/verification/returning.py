"""Sources whose connections belong together: to which backend of a service the earlier ones went."""

from __future__ import annotations

from dataclasses import replace

from runtime.verification.findings import Violation
from runtime.verification.policies.expected import Place
from runtime.verification.policies.plan import PlannedWorkload, PolicyPlan
from runtime.verification.promises import service_of
from runtime.verification.speaking import Ends

Frontend = tuple[PlannedWorkload, Ends]


class Returning:
    """Holds services that spread by source to it, as long as policies stay as they are.

    One with affinity, or a portal, may keep a source where the policies of before had sent it, and forget that in time.
    """

    def __init__(self) -> None:
        self._homes: dict[Frontend, Place] = {}

    def forget_all(self) -> None:
        self._homes.clear()

    def check(self, plan: PolicyPlan, sender: PlannedWorkload, ends: Ends, got: Ends) -> None:
        """An opening has arrived as `got`. Raises `Violation`."""
        found = service_of(plan, sender, ends)
        if found is None or found[0].algorithm != "SourceHash" or found[0].remembers:
            return
        place = got.dst, got.dst_port
        before = self._homes.setdefault((sender, replace(ends, src_port=0)), place)
        if before != place:
            raise Violation(f"{ends} should have gone to {before}, as connections of its source before: {got}")
