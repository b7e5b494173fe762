"""P4Info that fits a pipeline, and what is said of one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from finsy.proto import p4i

from compiler.ir.nodes import Pipeline
from compiler.printers.p4info import p4info
from runtime.device.fit import first_difference


def test_what_has_no_meaning_may_differ(pipeline: Pipeline) -> None:
    given = p4info(pipeline)
    given.ClearField("pkg_info")
    given.tables[0].preamble.doc.brief = "other words"
    given.actions[0].params[1].annotations[:] = []
    tables = list(reversed(given.tables))
    given.ClearField("tables")
    given.tables.extend(tables)
    fields = list(reversed(given.tables[0].match_fields))
    given.tables[0].ClearField("match_fields")
    given.tables[0].match_fields.extend(fields)
    assert first_difference(given, p4info(pipeline)) is None


def _drop_table(info: p4i.P4Info) -> None:
    del info.tables[1]


def _add_counter(info: p4i.P4Info) -> None:
    info.counters.add().preamble.id = 0x12000099
    info.counters[-1].preamble.name = "more"


def _widen(info: p4i.P4Info) -> None:
    info.tables[0].match_fields[0].bitwidth = 13


def _rename(info: p4i.P4Info) -> None:
    info.actions[0].preamble.name = "sent"


def _resize(info: p4i.P4Info) -> None:
    info.action_profiles[0].size = 9


def _add_digest(info: p4i.P4Info) -> None:
    info.digests.add().preamble.id = 0x17000001
    info.digests[-1].preamble.name = "d"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop_table, "tables lacks lpm (0x02000002)"),
        (_add_counter, "counters has more (0x12000099), the pipeline has not"),
        (_widen, "tables, exact: match_fields differs from the pipeline's"),
        (_rename, "actions, send: preamble differs from the pipeline's"),
        (_resize, "action_profiles, hops: size differs from the pipeline's"),
        (_add_digest, "digests has d (0x17000001), the pipeline has not"),
    ],
)
def test_differences(pipeline: Pipeline, change: Callable[[p4i.P4Info], None], words: str) -> None:
    given = p4info(pipeline)
    change(given)
    assert first_difference(given, p4info(pipeline)) == words
