"""Public keys that images have to be signed by: PEM, of the kinds that cosign makes and takes.

Read for policies, so that a key that is none is found by `turnout check`, and for files that an option names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # and where a key is read: most policies have none, and all commands import this
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

EXPECTED: Final = "a PEM public key: ECDSA P-256, Ed25519, or RSA of 2048 to 8192 bits"
LONGEST_PEM: Final = 16 << 10
_RSA_BITS: Final = range(2048, 8193)


class SigningKeyError(ValueError):
    """Why a text is no key that signatures are verified with, in words that can stand behind its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """`fingerprint` is `sha256:` and the digest of the key's SubjectPublicKeyInfo (DER), in hexadecimal."""

    kind: str
    fingerprint: str
    public: PublicKey = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.kind})"


def parse_signing_key(text: str) -> SigningKey:
    """Raises SigningKeyError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    if len(text) > LONGEST_PEM:
        raise SigningKeyError(f"has {len(text)} characters, more than {LONGEST_PEM}")
    if "PRIVATE KEY-----" in text:
        raise SigningKeyError("is a private key, which stays with who signs")
    if text.count("-----BEGIN ") > 1:
        raise SigningKeyError("holds more than one PEM block")
    try:
        public = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError("is no PEM public key") from None
    if not isinstance(public, EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey):
        raise SigningKeyError(f"is a key of a kind that images are not signed with ({type(public).__name__})")
    kind = _kind(public)
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(kind=kind, fingerprint=f"sha256:{sha256(encoded).hexdigest()}", public=public)


def _kind(public: PublicKey) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    match public:
        case Ed25519PublicKey():
            return "Ed25519"
        case RSAPublicKey():
            if public.key_size not in _RSA_BITS:
                raise SigningKeyError(f"is an RSA key of {public.key_size} bits")
            return f"RSA {public.key_size}"
        case _:
            if not isinstance(public.curve, SECP256R1):
                raise SigningKeyError(f"is an ECDSA key on {public.curve.name}, not on P-256")
            return "ECDSA P-256"
