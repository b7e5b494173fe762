"""A certificate authority for tests and labs, and what it signs for a device and its clients.

Pure: keys, names and dates in, PEM out; `cli/certs.py` writes the files. Real networks have an authority of their own,
and the device takes its certificates as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = timedelta(minutes=5)
"""A certificate is valid from so long before it is made, for peers whose clock is behind."""
_CLIENT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_ALL_UNSET = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


class CertificateError(Exception):
    """A name that no certificate can carry, or an authority that cannot sign; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def from_pem(cls, certificate: bytes, key: bytes) -> Self:
        """Raises `CertificateError` when they cannot be read or do not belong together."""
        try:
            read = x509.load_pem_x509_certificate(certificate)
            private = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError) as problem:
            raise CertificateError(f"no certificate and key in PEM: {problem}") from problem
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != read.public_key():
            raise CertificateError("the key is not that of the certificate")
        return cls(certificate=read, key=private)

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when on, and for how long."""

    now: datetime
    """With a time zone."""
    days: int

    @property
    def start(self) -> datetime:
        return self.now - CLOCK_SKEW

    @property
    def end(self) -> datetime:
        return self.now + timedelta(days=self.days)


def make_authority(validity: Validity) -> Pair:
    """A root of its own key, which signs certificates of devices and clients and no other authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("turnout test CA")
    usage = x509.KeyUsage(**{**_ALL_UNSET, "key_cert_sign": True, "crl_sign": True})
    builder = (
        _builder(name, name, key, validity.start, validity.end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return Pair(certificate=builder.sign(key, hashes.SHA256()), key=key)


def make_server(authority: Pair, hosts: Iterable[str], validity: Validity) -> Pair:
    """For a device that clients reach by any of `hosts`, names or addresses. Raises `CertificateError`."""
    names = list(dict.fromkeys(_alternative(host) for host in hosts))
    if not names:
        raise CertificateError("a device needs a host name or an address that clients reach it by")
    return _signed(authority, "turnout device", names, ExtendedKeyUsageOID.SERVER_AUTH, validity)


def make_client(authority: Pair, name: str, validity: Validity) -> Pair:
    """For a client that is called `name`, as common name and as alternative name. Raises `CertificateError`."""
    if _CLIENT_NAME.fullmatch(name) is None:
        raise CertificateError(f"client name {name!r}: it has 1 to 63 letters, digits, dots, dashes and underscores")
    return _signed(authority, name, [x509.DNSName(name)], ExtendedKeyUsageOID.CLIENT_AUTH, validity)


def _signed(
    authority: Pair, name: str, alternatives: list[x509.GeneralName], purpose: x509.ObjectIdentifier, validity: Validity
) -> Pair:
    last = authority.certificate.not_valid_after_utc
    if last <= validity.now:
        raise CertificateError(f"the authority's own certificate has ended on {last.date()}: make a new one")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    builder = (
        _builder(_name(name), issuer.subject, key, validity.start, min(validity.end, last))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_ALL_UNSET, "digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    return Pair(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _alternative(host: str) -> x509.GeneralName:
    """An address as an address: clients compare it with nothing else."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if _HOST_NAME.fullmatch(host) is None:
        raise CertificateError(f"host {host!r} is neither an IP address nor a host name")
    return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
