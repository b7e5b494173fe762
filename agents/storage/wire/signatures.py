"""Signatures of images as cosign keeps them beside the image: where they are, and what they say is signed.

Three ways, all of them manifests whose layers are signatures:

    sha256-HEX.sig      a tag; each layer is a payload ("simple signing"), its signature an annotation of the layer
    referrer            the same manifest, found by its `subject` (distribution-spec 1.1, or the tag sha256-HEX)
    bundle              a referrer with one layer, a Sigstore bundle: a DSSE envelope around an in-toto statement

Here bytes become what they say; whether a signature is good, `translate/signing` decides. Sources: cosign
specs/SIGNATURE_SPEC.md, sigstore protobuf-specs sigstore_bundle.proto, DSSE protocol.md, in-toto statement v1.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Final, cast

from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor, json_object, parse_descriptor

MAX_PAYLOAD_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 100
"""Looked at of one image: whoever may push to a repository adds to them."""
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_ARTIFACT: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_BUNDLE: Final = re.compile(r"application/vnd\.dev\.sigstore\.bundle(\.v0\.[1-9]\+json|\+json;version=0\.[1-9])")
_UNTOLD: Final = ("", "application/vnd.oci.empty.v1+json")
_KIND: Final = "kind"
_SAVED: Final = ("dev.cosignproject.cosign/sigs", "dev.cosignproject.cosign/atts")
_TAG: Final = re.compile(r"sha256-[0-9a-f]{64}\.sig")
_SIGN_TYPES: Final = ("cosign container image signature", "https://sigstore.dev/cosign/sign/v1")
_STATEMENT: Final = "application/vnd.in-toto+json"
_STATEMENT_TYPES: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"


class MalformedSignatureError(ImageError):
    """A signature that cannot be read; others beside it may be good. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A manifest that an index lists. `is_signature`: by its type or tag, or by what `cosign save` says of it."""

    descriptor: Descriptor
    is_signature: bool
    is_untold: bool = False
    """The list does not say what it is; some registries give the type of its config, which is of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A layer of a signature's manifest. `signature` is base64 as it stands there, and empty for a bundle."""

    blob: Descriptor
    is_bundle: bool
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """`signed` are the bytes under the signatures; `digests` (`sha256:...`) what they say is signed."""

    signed: bytes
    signatures: tuple[bytes, ...]
    digests: tuple[str, ...]


def signature_tag(digest: str) -> str:
    return f"{digest.replace(':', '-', 1)}.sig"


def referrers_tag(digest: str) -> str:
    """Of the index that stands for the referrers API where a registry has none (distribution-spec 1.1)."""
    return digest.replace(":", "-", 1)


def parse_referrers(document: bytes, what: str) -> tuple[Referrer, ...]:
    return tuple(_referrer(item, what) for item in _objects(json_object(document, what), "manifests"))


def subject_of(document: bytes) -> str:
    """The digest that a manifest refers to; empty for none."""
    subject = json_object(document, "the manifest").get("subject")
    return str(cast("dict[str, Any]", subject).get("digest", "")) if isinstance(subject, dict) else ""


def parse_signatures(document: bytes, what: str) -> tuple[Stored, ...]:
    """The layers of a manifest that are signatures; others are passed over."""
    found = (_stored(item, what) for item in _objects(json_object(document, what), "layers"))
    return tuple(one for one in found if one is not None)


def _referrer(item: dict[str, Any], what: str) -> Referrer:
    kind, descriptor = str(item.get("artifactType", "")), parse_descriptor(item, what)
    is_kept = _annotations(item).get(_KIND) in _SAVED or _TAG.fullmatch(descriptor.name) is not None
    is_signature = is_kept or kind == COSIGN_ARTIFACT or _BUNDLE.fullmatch(kind) is not None
    return Referrer(descriptor=descriptor, is_signature=is_signature, is_untold=kind in _UNTOLD)


def _stored(item: dict[str, Any], what: str) -> Stored | None:
    blob = parse_descriptor(item, what)
    if blob.media_type == SIMPLE_SIGNING:
        return Stored(blob=blob, is_bundle=False, signature=str(_annotations(item).get(SIGNATURE, "")))
    return Stored(blob=blob, is_bundle=True) if _BUNDLE.fullmatch(blob.media_type) else None


def read_claim(stored: Stored, blob: bytes) -> Claim:
    """What the blob of a signature says. Raises MalformedSignatureError."""
    return _bundle(blob) if stored.is_bundle else _simple(blob, stored.signature)


def _simple(payload: bytes, signature: str) -> Claim:
    if not signature:
        raise MalformedSignatureError(f"its layer has no annotation {SIGNATURE}")
    signed = _base64(signature, "the signature")
    critical = _inner(_claims(payload, "the payload"), "critical", "the payload")
    kind = critical.get("type")
    if kind not in _SIGN_TYPES:
        raise MalformedSignatureError(f"the payload's type is {str(kind)[:60]!r}, not {_SIGN_TYPES[0]!r}")
    digest = _inner(critical, "image", "the payload").get("docker-manifest-digest")
    if not isinstance(digest, str):
        raise MalformedSignatureError("the payload has no docker-manifest-digest")
    return Claim(signed=payload, signatures=(signed,), digests=(digest,))


def _bundle(blob: bytes) -> Claim:
    envelope = _inner(_claims(blob, "the bundle"), "dsseEnvelope", "the bundle")
    kind = envelope.get("payloadType")
    if kind != _STATEMENT:
        raise MalformedSignatureError(f"the envelope holds {str(kind)[:60]!r}, not {_STATEMENT}")
    payload = _base64(envelope.get("payload"), "the envelope's payload")
    signatures = tuple(_base64(one.get("sig"), "a signature") for one in _objects(envelope, "signatures"))
    return Claim(signed=preauthenticated(kind, payload), signatures=signatures, digests=_subjects(payload))


def preauthenticated(kind: str, payload: bytes) -> bytes:
    """What a DSSE envelope's signatures are of (protocol.md, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _subjects(payload: bytes) -> tuple[str, ...]:
    statement = _claims(payload, "the statement")
    if statement.get("_type") not in _STATEMENT_TYPES:
        raise MalformedSignatureError(f"the statement is of type {str(statement.get('_type'))[:60]!r}")
    predicate = statement.get("predicateType")
    if predicate != _PREDICATE:
        raise MalformedSignatureError(f"it attests {str(predicate)[:100]!r}, which is no signature of an image")
    digests = (one.get("digest") for one in _objects(statement, "subject"))
    found = (cast("dict[str, Any]", digest).get("sha256") for digest in digests if isinstance(digest, dict))
    return tuple(f"sha256:{digest}" for digest in found if isinstance(digest, str))


def _base64(text: object, what: str) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except ValueError:
        raise MalformedSignatureError(f"{what} is no base64") from None


def _claims(data: bytes, what: str) -> dict[str, Any]:
    try:
        return json_object(data, what)
    except ImageError as error:
        raise MalformedSignatureError(str(error)) from None


def _inner(fields: dict[str, Any], name: str, what: str) -> dict[str, Any]:
    value: object = fields.get(name)
    if not isinstance(value, dict):
        raise MalformedSignatureError(f"{what} has no object '{name}'")
    return cast("dict[str, Any]", value)


def _objects(fields: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list; nothing where there is none."""
    value: object = fields.get(name)
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def _annotations(item: dict[str, Any]) -> dict[str, Any]:
    value: object = item.get("annotations")
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
