"""Whoever comes first gets the lock first."""

from __future__ import annotations

import signal
import time
from threading import Event, Lock, Thread, get_ident

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


class InterruptedWaitError(Exception):
    pass


def interrupt(number: int, frame: object) -> None:
    raise InterruptedWaitError


def test_who_is_interrupted_while_waiting_takes_nobodys_turn() -> None:
    """By a signal, as Ctrl-C is one. The others get it in their order, and so does whoever comes later."""
    lock, got, main = FairLock(), list[int](), get_ident()
    before = signal.signal(signal.SIGUSR1, interrupt)
    held, waited = Event(), Event()

    def hold() -> None:
        with lock:
            held.set()
            time.sleep(0.05)  # the main thread waits by now
            behind.start()
            time.sleep(0.05)  # and this one behind it
            signal.pthread_kill(main, signal.SIGUSR1)
            waited.wait(10)

    def take() -> None:
        with lock:
            got.append(1)

    threads = (Thread(target=hold, daemon=True), behind := Thread(target=take, daemon=True))
    try:
        threads[0].start()
        held.wait(10)
        with pytest.raises(InterruptedWaitError), lock:
            got.append(0)
        waited.set()
        for thread in threads:
            thread.join(10)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [1]
    assert is_free(lock)


class LateLock:
    """Interrupted when it has just been got."""

    def __init__(self) -> None:
        self._lock, self._acquired = Lock(), 0

    def acquire(self) -> None:
        self._lock.acquire()
        self._acquired += 1
        if self._acquired == 2:
            raise InterruptedWaitError

    def release(self) -> None:
        self._lock.release()


@pytest.mark.parametrize("behind", [0, 2])
def test_who_is_interrupted_in_turn_gives_it_to_the_next(behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, got = FairLock(), list[str]()

    def interrupted() -> None:
        try:
            with lock:
                got.append("never")
        except InterruptedWaitError:
            got.append("interrupted")

    def take() -> None:
        with lock:
            got.append("next")

    threads = [Thread(target=interrupted, daemon=True), *(Thread(target=take, daemon=True) for _ in range(behind))]
    with lock:
        for thread in threads:
            with monkeypatch.context() as patched:
                if thread is threads[0]:
                    patched.setattr("agents.storage.io.fairlock.Lock", LateLock)
                thread.start()
                time.sleep(0.05)  # it waits by now
    for thread in threads:
        thread.join(10)
    assert sorted(got) == ["interrupted", *["next"] * behind]
    assert is_free(lock)


def is_free(lock: FairLock) -> bool:
    def take() -> None:
        with lock:
            pass

    thread = Thread(target=take, daemon=True)
    thread.start()
    thread.join(2)
    return not thread.is_alive()
