"""Any text gives diagnostics or a policy set, never a traceback; and whatever is said can be shown."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostic import has_errors
from compiler.policy.loading import load_text
from compiler.policy.policyset import PolicySet
from compiler.policy.validation import MODELS

EXAMPLES = Path(__file__).parents[2] / "examples"
TEXTS = [path.read_text() for path in sorted(EXAMPLES.glob("*.yaml"))]
OBJECTS: list[Any] = [item for text in TEXTS for item in yaml.safe_load_all(text)]
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["10.1.0.1", "x"])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner))


def check_text(text: str) -> None:
    loaded = load_text(text)
    assert loaded.is_refused == has_errors(loaded.diagnostics)
    if loaded.is_refused:
        assert loaded.policies == PolicySet()
    rendered = loaded.render()
    assert bool(rendered) == bool(loaded.diagnostics)
    assert "pydantic" not in rendered
    assert "\x1b" not in rendered
    assert load_text(text) == loaded


@RELAXED
@given(st.text())
def test_any_text(text: str) -> None:
    check_text(text)


@RELAXED
@given(st.text(alphabet="a: -[]{}&*!|>'\"%@`,#?<\n\t~01nyo.", max_size=60))
def test_text_of_yaml_characters(text: str) -> None:
    check_text(text)


@RELAXED
@given(st.sampled_from(TEXTS), st.integers(min_value=0), st.integers(0, 12), st.text(max_size=4))
def test_examples_with_a_hole(text: str, position: int, length: int, instead: str) -> None:
    start = position % len(text)
    check_text(text[:start] + instead + text[start + length :])


def _replace_somewhere(node: Any, value: Any, chance: random.Random) -> Any:
    if isinstance(node, (dict, list)) and node and chance.random() < 0.85:
        copied: Any = dict(node) if isinstance(node, dict) else list(node)  # pyright: ignore
        keys: Any = list(copied) if isinstance(copied, dict) else range(len(copied))  # pyright: ignore
        key = chance.choice(keys)
        copied[key] = _replace_somewhere(copied[key], value, chance)
        return copied  # pyright: ignore[reportUnknownVariableType]
    return value


@pytest.mark.slow
@RELAXED
@given(st.integers(min_value=0), values, st.randoms(use_true_random=False))
def test_objects_with_another_value_somewhere(index: int, value: Any, chance: random.Random) -> None:
    changed = [*OBJECTS]
    place = index % len(changed)
    changed[place] = _replace_somewhere(changed[place], value, chance)
    check_text(yaml.safe_dump_all(changed, allow_unicode=True))


@RELAXED
@given(st.sampled_from(sorted(MODELS)), values, values)
def test_kinds_with_any_content(identity: tuple[str, str], metadata: Any, spec: Any) -> None:
    api_version, kind = identity
    document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "endpoints": spec}
    check_text(yaml.safe_dump(document, allow_unicode=True))
