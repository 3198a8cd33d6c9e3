"""Attacks on signatures: unsigned, foreign, changed, replayed artifacts and keys of every wrong sort; none loads."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import ovenbird_runtime
from ovenbird_runtime.cli import main
from ovenbird_runtime.errors import (
    FileChanged,
    KeyUnreadable,
    SignatureForeign,
    SignatureMissing,
    SignatureWrong,
    UnsafePath,
    WrongKeyType,
)
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE, signature_name
from support.signing import Signer
from support.tiny_artifact import reseal

OURS, THEIRS = Signer(1), Signer(2)


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return OURS.public_file(tmp_path)


def test_a_signed_artifact_is_loaded(spoilt: Path, public: Path) -> None:
    OURS.sign(spoilt)
    with ovenbird_runtime.load(spoilt, public_key=public) as model:
        assert model.artifact.signed_by == OURS.public.id


def test_without_a_required_key_a_signature_plays_no_part(spoilt: Path) -> None:
    (spoilt / signature_name(OURS.public.id)).write_bytes(b"nonsense")
    with ovenbird_runtime.load(spoilt) as model:
        assert model.artifact.signed_by is None


def test_unsigned_artifact_is_refused(spoilt: Path, public: Path) -> None:
    with pytest.raises(SignatureMissing, match="is not signed, required is key " + OURS.public.id):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_signed_by_somebody_else(spoilt: Path, public: Path) -> None:
    THEIRS.sign(spoilt)
    with pytest.raises(SignatureForeign, match=f"signed by {THEIRS.public.id}, required is {OURS.public.id}"):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_somebody_elses_signature_under_our_name(spoilt: Path, public: Path) -> None:
    THEIRS.sign(spoilt).rename(spoilt / signature_name(OURS.public.id))
    with pytest.raises(SignatureWrong):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_manifest_changed_after_signing(spoilt: Path, public: Path) -> None:
    OURS.sign(spoilt)
    (spoilt / "labels.txt").write_text("".join(f"other {i}\n" for i in range(5)))
    reseal(spoilt, lambda manifest: dataclasses.replace(manifest, tuning={"a": 1}))  # digest and sums are all right
    ovenbird_runtime.load(spoilt).close()
    with pytest.raises(SignatureWrong, match="changed after it was signed"):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_a_file_changed_after_signing(spoilt: Path, public: Path) -> None:
    OURS.sign(spoilt)
    code = spoilt / "targets" / "tiny" / "model.so"
    code.write_bytes(code.read_bytes()[:-1] + b"x")
    with pytest.raises(FileChanged, match=r"model\.so"):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_a_manifest_that_is_no_json_is_not_even_read(spoilt: Path, public: Path) -> None:
    OURS.sign(spoilt)
    (spoilt / "manifest.json").write_bytes(b"{" * 100_000)
    with pytest.raises(SignatureWrong):
        ovenbird_runtime.load(spoilt, public_key=public)


@pytest.mark.parametrize(
    "change", [lambda data: b"", lambda data: data[:-1], lambda data: data + b"\0", lambda data: data[::-1]]
)
def test_damaged_signatures_are_refused(spoilt: Path, public: Path, change: Callable[[bytes], bytes]) -> None:
    path = OURS.sign(spoilt)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SignatureWrong):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_a_link_as_signature(spoilt: Path, public: Path, tmp_path: Path) -> None:
    path = OURS.sign(spoilt)
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath):
        ovenbird_runtime.load(spoilt, public_key=public)


def test_keys_can_be_replaced(spoilt: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.pub"
    both.write_bytes(THEIRS.pem() + OURS.pem())
    OURS.sign(spoilt)
    with ovenbird_runtime.load(spoilt, public_key=both) as model:
        assert model.artifact.signed_by == OURS.public.id
    (spoilt / signature_name(THEIRS.public.id)).write_bytes(b"wrong")
    ovenbird_runtime.load(spoilt, public_key=both).close()


def test_the_environment_requires_it_too(spoilt: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_SIGNATURE, str(public))
    with pytest.raises(SignatureMissing):
        ovenbird_runtime.load(spoilt)
    OURS.sign(spoilt)
    ovenbird_runtime.load(spoilt).close()
    monkeypatch.setenv(REQUIRE_SIGNATURE, "")  # a variable that was lost on the way does not switch the check off
    with pytest.raises(KeyUnreadable, match=f"{REQUIRE_SIGNATURE} is set but empty"):
        ovenbird_runtime.load(spoilt)


def other_keys() -> dict[str, bytes]:
    spki = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "RSA": rsa.generate_private_key(65537, 2048).public_key().public_bytes(*spki),
        "elliptic-curve": ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*spki),
        "X25519": x25519.X25519PrivateKey.generate().public_key().public_bytes(*spki),
        "Ed448": ed448.Ed448PrivateKey.generate().public_key().public_bytes(*spki),
        "holds a private key": OURS._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "holds a CERTIFICATE": OURS.pem().replace(b"PUBLIC KEY", b"CERTIFICATE"),
    }


@pytest.mark.parametrize("kind", sorted(other_keys()))
def test_keys_of_another_type(spoilt: Path, tmp_path: Path, kind: str) -> None:
    OURS.sign(spoilt)
    path = tmp_path / "other.pub"
    path.write_bytes(other_keys()[kind])
    with pytest.raises(WrongKeyType, match=kind):
        ovenbird_runtime.load(spoilt, public_key=path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ssh-ed25519 AAAA",
        OURS.pem()[:60],
        OURS.pem() + b"-----BEGIN PUBLIC KEY-----\n",
        OURS.pem().replace(b"MC", b"M?"),
        b"\xff" * 70_000,
        # the neutral point, with which anybody could sign
        b"-----BEGIN PUBLIC KEY-----\n"
        b"MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        b"-----END PUBLIC KEY-----\n",
    ],
    ids=["empty", "ssh", "cut off", "cut off after one", "not base64", "large", "small order"],
)
def test_files_that_hold_no_key(spoilt: Path, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(data)
    with pytest.raises(KeyUnreadable):
        ovenbird_runtime.load(spoilt, public_key=path)


def test_a_key_file_that_is_not_there_is_refused(spoilt: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyUnreadable, match="No such file"):
        ovenbird_runtime.load(spoilt, public_key=tmp_path / "nowhere.pub")


@pytest.mark.parametrize("command", ["inspect", "selftest", "bench"])
def test_the_commands_require_it(spoilt: Path, public: Path, command: str) -> None:
    arguments = [command, str(spoilt), "--require-signature", str(public)]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: SignatureMissing: ")
    OURS.sign(spoilt)
    assert CliRunner().invoke(main, arguments + (["--seconds", "0.1"] if command == "bench" else [])).exit_code == 0


def test_inspect_prints_who_signed(spoilt: Path, public: Path) -> None:
    assert "signed   no" in CliRunner().invoke(main, ["inspect", str(spoilt)]).stdout
    OURS.sign(spoilt)
    assert f"signed   by {OURS.public.id}, not checked" in CliRunner().invoke(main, ["inspect", str(spoilt)]).stdout
    checked = CliRunner().invoke(main, ["inspect", str(spoilt), "--require-signature", str(public)])
    assert f"signed   by {OURS.public.id}, checked" in checked.stdout
