"""What bench.packet_cost fills its tables with is what the pipeline of today has, and no portal's."""

from __future__ import annotations

from bench.packets.addresses import LOCAL_SERVICE, SINGLE_SERVICE
from bench.packets.entries import entries
from compiler.ir.interpreter.model import Model
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.storage import LAST_SERVICE


def test_its_entries_fit_the_pipeline() -> None:
    model, found = Model(pipeline()), entries(3)
    for change in (*found.members, *found.groups, *found.table_entries):
        model.insert(change)
    assert len(model.entries("service_ipv4")) == len(model.entries("service_ipv6")) == 5


def test_its_services_are_not_steered_as_storage() -> None:
    """Whose packets have no fast path."""
    assert max(LOCAL_SERVICE, SINGLE_SERVICE) <= LAST_SERVICE
