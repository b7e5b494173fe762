"""Entries that are renewed, and packets that learn in two stores: text, the verifier, what P4 cannot say."""

from __future__ import annotations

import pytest

from compiler.diagnostic import Code
from compiler.ir.text import from_text, to_text
from compiler.ir.verifier import codes, verify
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from tests.pipelines.remembering import TEXT, beside_pairs, remembering

RENEWED = "renew sender sent_to(meta.out, now() + 1000) profile 1:8"


def test_the_text_reads_back() -> None:
    text = to_text(remembering())
    assert f"  {RENEWED.replace('1000', '0x3e8')}\n" in text
    assert from_text(text) == remembering()


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (
            RENEWED,
            "renew flow going(meta.out) profile 1:8",
            codes.BAD_PAIR,
            "table flow is renewed, and learned where it may have pairs",
        ),
        (
            RENEWED,
            f"{RENEWED} counted",
            codes.BAD_PAIR,
            "table sender is renewed, and its entry is counted",
        ),
        (
            "learn back coming",
            "learn flow going(meta.out) profile 1:8 learn back coming",
            codes.BAD_PAIR,
            "a packet may learn flow and then flow",
        ),
    ],
)
def test_what_the_verifier_refuses(old: str, new: str, code: Code, message: str) -> None:
    assert TEXT.count(old) == 1
    found = verify(from_text(TEXT.replace(old, new)))
    assert (code, message) in {(diagnostic.code, diagnostic.message) for diagnostic in found}


def test_a_pair_comes_before_what_is_renewed_in_its_store() -> None:
    """What was seen of free places when the pair was missed would not be true any more."""
    text = to_text(beside_pairs())
    renewal = next(line for line in text.splitlines() if line.startswith("  renew sender"))
    early = text.replace(f"{renewal}\n", "").replace("  apply sender\n", f"  apply sender\n{renewal}\n")
    found = verify(from_text(early))
    message = "table flow learns behind sender, which is renewed in its store"
    assert (codes.BAD_PAIR, message) in {(diagnostic.code, diagnostic.message) for diagnostic in found}


def test_v1model_cannot_renew() -> None:
    with pytest.raises(UnprintableError, match=r"v1model cannot say it: an entry of sender that is renewed$"):
        print_v1model(remembering())


def test_v1model_has_one_digest_a_packet() -> None:
    text = TEXT.replace(RENEWED, "").replace(
        "apply sender\n", f"apply sender {{ miss {{ {RENEWED.replace('renew', 'learn')} }} }}\n"
    )
    what = "entries of flows, senders for one packet, which has one digest"
    with pytest.raises(UnprintableError, match=f"v1model cannot say it: {what}$"):
        print_v1model(from_text(text))


def test_pna_cannot_renew() -> None:
    """Not even where PNA learns, in the default action of the very table."""
    first = TEXT.index("control first {")
    inside = "apply sender { miss { renew sender sent_to(meta.out, 1000:64) profile 1:8 } } apply back"
    with pytest.raises(UnprintableError, match=r"PNA cannot say it: an entry of sender that is renewed$"):
        print_pna(from_text(f"{TEXT[:first]}control first {{ {inside} }}"))
