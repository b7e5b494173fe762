"""The files of the device's TLS: what is refused at the start, and what is taken up later."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.device.certificates import Pair, Validity, make_authority, make_client, make_server
from runtime.device.tls import Renewal, TlsError, TlsFiles, read_tls

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = Validity(now=NOW, days=30)


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_authority(Validity(now=NOW, days=365))


@pytest.fixture
def files(authority: Pair, tmp_path: Path) -> TlsFiles:
    made = TlsFiles(cert=tmp_path / "server.pem", key=tmp_path / "server.key", ca=tmp_path / "ca.pem")
    write(made, make_server(authority, ["localhost"], MONTH))
    made.ca.write_bytes(authority.certificate_pem)
    return made


def write(files: TlsFiles, pair: Pair) -> None:
    """As by `mv`: other files in the place of the old ones."""
    for path, content in ((files.cert, pair.certificate_pem), (files.key, pair.key_pem)):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)


def test_good_files(files: TlsFiles) -> None:
    read = read_tls(files, NOW)
    assert (read.cert, read.ends) == (files.cert.read_bytes(), NOW + timedelta(days=30))


def refusal(files: TlsFiles, now: datetime = NOW) -> str:
    with pytest.raises(TlsError) as refused:
        read_tls(files, now)
    return str(refused.value)


def test_refused_files(files: TlsFiles, authority: Pair, tmp_path: Path) -> None:
    assert refusal(files, NOW + timedelta(days=31)) == (
        f"the certificate in {files.cert} is valid from 2026-03-01 to 2026-03-31, not today"
    )
    client = make_client(authority, "alice", MONTH)
    files.key.write_bytes(client.key_pem)
    assert refusal(files) == f"{files.key} is not the key of the certificate in {files.cert}"
    files.key.write_bytes(b"what?")
    assert refusal(files) == f"{files.key} holds no private key in PEM"
    write(files, make_server(authority, ["localhost"], MONTH))
    files.ca.write_bytes(client.certificate_pem)
    assert refusal(files) == f"{files.ca}: CN=alice is not a certificate authority"
    files.ca.write_bytes(b"")
    assert refusal(files) == f"{files.ca} holds no certificate in PEM"
    files.cert.write_bytes(b"")
    assert refusal(files) == f"{files.cert} holds no certificate in PEM"
    files.cert.unlink()
    assert refusal(files) == f"cannot read {files.cert}: No such file or directory"


def test_renewed_files_are_taken_up(files: TlsFiles, authority: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.device")
    renewal = Renewal(files, now=lambda: NOW)
    assert renewal.changed() is None
    write(files, make_server(authority, ["localhost"], Validity(now=NOW, days=90)))
    assert renewal.changed() is not None
    assert renewal.changed() is None
    assert caplog.messages == [
        f"TLS: {files.cert} is valid until 2026-03-31",
        f"TLS: {files.cert} is renewed, valid until 2026-05-30",
    ]


def test_half_renewed_files_are_passed_over(files: TlsFiles, authority: Pair, caplog: pytest.LogCaptureFixture) -> None:
    renewal = Renewal(files, now=lambda: NOW)
    other = make_server(authority, ["localhost"], MONTH)
    files.cert.write_bytes(other.certificate_pem)
    assert renewal.changed() is None
    assert renewal.changed() is None
    assert caplog.messages == [
        f"TLS: the renewed files are not taken: {files.key} is not the key of the certificate in {files.cert}"
    ]
    files.key.write_bytes(other.key_pem)
    assert renewal.changed() is not None


def test_a_key_that_everybody_can_read(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    files.key.chmod(0o644)
    Renewal(files, now=lambda: NOW)
    assert caplog.messages == [f"TLS: everybody on this machine can read the key {files.key} (mode 0644)"]
