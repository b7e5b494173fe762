"""Signatures as they are stored beside images, made here: for what cosign itself would not write."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from agents.storage.wire.signatures import COSIGN_ARTIFACT, SIGNATURE, SIMPLE_SIGNING, preauthenticated
from compiler.policy.signingkeys import SigningKey, parse_signing_key
from tests.images.archives import LayoutWriter

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"


def make_keys() -> dict[str, PrivateKey]:
    """One of each kind."""
    return {
        "ECDSA P-256": ec.generate_private_key(ec.SECP256R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
        "RSA 2048": rsa.generate_private_key(65537, 2048),
    }


def public_pem(key: PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: PrivateKey) -> SigningKey:
    return parse_signing_key(public_pem(key))


def sign(key: PrivateKey, data: bytes) -> bytes:
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(data)
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), SHA256())
        case _:
            return key.sign(data, ec.ECDSA(SHA256()))


def simple_payload(digest: str, **changes: Any) -> bytes:
    critical = {
        "identity": {"docker-reference": "registry.example.com/shop/web"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": {**critical, **changes}, "optional": None}).encode()


def statement(digest: str, **changes: Any) -> bytes:
    subject = [{"digest": {"sha256": digest.removeprefix("sha256:")}}]
    whole = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": PREDICATE, **changes}
    return json.dumps(whole).encode()


def bundle(key: PrivateKey, payload: bytes, kind: str = STATEMENT) -> bytes:
    signature = base64.b64encode(sign(key, preauthenticated(kind, payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"sig": signature}],
    }
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": {}, "dsseEnvelope": envelope}).encode()


def encoded(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def signed_manifest(
    writer: LayoutWriter, layers: list[tuple[bytes, str, str]], subject: str = "", kind: str = COSIGN_ARTIFACT
) -> dict[str, Any]:
    """The manifest of signatures (blob, media type, signature in base64), its entry in an index without annotations."""
    entries: list[dict[str, Any]] = []
    for blob, media_type, signature in layers:
        found, size = writer.blob(blob)
        annotations = {SIGNATURE: signature} if signature else {}
        entries.append({"mediaType": media_type, "digest": found, "size": size, "annotations": annotations})
    config, config_size = writer.blob(b"{}")
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": config_size},
        "layers": entries,
    }
    if subject:
        manifest["subject"] = {"mediaType": MANIFEST, "digest": subject, "size": 1}
    found, size = writer.blob(json.dumps(manifest).encode())
    return {"mediaType": MANIFEST, "digest": found, "size": size, "artifactType": kind}


def simple_layer(key: PrivateKey, digest: str, **changes: Any) -> tuple[bytes, str, str]:
    payload = simple_payload(digest, **changes)
    return payload, SIMPLE_SIGNING, encoded(sign(key, payload))


def tagged(entry: dict[str, Any], digest: str) -> dict[str, Any]:
    """The entry as a layout has it for cosign's tag."""
    tag = f"{digest.replace(':', '-')}.sig"
    return {**entry, "annotations": {"org.opencontainers.image.ref.name": tag}}
