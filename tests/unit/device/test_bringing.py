"""Learned entries that cannot be brought over at once: packets pass the new program already, and so it is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.bpf.object import LoadSettings, Object, load
from runtime.device.kernel.bringing import Bringing
from runtime.device.kernel.instance import KernelInstance
from runtime.verification.kernel_level import compiled
from tests.pipelines.spreading import spreading

pytestmark = pytest.mark.root
FAILURES = 2


def _let_go(_: Bringing) -> None:
    """There is nothing of it."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], KernelInstance]]:
    """An instance that has something to bring, by a `Failing`."""
    monkeypatch.setattr(Bringing, "let_go", _let_go)
    elf, instances = compiled(spreading(), Hook.TC), list[KernelInstance]()

    def make() -> KernelInstance:
        loaded = load(elf)
        maps = loaded.sharable

        def load_variant(flags: Mapping[str, int]) -> Object:
            return load(elf, LoadSettings(constants=dict(flags), reuse=maps))

        instance = KernelInstance(spreading(), loaded, 0, load_variant, lambda _: None)
        translations: Any = [None]
        instance.bring(translations)
        instances.append(instance)
        return instance

    yield make
    for one in instances:
        one.close()


def test_it_is_tried_again_and_the_pipeline_is_active(
    made: Callable[[], KernelInstance], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []

    def run(_: Bringing) -> None:
        tries.append(f"no memory, for the {len(tries) + 1}. time")
        if len(tries) <= FAILURES:
            raise BpfError(tries[-1])

    monkeypatch.setattr(Bringing, "run", run)
    instance = made()
    with caplog.at_level(logging.INFO):
        instance.activate()
        assert instance.unfinished == ["learned entries are looked for in their earlier layout"]
        while instance.unfinished:  # a program is loaded in a thread meanwhile
            instance.tick()
    assert [one.getMessage() for one in caplog.records if "layout" in one.getMessage()] == [
        "learned entries are not all in their new layout yet, packets find them in the earlier one; it is tried again: "
        f"no memory, for the {time}. time"
        for time in range(1, FAILURES + 1)
    ]
    assert len(tries) == FAILURES + 1
