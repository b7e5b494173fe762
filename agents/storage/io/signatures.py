"""Looking for an image's signatures where the image is, until one is good.

They are found by tag (`sha256-HEX.sig`) and as referrers, of the manifest and of the indexes that lead to it: who signs
an index signs the digests in it. A place that cannot be asked, or lies about a digest, is an error, never a missing
signature. Called by the conversion, before any layer is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from agents.storage.io.sources import Source, small_blob, verified_manifest
from agents.storage.translate.signing import RefusedSignatureError, accept
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image
from agents.storage.wire.signatures import (
    MAX_PAYLOAD_BYTES,
    MAX_SIGNATURES,
    MalformedSignatureError,
    Stored,
    parse_signatures,
    read_claim,
    signature_tag,
)
from compiler.policy.signingkeys import SigningKey

_SAID = 5
"""Signatures whose fault is told; the others are counted."""


def require_signature(source: Source, image: Image, keys: Sequence[SigningKey], name: str) -> SigningKey:
    """The key that has signed the image. Raises ImageError: what is wrong with each signature, when none is good."""
    digests = (*image.indexes, image.digest)
    faults: list[str] = []
    for place, stored in _all_stored(source, digests):
        if len(faults) == MAX_SIGNATURES:
            break
        try:
            blob = small_blob(source, stored.blob, "signature", MAX_PAYLOAD_BYTES)
            return accept(read_claim(stored, blob), keys, digests)
        except (MalformedSignatureError, RefusedSignatureError) as error:
            faults.append(f"{place}: {error}")
    raise ImageError(_refusal(name, digests, keys, faults))


def _all_stored(source: Source, digests: Sequence[str]) -> Iterator[tuple[str, Stored]]:
    """Each signature once, with the words for where it was."""
    seen: set[str] = set()
    for place, document in _manifests(source, digests):
        digest = sha256(document).hexdigest()
        if digest not in seen:
            seen.add(digest)
            for stored in parse_signatures(document, place):
                yield place, stored


def _manifests(source: Source, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for digest in digests:
        tag = signature_tag(digest)
        document = source.tagged(tag)
        if document is not None:
            yield f"tag {tag}", document
    for digest in digests:
        found = [one.descriptor for one in source.referrers(digest) if one.is_signature or one.is_untold]
        for descriptor in found[:MAX_SIGNATURES]:
            yield f"referrer {descriptor.digest}", verified_manifest(source, descriptor)


def _refusal(name: str, digests: Sequence[str], keys: Sequence[SigningKey], faults: Sequence[str]) -> str:
    what = " or ".join(digests)
    if not faults:
        return f"{name} is not signed: there is no signature of {what} where the image is"
    wanted = ", ".join(str(key) for key in keys)
    more = f"; and {len(faults) - _SAID} more" if len(faults) > _SAID else ""
    told = "; ".join(faults[:_SAID])
    return f"{name} ({what}) has no good signature by {wanted}: {told}{more}"
