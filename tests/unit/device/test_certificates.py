"""What the test authority puts into certificates, and what it refuses to sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from runtime.device.certificates import (
    CertificateError,
    Pair,
    Validity,
    make_authority,
    make_client,
    make_server,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR = Validity(now=NOW, days=365)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_authority(YEAR)


def usages(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
    )
    return {name for name in names if getattr(usage.value, name)}


def test_the_authority(authority: Pair) -> None:
    certificate = authority.certificate
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    assert usages(certificate) == {"key_cert_sign", "crl_sign"}
    assert certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)
    certificate.verify_directly_issued_by(certificate)


def test_a_server(authority: Pair) -> None:
    certificate = make_server(authority, ["dpu-a", "10.0.0.1", "[fd00::1]", "dpu-a"], YEAR).certificate
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [
        x509.DNSName("dpu-a"),
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.IPAddress(ip_address("fd00::1")),
    ]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert usages(certificate) == {"digital_signature"}
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_client(authority: Pair) -> None:
    certificate = make_client(authority, "controller-1", YEAR).certificate
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.subject.rfc4514_string() == "CN=controller-1"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("controller-1")]
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_nothing_outlives_the_authority(authority: Pair) -> None:
    later = Validity(now=NOW + timedelta(days=300), days=365)
    assert make_client(authority, "a", later).certificate.not_valid_after_utc == NOW + timedelta(days=365)
    with pytest.raises(CertificateError) as refused:
        make_client(authority, "a", Validity(now=NOW + timedelta(days=366), days=1))
    assert str(refused.value) == "the authority's own certificate has ended on 2027-03-01: make a new one"


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "..", "x" * 64, "é"])
def test_names_of_clients_that_are_refused(authority: Pair, name: str) -> None:
    with pytest.raises(CertificateError) as refused:
        make_client(authority, name, YEAR)
    assert str(refused.value) == f"client name {name!r}: it has 1 to 63 letters, digits, dots, dashes and underscores"


@pytest.mark.parametrize("host", ["", "a b", "-a", "a..b", "10.0.0.1/24", "*.example.net"])
def test_hosts_that_are_refused(authority: Pair, host: str) -> None:
    with pytest.raises(CertificateError) as refused:
        make_server(authority, [host], YEAR)
    assert str(refused.value) == f"host {host!r} is neither an IP address nor a host name"


def test_a_pair_is_read_back(authority: Pair) -> None:
    other = make_client(authority, "a", YEAR)
    assert Pair.from_pem(other.certificate_pem, other.key_pem).certificate == other.certificate
    with pytest.raises(CertificateError, match="the key is not that of the certificate"):
        Pair.from_pem(other.certificate_pem, authority.key_pem)
    with pytest.raises(CertificateError, match="no certificate and key in PEM"):
        Pair.from_pem(b"nothing", other.key_pem)
