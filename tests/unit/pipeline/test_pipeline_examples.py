"""The entries that the compiler makes of the example fill a model, and its services answer."""

from __future__ import annotations

from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Exact
from compiler.ir.interpreter import Interpreter, Model, VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text

SHOP = Path(__file__).parents[3] / "examples" / "shop.yaml"


def test_a_service_of_the_example_answers_from_every_workload_port() -> None:
    policies = load_text(SHOP.read_text()).policies
    assert policies is not None
    for device in policies.devices:
        entries = compile_entries(policies, device).entries
        model = Model(pipeline(), hash_seed=5)
        for change in (*entries.members, *entries.groups, *entries.table_entries):
            model.insert(change)
        service = next(e for e in model.entries("service_ipv4") if isinstance(e.action, ActionCall))
        network, address, _, port = (match.value for match in service.matches if isinstance(match, Exact))
        interpreter = Interpreter(model, clock=lambda: 0, random=lambda width: 0)
        frame = Ether() / IP(src="10.0.0.250") / TCP(sport=1, dport=port)
        frame[IP].dst = ".".join(str(byte) for byte in address.to_bytes(4, "big"))
        workloads = [e for e in model.entries("port") if isinstance(e.action, ActionCall) and e.action.arguments]
        ports = [(e.matches[0], e.action.arguments[0]) for e in workloads if isinstance(e.action, ActionCall)]
        inside = [match.value for match, of in ports if of == network and isinstance(match, Exact)]
        assert inside
        for ingress in inside:
            outcome = interpreter.process(ingress, bytes(frame))
            assert outcome.verdict is VerdictKind.FORWARD
