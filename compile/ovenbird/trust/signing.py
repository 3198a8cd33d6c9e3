"""Keys and signatures on the compiling side: Ed25519, as files that OpenSSL reads too.

    make_key(Path("release.key"))                                # release.key (secret) and release.key.pub
    sign_artifact(Path("artifacts/resnet50"), read_private_key(Path("release.key")))

What is signed are the bytes of `manifest.json`; the check is the runtime's (`ovenbird_runtime.integrity.signatures`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.artifact.packaging import MANIFEST, sync_folder, write_file
from ovenbird.errors import KeyInvalid, OutputError, output_error
from ovenbird.replacing import replacing
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.errors import OvenbirdError, SignatureError
from ovenbird_runtime.integrity.signatures import PublicKey, check_signature, signature_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSWORD = "OVENBIRD_KEY_PASSWORD"
"""The environment variable with the password of an encrypted private key."""


def make_key(path: Path) -> PublicKey:
    """Write a new private key to `path` (readable for its owner only) and its public one next to it, `.pub`.

    Where $OVENBIRD_KEY_PASSWORD is set, the private key is encrypted with it. Raises OutputError where either exists.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    password = os.environ.get(PASSWORD, "").encode()
    locked = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    public_path = path.with_name(f"{path.name}.pub")
    for file in (path, public_path):
        if file.exists():
            raise OutputError(f"{file} is there already; a key is not overwritten: remove it or give another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file, data, mode in ((path, secret, 0o600), (public_path, public, 0o644)):
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
                opened.write(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise output_error(error, str(path)) from error
    return PublicKey(key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw))


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a PEM private key, with $OVENBIRD_KEY_PASSWORD where it is encrypted. Raises KeyInvalid."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    password = os.environ.get(PASSWORD, "").encode() or None
    try:
        key = load_pem_private_key(path.read_bytes(), password)
    except OSError as error:
        raise KeyInvalid(f"the key {path} cannot be read: {error.strerror}") from None
    except TypeError:
        needed = "is encrypted: set" if password is None else "is not encrypted: unset"
        raise KeyInvalid(f"the key {path} {needed} {PASSWORD}") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = f", or {PASSWORD} is wrong" if password else ""
        raise KeyInvalid(f"{path} is no PEM file of a private key{hint}; `ovenbird keygen` makes one") from None
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise KeyInvalid(f"{path} is a key of type {kind}, expected Ed25519; `ovenbird keygen` makes one")
    return key


def sign_artifact(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Check every file of the artifact, sign its manifest, check the signature as a target will; return its file.

    Raises ArtifactError where the artifact is not as it was written, OutputError, DiskFull.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    artifact = open_artifact(folder, unsigned=True)
    artifact.verify(sorted(artifact.manifest.files))
    data = artifact.manifest_bytes  # that named the files which were checked
    public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    path = artifact.root / signature_name(public.id)
    try:
        with replacing(path) as partial:
            write_file(partial, key.sign(data))
            partial.chmod(0o644)
            sync_folder(partial)
    except OSError as error:
        raise output_error(error, path.name) from error
    try:
        check_signature(artifact.root, (artifact.root / MANIFEST).read_bytes(), [public])
    except SignatureError as error:  # somebody wrote the artifact again while it was being signed
        raise OvenbirdError(f"{folder} changed while it was being signed: {error}") from None
    return path
