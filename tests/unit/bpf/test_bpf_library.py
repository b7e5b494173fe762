"""The binding: what is missing, what libbpf says, what errors are called; and small pure parts."""

from __future__ import annotations

import ctypes as ct
import logging
import threading

import pytest

from runtime.bpf.bpffs import pin_name
from runtime.bpf.elf import inspect
from runtime.bpf.errors import BatchRefusal, KernelRefusal, LibraryMissing, UnknownName, errno_name
from runtime.bpf.library import Library, check, check_pointer, libbpf
from runtime.bpf.maps import count_cpus, round_up


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(LibraryMissing, match=r"cannot load libbpf-none\.so: .*; install libbpf 1\.0 or newer"):
        Library("libbpf-none.so")


def test_a_library_that_is_another() -> None:
    with pytest.raises(LibraryMissing, match=r"libc\.so\.6 has no libbpf_version_string"):
        Library("libc.so.6")


def test_the_version_is_read() -> None:
    assert tuple(int(part) for part in libbpf().version.split(".")) >= (1, 0)


def test_what_libbpf_says_goes_to_logging(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG, "turnout.libbpf"), libbpf().listening() as said:
        with pytest.raises(KernelRefusal):
            inspect(b"\x7fELF but no more", "broken")
        elsewhere = threading.Thread(target=lambda: libbpf().bpf_object__open_mem(b"abc", 3, None))
        elsewhere.start()
        elsewhere.join()
    assert said == []  # the inner listener had it
    assert any("broken" in message for message in caplog.messages)
    assert not any(message.startswith("libbpf:") for message in caplog.messages)
    assert capfd.readouterr() == ("", "")


def test_results() -> None:
    assert check(7, "try") == 7
    for result, stored, code in ((-2, 0, 2), (-1, 13, 13), (-1, 0, 1)):
        ct.set_errno(stored)
        with pytest.raises(KernelRefusal) as caught:
            check(result, "try")
        assert caught.value.errno == code
    ct.set_errno(2)
    with pytest.raises(KernelRefusal, match=r"^open it: No such file or directory \(ENOENT\)$"):
        check_pointer(None, "open it")


def test_refusals_speak() -> None:
    assert str(KernelRefusal(524, "do")) == "do: operation not supported (ENOTSUPP)"
    assert str(BatchRefusal(7, "do", 3)) == "do (stopped after 3 entries): Argument list too long (E2BIG)"
    assert str(UnknownName("map", "a", ("c", "b"))) == "no map named 'a'; known: b, c"
    assert str(UnknownName("map", "a", ())) == "no map named 'a'; known: none"
    assert (errno_name(1), errno_name(99999)) == ("EPERM", "99999")


@pytest.mark.parametrize(("ranges", "count"), [("0\n", 1), ("0-1\n", 2), ("0-3,8-11\n", 8), ("0,2,4-5", 4)])
def test_possible_cpus(ranges: str, count: int) -> None:
    assert count_cpus(ranges) == count


@pytest.mark.parametrize(("size", "to", "result"), [(0, 8, 0), (1, 8, 8), (8, 8, 8), (9, 8, 16), (4097, 4096, 8192)])
def test_rounding(size: int, to: int, result: int) -> None:
    assert round_up(size, to) == result


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "x" * 256])
def test_names_that_cannot_be_pins(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a pin"):
        pin_name(name)


def test_names_that_can() -> None:
    assert pin_name("flow_v4-1") == "flow_v4-1"
