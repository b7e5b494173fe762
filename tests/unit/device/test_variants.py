"""Which program runs: the whole one as soon as it is needed, the one that fits once entries have settled."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.bpf.errors import BpfError
from runtime.device.kernel.variants import Variants

FIRST = frozenset({"port", "network", "neighbor", "route_ipv4", "service_ipv4", "backend_ipv4"})


@dataclass
class Kernel:
    """Stands for loading and swapping; notes what runs."""

    running: list[object] = field(default_factory=lambda: [])
    loaded: list[Mapping[str, int]] = field(default_factory=lambda: [])
    closed: int = 0
    refuses: bool = False
    may_load: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_load.set()

    def load(self, flags: Mapping[str, int]) -> Any:
        assert self.may_load.wait(60)
        if self.refuses:
            raise BpfError("no")
        self.loaded.append(flags)
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


@pytest.fixture
def variants(kernel: Kernel) -> Variants:
    def activate(loaded: object) -> None:
        kernel.running.append(f"fitted {len(kernel.loaded)}" if loaded is kernel else loaded)

    return Variants(pipeline(), cast("Any", "whole"), kernel.load, activate)


def settle(variants: Variants, tables: frozenset[str] = FIRST) -> None:
    """Entries are the same for long enough."""
    for _ in range(3):
        variants.settle(tables)
        variants.wait()


def test_settles_only_when_active_and_the_same_twice(kernel: Kernel, variants: Variants) -> None:
    variants.settle(FIRST)
    variants.settle(FIRST)
    assert kernel.running == []
    variants.activate()
    variants.settle(FIRST | {"arp"})
    variants.settle(FIRST)
    variants.wait()
    assert kernel.running == ["whole"]
    settle(variants)
    assert kernel.running == ["whole", "fitted 1"]
    assert "uses_service_ipv6" in variants.switched_off
    assert "uses_connections_ipv6" in variants.switched_off
    assert "uses_connections_ipv4" not in variants.switched_off


def test_the_whole_program_takes_over_before_a_first_entry(kernel: Kernel, variants: Variants) -> None:
    variants.activate()
    settle(variants)
    variants.need(FIRST)
    assert kernel.running == ["whole", "fitted 1"], "all of it has code"
    variants.need(FIRST | {"service_ipv6"})
    assert kernel.running == ["whole", "fitted 1", "whole"]
    assert variants.switched_off == ()
    assert kernel.closed == 1


def test_nothing_is_loaded_again_without_a_change(kernel: Kernel, variants: Variants) -> None:
    variants.activate()
    for _ in range(3):
        settle(variants)
    assert len(kernel.loaded) == 1


def test_a_refused_variant_leaves_the_whole_program(kernel: Kernel, variants: Variants) -> None:
    variants.activate()
    kernel.refuses = True
    settle(variants)
    assert kernel.running == ["whole"]
    assert variants.switched_off == ()


def test_entries_that_come_while_a_program_is_loaded(kernel: Kernel, variants: Variants) -> None:
    """It has no code for them: it never takes over, however soon they go again."""
    variants.activate()
    kernel.may_load.clear()
    variants.settle(FIRST)
    variants.settle(FIRST)
    variants.need(FIRST | {"service_ipv6"})
    kernel.may_load.set()
    variants.wait()
    variants.settle(FIRST)
    assert kernel.running == ["whole"]
    assert kernel.closed == 1
    settle(variants)
    assert kernel.running == ["whole", "fitted 2"]


def test_whoever_calls_does_not_wait(kernel: Kernel, variants: Variants) -> None:
    variants.activate()
    kernel.may_load.clear()
    for _ in range(5):
        variants.settle(FIRST)
    assert not variants.renew()
    assert kernel.loaded == []
    kernel.may_load.set()
    variants.close()
    assert kernel.running == ["whole"]
    assert kernel.closed == len(kernel.loaded) == 2
