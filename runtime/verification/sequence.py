"""What a named sequence is, and the small device that most of them are played on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runtime.verification.comparison import Comparison
from runtime.verification.playing import Play
from runtime.verification.scenes import Scene, Service, Workload
from runtime.verification.traffic import Send, Target

CLIENT = Workload(network=1, host=10, port=16, vlan=0, mtu=1500)
BACKEND = Workload(network=1, host=11, port=17, vlan=0, mtu=1280)
STRANGER = Workload(network=2, host=10, port=18, vlan=0, mtu=1500)
WEB = Service(network=1, host=10, protocol="tcp", port=80, backends=((11, 8080, 1),))
DNS = Service(network=1, host=10, protocol="udp", port=53, backends=((11, 5353, 1),))
SHOP = Scene(networks=(1, 2), workloads=(CLIENT, BACKEND, STRANGER), services=(WEB, DNS))
TO_WEB, TO_DNS = Target(kind="service", number=0), Target(kind="service", number=1)
SYN = Send(source=0, target=TO_WEB, version=4, transport="S", src_port=1024)
QUERY = Send(source=0, target=TO_DNS, version=4, transport="udp", src_port=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    name: str
    play: Callable[[Play], None]
    scene: Scene = SHOP

    def run(self, comparison: Comparison) -> None:
        """Raises AssertionError at the first difference."""
        self.play(Play(comparison, self.scene))
        comparison.compare_state()
