"""Keys that images are signed by: which are taken, and what is said of the others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from compiler.policy.loading import load_text
from compiler.policy.signingkeys import SigningKeyError, parse_signing_key
from tests.images.signing import PrivateKey, make_keys, private_pem, public_pem

KEYS = make_keys()


@pytest.mark.parametrize("kind", KEYS)
def test_kinds(kind: str) -> None:
    key = parse_signing_key(f"a comment\n{public_pem(KEYS[kind])}\n")
    assert key.kind == kind
    assert str(key) == f"{key.fingerprint} ({kind})"
    assert key == parse_signing_key(public_pem(KEYS[kind]))


def _other(key: x25519.X25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no PEM public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is no PEM public key"),
        ("x" * 20_000, "has 20000 characters, more than 16384"),
        (private_pem(KEYS["Ed25519"]), "is a private key, which stays with who signs"),
        (public_pem(KEYS["Ed25519"]) * 2, "holds more than one PEM block"),
        (public_pem(ec.generate_private_key(ec.SECP384R1())), "is an ECDSA key on secp384r1, not on P-256"),
        (public_pem(rsa.generate_private_key(65537, 1024)), "is an RSA key of 1024 bits"),
        (
            _other(x25519.X25519PrivateKey.generate()),
            "is a key of a kind that images are not signed with (X25519PublicKey)",
        ),
    ],
)
def test_what_is_no_key(text: str, problem: str) -> None:
    with pytest.raises(SigningKeyError) as refused:
        parse_signing_key(text)
    assert str(refused.value) == problem


def _policy(key: PrivateKey) -> str:
    lines = "".join(f"      {line}\n" for line in public_pem(key).splitlines())
    return (
        "apiVersion: turnout.dev/v1alpha1\nkind: ImageConversion\nmetadata: {name: web}\n"
        f"spec:\n  sourceImage: registry.example.com/web:1\n  signedBy:\n    - |\n{lines}"
    )


def test_a_policy_has_keys() -> None:
    loaded = load_text(_policy(KEYS["Ed25519"]), path="policy.yaml")
    assert loaded.render() == ""
    (conversion,) = loaded.policies.conversions
    assert conversion.signed_by == (parse_signing_key(public_pem(KEYS["Ed25519"])),)
