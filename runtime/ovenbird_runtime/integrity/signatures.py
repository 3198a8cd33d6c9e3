"""Who signed an artifact: public keys, the signatures next to a manifest, and their check before anything is loaded.

    keys = read_public_keys("release.pub")               # PEM, one Ed25519 key or several
    check_signature(root, manifest_bytes, keys)          # raises SignatureMissing, SignatureForeign, SignatureWrong

A signature is the 64 raw bytes of Ed25519 over `manifest.json` (which holds the sha256 of every other file), next to it
in `manifest.json.<key id>.sig`; the key id is the first half of the sha256 of the public key (DER). Several may lie
there, so that keys can be replaced. `openssl pkeyutl -verify -rawin` reads the same files.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..arguments import path_text
from ..dataclass import dataclass
from ..errors import FileMissing, KeyUnreadable, SignatureForeign, SignatureMissing, SignatureWrong, WrongKeyType, shown
from ..limits import MAX_KEY_FILE_BYTES, MAX_SIGNATURES
from . import ed25519
from .files import open_plain, read_up_to

REQUIRE_SIGNATURE = "OVENBIRD_REQUIRE_SIGNATURE"
"""The environment variable that names a file of public keys; every `load` of the process then asks for a signature."""

# SubjectPublicKeyInfo of an Ed25519 key is this and the key's 32 bytes (RFC 8410).
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
_OTHER_TYPES = {
    bytes.fromhex("06092a864886f70d010101"): "RSA",
    bytes.fromhex("06072a8648ce3d0201"): "elliptic-curve (ECDSA)",
    bytes.fromhex("06032b656e"): "X25519",
    bytes.fromhex("06032b6571"): "Ed448",
}
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key: 32 bytes."""

    raw: bytes

    @property
    def id(self) -> str:
        """Its name: 32 hexadecimal characters, the first half of the sha256 of its DER form."""
        return hashlib.sha256(_DER_PREFIX + self.raw).hexdigest()[:32]


def required_keys(path: str | os.PathLike[str] | None) -> tuple[PublicKey, ...]:
    """Return the keys of the file `path`, else of the file that $OVENBIRD_REQUIRE_SIGNATURE names, else none.

    Raises KeyUnreadable, WrongKeyType. A variable that is set and empty is refused: it would switch the check off.
    """
    if path is None and REQUIRE_SIGNATURE not in os.environ:
        return ()
    if path is None and not os.environ[REQUIRE_SIGNATURE]:
        raise KeyUnreadable(f"{REQUIRE_SIGNATURE} is set but empty: name a file of public keys there, or unset it")
    return read_public_keys(os.environ[REQUIRE_SIGNATURE] if path is None else path)


def read_public_keys(path: str | os.PathLike[str]) -> tuple[PublicKey, ...]:
    """Read a PEM file of one or more Ed25519 public keys. Raises KeyUnreadable, WrongKeyType."""
    path = path_text("public_key", path)
    where = shown(path)
    try:
        with Path(path).open("rb") as file:
            data = read_up_to(file.fileno(), MAX_KEY_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise KeyUnreadable(f"the public key {where} cannot be read: {_why(error)}") from None
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the public key {where} has more than {MAX_KEY_FILE_BYTES} bytes: it is no file of keys")
    blocks = _PEM.findall(data)
    if not blocks or data.count(b"-----BEGIN ") != len(blocks):
        raise KeyUnreadable(f"{where} is not a PEM file of public keys (-----BEGIN PUBLIC KEY-----)")
    return tuple(_decode_key(label.decode(), body, where) for label, body in blocks)


def _decode_key(label: str, body: bytes, where: str) -> PublicKey:
    if "PRIVATE" in label:
        raise WrongKeyType(f"{where} holds a private key: give the public one, and keep this one off targets")
    if label != "PUBLIC KEY":
        raise WrongKeyType(f"{where} holds a {label}, expected an Ed25519 PUBLIC KEY (`ovenbird keygen` makes one)")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise KeyUnreadable(f"{where} is damaged: not base64 between its PEM lines") from None
    if not der.startswith(_DER_PREFIX) or len(der) != len(_DER_PREFIX) + ed25519.KEY_BYTES:
        kind = next((name for oid, name in _OTHER_TYPES.items() if oid in der[:40]), "unknown")
        raise WrongKeyType(f"{where} is a key of type {kind}, expected Ed25519 (`ovenbird keygen` makes one)")
    raw = der[len(_DER_PREFIX) :]
    if not ed25519.usable_key(raw):
        raise KeyUnreadable(f"{where} is no usable Ed25519 key: its bytes are no point of large order")
    return PublicKey(raw)


def signers(root: Path) -> tuple[str, ...]:
    """Return the ids of the keys whose signatures lie in an artifact, unchecked, sorted; at most MAX_SIGNATURES."""
    try:
        names = [path.name for path in root.iterdir()]
    except OSError:  # a folder whose files may be read, but not listed
        names = []
    found = (re.fullmatch(r"manifest\.json\.([0-9a-f]{32})\.sig", name) for name in names)
    return tuple(sorted(match.group(1) for match in found if match))[:MAX_SIGNATURES]


def signature_name(key_id: str) -> str:
    """Return the name of the file that holds a key's signature."""
    return f"manifest.json.{key_id}.sig"


def check_signature(root: Path, manifest: bytes, keys: Iterable[PublicKey]) -> PublicKey:
    """Return the first of `keys` that signed these bytes of `manifest.json`; its signature lies below `root`.

    Raises SignatureMissing, SignatureForeign, SignatureWrong, and UnsafePath where the file is a link.
    """
    wanted = tuple(keys)
    wrong = ""
    for key in wanted:
        signature = _read_signature(root, key)
        if signature is None:
            continue
        if ed25519.verify(key.raw, manifest, signature):
            return key
        wrong = wrong or key.id
    if wrong:
        raise SignatureWrong(
            f"the signature of key {wrong} does not fit manifest.json: the artifact was changed after it was signed; "
            "do not load it, fetch it again from where it was signed"
        )
    needed = " or ".join(key.id for key in wanted)
    others = signers(root)
    if others:
        raise SignatureForeign(f"signed by {', '.join(others[:4])}, required is {needed}: sign it with that key")
    raise SignatureMissing(f"the artifact is not signed, required is key {needed}: ovenbird sign ARTIFACT --key KEY")


def _read_signature(root: Path, key: PublicKey) -> bytes | None:
    try:
        descriptor = open_plain(root, signature_name(key.id))
    except FileMissing:
        return None
    try:
        return read_up_to(descriptor, ed25519.SIGNATURE_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "not a path"
