from __future__ import annotations

from finsy.proto import p4r, rpc_status

from runtime.device.details import BASE_BYTES, status_of
from runtime.device.refusals import RefusedError, exists, invalid
from runtime.device.slices import at_once


def status(outcomes: list[RefusedError | None], bytes_each: int = 100) -> rpc_status.Status:
    return at_once(status_of("updates", outcomes, bytes_each))


def errors(made: rpc_status.Status) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for detail in made.details:
        error = p4r.Error()
        assert detail.Unpack(error)
        assert (error.space, error.code) == (("turnout", error.canonical_code) if error.canonical_code else ("", 0))
        found.append((error.canonical_code, error.message))
    return found


def test_a_small_batch_has_all_its_texts() -> None:
    made = status([None, invalid("table a: no"), exists("table b: there")])
    assert (made.code, made.message) == (2, "2 of 3 updates failed")
    assert errors(made) == [(0, ""), (3, "table a: no"), (6, "table b: there")]


def test_a_large_one_keeps_every_code_and_the_first_texts() -> None:
    outcomes: list[RefusedError | None] = [invalid(f"table a: {'x' * 180} {at}") for at in range(5000)]
    made = status(outcomes)
    assert made.ByteSize() <= BASE_BYTES + 100 * 5000 + 200
    told = errors(made)
    assert [code for code, _ in told] == [3] * 5000
    with_text = sum(bool(text) for _, text in told)
    assert told[:with_text] == [(3, outcome.text) for outcome in outcomes[:with_text] if outcome is not None]
    assert 1000 < with_text < 5000
    assert made.message == (
        f"5000 of 5000 updates failed; {5000 - with_text} are told by their codes alone, their texts would be too long "
        "for a status"
    )


def test_codes_alone_may_take_more_than_is_wanted() -> None:
    told = errors(status([None, *[invalid("no")] * 99], bytes_each=1))
    assert [code for code, _ in told] == [0] + [3] * 99


def test_a_text_is_no_longer_than_it_can_be_read() -> None:
    refusal = invalid("value 0x" + "f" * 5_000_000)
    assert refusal.text == f"value 0x{'f' * 592}... (5000008 characters)"
