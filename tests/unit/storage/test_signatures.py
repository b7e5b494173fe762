"""Signatures of images: what is taken as good, what each of the others is told to be, and what cosign has written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.storage.translate.signing import RefusedSignatureError, accept
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor
from agents.storage.wire.signatures import (
    SIMPLE_SIGNING,
    MalformedSignatureError,
    Stored,
    parse_referrers,
    parse_signatures,
    preauthenticated,
    read_claim,
    referrers_tag,
    signature_tag,
    subject_of,
)
from compiler.policy.signingkeys import parse_signing_key
from tests.images.signing import (
    BUNDLE,
    bundle,
    encoded,
    make_keys,
    public,
    sign,
    simple_payload,
    statement,
)

HEX = "ab" * 32
DIGEST, OTHER = f"sha256:{HEX}", f"sha256:{'cd' * 32}"
BLOB = Descriptor(media_type=SIMPLE_SIGNING, digest=OTHER, size=1)
KEYS = make_keys()
ANY = KEYS["Ed25519"]


def _simple(signature: str) -> Stored:
    return Stored(blob=BLOB, is_bundle=False, signature=signature)


BUNDLED = Stored(blob=BLOB, is_bundle=True)


@pytest.mark.parametrize("kind", KEYS)
def test_good_ones(kind: str) -> None:
    key, payload = KEYS[kind], simple_payload(DIGEST)
    keys = [public(other) for other in KEYS.values()]
    assert accept(read_claim(_simple(encoded(sign(key, payload))), payload), keys, (OTHER, DIGEST)) == public(key)
    assert accept(read_claim(BUNDLED, bundle(key, statement(DIGEST))), keys, (DIGEST,)) == public(key)


@pytest.mark.parametrize("kind", KEYS)
def test_refused_ones(kind: str) -> None:
    key, payload = KEYS[kind], simple_payload(DIGEST)
    others = [public(other) for name, other in KEYS.items() if name != kind]
    claim = read_claim(_simple(encoded(sign(key, payload))), payload)
    with pytest.raises(RefusedSignatureError, match=r"^it is by none of the keys$"):
        accept(claim, others, (DIGEST,))
    with pytest.raises(RefusedSignatureError) as refused:
        accept(claim, [*others, public(key)], (OTHER,))
    assert str(refused.value) == f"by {public(key)}, it signs {DIGEST}, and not this image"
    changed = payload.replace(b"shop", b"shoq")
    with pytest.raises(RefusedSignatureError, match=r"^it is by none of the keys$"):
        accept(read_claim(_simple(encoded(sign(key, payload))), changed), [public(key)], (DIGEST,))


def test_a_signature_of_the_payload_is_none_of_the_envelope() -> None:
    payload = statement(DIGEST)
    document = json.loads(bundle(ANY, payload))
    document["dsseEnvelope"]["signatures"][0]["sig"] = encoded(sign(ANY, payload))
    with pytest.raises(RefusedSignatureError, match="by none"):
        accept(read_claim(BUNDLED, json.dumps(document).encode()), [public(ANY)], (DIGEST,))


def test_what_an_envelope_signs() -> None:
    """The example of DSSE's protocol.md."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert preauthenticated("http://example.com/HelloWorld", b"hello world") == expected


def _envelope(**changes: Any) -> bytes:
    document = json.loads(bundle(ANY, statement(DIGEST)))
    document["dsseEnvelope"].update(changes)
    return json.dumps(document).encode()


GOOD = encoded(b"x" * 64)


@pytest.mark.parametrize(
    ("stored", "blob", "problem"),
    [
        (_simple(""), simple_payload(DIGEST), "its layer has no annotation dev.cosignproject.cosign/signature"),
        (_simple("?"), simple_payload(DIGEST), "the signature is no base64"),
        (_simple(GOOD), b"{", "the payload is no JSON: "),
        (_simple(GOOD), b"[]", "the payload is no JSON object"),
        (_simple(GOOD), b"[" * 100_000, "the payload is no JSON: "),
        (_simple(GOOD), b"\xff\xfe\xff", "the payload is no JSON: "),
        (_simple(GOOD), b"{}", "the payload has no object 'critical'"),
        (
            _simple(GOOD),
            simple_payload(DIGEST, type="atomic container signature"),
            "the payload's type is 'atomic container signature', not 'cosign container image signature'",
        ),
        (_simple(GOOD), simple_payload(DIGEST, image=DIGEST), "the payload has no object 'image'"),
        (_simple(GOOD), simple_payload(DIGEST, image={}), "the payload has no docker-manifest-digest"),
        (BUNDLED, b"{}", "the bundle has no object 'dsseEnvelope'"),
        (BUNDLED, _envelope(payloadType="text/plain"), "the envelope holds 'text/plain', not application/vnd.in-toto"),
        (BUNDLED, _envelope(payload=None), "the envelope's payload is no base64"),
        (BUNDLED, _envelope(payload=encoded(b"7")), "the statement is no JSON object"),
        (BUNDLED, _envelope(signatures=[{}]), "a signature is no base64"),
        (BUNDLED, bundle(ANY, statement(DIGEST, _type="x")), "the statement is of type 'x'"),
        (
            BUNDLED,
            bundle(ANY, statement(DIGEST, predicateType="https://spdx.dev/Document")),
            "it attests 'https://spdx.dev/Document', which is no signature of an image",
        ),
    ],
)
def test_malformed_ones(stored: Stored, blob: bytes, problem: str) -> None:
    with pytest.raises(MalformedSignatureError) as refused:
        read_claim(stored, blob)
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize("subject", [None, [], ["x"], [{}], [{"digest": {"sha256": 7}}], [{"digest": {"md5": HEX}}]])
def test_a_statement_about_nothing(subject: object) -> None:
    claim = read_claim(BUNDLED, bundle(ANY, statement(DIGEST, subject=subject)))
    with pytest.raises(RefusedSignatureError) as refused:
        accept(claim, [public(ANY)], (DIGEST,))
    assert str(refused.value) == f"by {public(ANY)}, it signs nothing, and not this image"


def test_no_signature_at_all_is_by_none() -> None:
    with pytest.raises(RefusedSignatureError, match="by none"):
        accept(read_claim(BUNDLED, _envelope(signatures=[])), [public(ANY)], (DIGEST,))


def test_layers_that_are_none_are_passed_over() -> None:
    kinds = [SIMPLE_SIGNING, BUNDLE, "application/vnd.dsse.envelope.v1+json", "application/spdx+json"]
    layers = [{"mediaType": kind, "digest": DIGEST, "size": 3} for kind in kinds]
    found = parse_signatures(json.dumps({"layers": [*layers, 7]}).encode(), "the manifest")
    assert [(one.blob.media_type, one.is_bundle, one.signature) for one in found] == [
        (SIMPLE_SIGNING, False, ""),
        (BUNDLE, True, ""),
    ]
    assert parse_signatures(b"{}", "the manifest") == ()
    with pytest.raises(ImageError, match="the manifest refers to 'x', which is no sha256 digest"):
        parse_signatures(b'{"layers": [{"digest": "x"}]}', "the manifest")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"artifactType": BUNDLE}, True),
        ({"artifactType": "application/vnd.dev.sigstore.bundle+json;version=0.2"}, True),
        ({"artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"}, True),
        ({"artifactType": "application/spdx+json"}, False),
        ({"annotations": {"kind": "dev.cosignproject.cosign/sigs"}}, True),
        ({"annotations": {"kind": "dev.cosignproject.cosign/image"}}, False),
        ({"annotations": {"org.opencontainers.image.ref.name": f"sha256-{HEX}.sig"}}, True),
        ({"annotations": 7, "artifactType": None}, False),
    ],
)
def test_which_referrers_are_signatures(fields: dict[str, Any], expected: bool) -> None:
    entry = {"mediaType": "x", "digest": DIGEST, "size": 1, **fields}
    (found,) = parse_referrers(json.dumps({"manifests": [entry]}).encode(), "the index")
    assert (found.descriptor.digest, found.is_signature) == (DIGEST, expected)


def test_where_they_are() -> None:
    assert (signature_tag(DIGEST), referrers_tag(DIGEST)) == (f"sha256-{HEX}.sig", f"sha256-{HEX}")
    assert subject_of(b'{"subject": {"digest": "sha256:x"}}') == "sha256:x"
    assert (subject_of(b"{}"), subject_of(b'{"subject": 7}')) == ("", "")


COSIGN = json.loads(Path(__file__).with_name("cosign_signatures.json").read_text())
"""What cosign 3.1.3 has put into a registry, as a layer of a manifest and its bytes."""


@pytest.mark.parametrize("recorded", COSIGN, ids=lambda one: f"{one['key']}, {one['layer']['mediaType']}")
def test_what_cosign_has_written(recorded: dict[str, Any]) -> None:
    key, blob = parse_signing_key(recorded["public"]), recorded["blob"].encode()
    (stored,) = parse_signatures(json.dumps({"layers": [recorded["layer"]]}).encode(), "the manifest")
    claim = read_claim(stored, blob)
    assert accept(claim, [key], (recorded["image"],)) == key
    assert key.kind == recorded["key"]
    with pytest.raises(RefusedSignatureError, match="by none"):
        accept(replace(claim, signed=claim.signed + b" "), [key], (recorded["image"],))
