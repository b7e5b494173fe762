from __future__ import annotations

import pytest

from runtime.device.limits import LimitError, Limits, parse_limits

NAMES = (
    "connections, handshake-s, idle-s, keepalive-s, keepalive-timeout-s, calls, reads, requests, receive-s, "
    "message-mib, updates, error-bytes, unread-s, stream-rate"
)


def test_what_is_given_replaces_a_default() -> None:
    assert parse_limits([]) == Limits()
    assert parse_limits(["message-mib=64", "calls=8"]) == Limits(message_mib=64, calls=8)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["streams=4"], f"a limit is NAME=VALUE, with a name of {NAMES}; not 'streams=4'"),
        (["calls"], f"a limit is NAME=VALUE, with a name of {NAMES}; not 'calls'"),
        (["message_mib=1"], f"a limit is NAME=VALUE, with a name of {NAMES}; not 'message_mib=1'"),
        (["calls=1", "calls=2"], "limit calls is given twice"),
        (["calls=0"], "limit calls is a whole number from 1 to 1000000, not '0'"),
        (["calls=-1"], "limit calls is a whole number from 1 to 1000000, not '-1'"),
        (["calls=²"], "limit calls is a whole number from 1 to 1000000, not '²'"),
        (["message-mib=2048"], "limit message-mib is a whole number from 1 to 1024, not '2048'"),
        (["calls="], "limit calls is a whole number from 1 to 1000000, not ''"),
    ],
)
def test_limits_that_cannot_be(texts: list[str], words: str) -> None:
    with pytest.raises(LimitError) as problem:
        parse_limits(texts)
    assert str(problem.value) == words
