"""`ovenbird keygen` and `ovenbird sign`, as a session, and OpenSSL reading what they write."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ovenbird.cli import main
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.errors import SignatureForeign, SignatureWrong
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE, signers

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


def session(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "release.key"
    result = session("keygen", path)
    assert result.exit_code == 0, result.stderr
    assert f"{path} (secret) and {path}.pub, key id " in result.stdout
    return path


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def test_what_is_signed_loads_with_its_key(artifact: Path, key: Path) -> None:
    result = session("sign", artifact, "--key", key)
    assert result.exit_code == 0, result.stderr
    assert open_artifact(artifact, public(key)).signed_by == signers(artifact)[0]
    assert session("sign", artifact, "--key", key).exit_code == 0  # again: the same signature
    assert len(signers(artifact)) == 1
    assert "signed     by " in session("inspect", artifact).stdout


def test_the_secret_is_its_owners(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_key_is_not_overwritten(key: Path) -> None:
    result = session("keygen", key)
    assert result.exit_code == 1
    assert "error: OutputError: " in result.stderr
    assert "is there already" in result.stderr


def test_several_signatures_stand_side_by_side(artifact: Path, key: Path, tmp_path: Path) -> None:
    session("keygen", tmp_path / "other.key")
    session("sign", artifact, "--key", tmp_path / "other.key")
    with pytest.raises(SignatureForeign):
        open_artifact(artifact, public(key))
    session("sign", artifact, "--key", key)
    assert open_artifact(artifact, public(key)).signed_by
    assert open_artifact(artifact, tmp_path / "other.key.pub").signed_by


def test_a_spoilt_artifact_is_not_signed(artifact: Path, key: Path) -> None:
    (artifact / "targets/t/model.so").write_bytes(b"coke")
    result = session("sign", artifact, "--key", key)
    assert result.exit_code == 1
    assert "error: FileChanged: targets/t/model.so" in result.stderr
    assert signers(artifact) == ()


def test_signing_where_signatures_are_required(artifact: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_SIGNATURE, str(public(key)))
    assert session("inspect", artifact).exit_code == 1
    assert session("sign", artifact, "--key", key).exit_code == 0
    assert session("inspect", artifact).exit_code == 0


def test_an_encrypted_key_needs_its_password(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_KEY_PASSWORD", "open sesame")
    assert session("keygen", tmp_path / "locked.key").exit_code == 0
    assert session("sign", artifact, "--key", tmp_path / "locked.key").exit_code == 0
    monkeypatch.setenv("OVENBIRD_KEY_PASSWORD", "open barley")
    assert "or OVENBIRD_KEY_PASSWORD is wrong" in session("sign", artifact, "--key", tmp_path / "locked.key").stderr
    monkeypatch.delenv("OVENBIRD_KEY_PASSWORD")
    assert "is encrypted: set OVENBIRD_KEY_PASSWORD" in session(
        "sign", artifact, "--key", tmp_path / "locked.key"
    ).stderr  # fmt: skip


def test_wrong_keys_are_refused(artifact: Path, key: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    other = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "rsa.key"
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for given, words in (
        (path, "is a key of type RSA, expected Ed25519"),
        (public(key), "is no PEM file of a private key"),
        (tmp_path / "nowhere", "cannot be read: No such file"),
    ):
        result = session("sign", artifact, "--key", given)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: KeyInvalid: ")
        assert words in result.stderr


@needs_openssl
def test_openssl_checks_our_signature(artifact: Path, key: Path) -> None:
    session("sign", artifact, "--key", key)
    signature = next(artifact.glob("manifest.json.*.sig"))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public(key)), "-rawin"]
    command += ["-in", str(artifact / "manifest.json"), "-sigfile", str(signature)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@needs_openssl
def test_a_key_that_openssl_made(artifact: Path, tmp_path: Path) -> None:
    key = tmp_path / "made.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    command = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public(key))]
    subprocess.run(command, check=True, capture_output=True)
    assert session("sign", artifact, "--key", key).exit_code == 0
    assert open_artifact(artifact, public(key)).signed_by
    with (artifact / "manifest.json").open("ab") as manifest:
        manifest.write(b"\n")
    with pytest.raises(SignatureWrong):
        open_artifact(artifact, public(key))
