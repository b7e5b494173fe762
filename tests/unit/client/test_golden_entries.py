"""The entries of the examples, as P4Runtime text: a change of what policies become must show."""

from __future__ import annotations

from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.entries.desired import compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from compiler.printers.features import features
from runtime.client.entries_text import entries_text
from tests.goldens import GOLDEN as GOLDENS
from tests.goldens import held

ROOT = Path(__file__).parents[3]
GOLDEN = GOLDENS / "policies"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_entries(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    loaded = load([Path("examples") / f"{example}.yaml"])
    assert not loaded.is_refused
    for device in loaded.policies.devices:
        entries = compile_entries(loaded.policies, device).entries
        text = entries_text(pipeline(), entries, device.device_id)
        off = [name for name, is_used in features(pipeline(), entries).items() if not is_used]
        text += f"\n# switched off at load: {', '.join(off) or 'nothing'}\n"
        assert text == held(GOLDEN / example / f"{device.name}.entries.txtpb", text)
        request = text_format.Parse(text, p4r.WriteRequest())
        count = len(entries.members) + len(entries.groups) + len(entries.table_entries)
        assert len(request.updates) == count


def test_there_are_five_examples() -> None:
    assert len(EXAMPLES) >= 5
