"""Whoever comes first gets the lock first."""

from __future__ import annotations

import time
from threading import Thread

import pytest

from agents.storage.io.fairlock import FairLock


def test_it_is_given_in_the_order_of_those_who_ask() -> None:
    lock, got = FairLock(), list[int]()

    def take(number: int) -> None:
        with lock:
            got.append(number)

    threads = [Thread(target=take, args=(number,)) for number in range(8)]
    with lock:
        for thread in threads:
            thread.start()
            time.sleep(0.02)  # it waits by now
        assert got == []
    with lock:  # whoever has just had it does not come before those who wait
        assert got == list(range(8))
    for thread in threads:
        thread.join()


def test_one_at_a_time() -> None:
    lock, inside, most = FairLock(), list[int](), list[int]()

    def work() -> None:
        for _ in range(200):
            with lock:
                inside.append(0)
                most.append(len(inside))
                inside.pop()

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (1600, 1)


def test_an_error_gives_it_back() -> None:
    lock = FairLock()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock:
            _ = 1 / 0
