"""Whether what a signature claims is signed by one of the keys that are asked for, and is the image that is meant.

The key is looked at first: of what nobody trusted has signed, nothing is believed, and nothing else is said of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from nacl.bindings import (
    crypto_sign_BYTES,
    crypto_sign_ed25519ph_final_verify,
    crypto_sign_ed25519ph_state,
    crypto_sign_ed25519ph_update,
)
from nacl.exceptions import BadSignatureError

from agents.storage.wire.errors import ImageError
from agents.storage.wire.signatures import Claim
from compiler.policy.signingkeys import SigningKey

if TYPE_CHECKING:
    from compiler.policy.signingkeys import PublicKey


class RefusedSignatureError(ImageError):
    """A signature that says nothing for the image. The text says why."""


def accept(claim: Claim, keys: Sequence[SigningKey], digests: Collection[str]) -> SigningKey:
    """The key under which the claim is good for one of `digests`. Raises RefusedSignatureError."""
    signed_by = [key for key in keys if any(_is_good(key.public, one, claim.signed) for one in claim.signatures)]
    if not signed_by:
        raise RefusedSignatureError("it is by none of the keys")
    if not set(claim.digests) & set(digests):
        others = ", ".join(digest[:80] for digest in claim.digests[:3]) or "nothing"
        raise RefusedSignatureError(f"by {signed_by[0]}, it signs {others}, and not this image")
    return signed_by[0]


def _is_good(public: PublicKey, signature: bytes, signed: bytes) -> bool:
    """As cosign signs by default: SHA-256; RSA is PKCS #1 v1.5."""
    try:
        match public:
            case Ed25519PublicKey():
                return _is_good_ed25519(public, signature, signed)
            case RSAPublicKey():
                public.verify(signature, signed, PKCS1v15(), SHA256())
            case _:
                public.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_good_ed25519(public: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    """cosign 3 hashes first (Ed25519ph, RFC 8032 section 5.1), which `cryptography` does not know; others do not. No
    signature of one kind is one of the other."""
    if len(signature) != crypto_sign_BYTES:
        return False
    hashed = crypto_sign_ed25519ph_state()
    crypto_sign_ed25519ph_update(hashed, signed)
    try:
        return crypto_sign_ed25519ph_final_verify(hashed, signature, public.public_bytes_raw())
    except BadSignatureError:
        return _is_good_pure(public, signature, signed)


def _is_good_pure(public: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        public.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
