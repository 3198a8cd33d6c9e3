"""Sign an artifact for a test, without the compiler.

key = Signer(1)
key.sign(artifact)
load(artifact, public_key=key.public_file(tmp_path))
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ovenbird_runtime.integrity.signatures import PublicKey, signature_name


class Signer:
    """A key made from a number."""

    def __init__(self, number: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "little"))
        self.public = PublicKey(self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, artifact: Path) -> Path:
        path = artifact / signature_name(self.public.id)
        path.write_bytes(self._private.sign((artifact / "manifest.json").read_bytes()))
        return path

    def pem(self) -> bytes:
        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def public_file(self, folder: Path) -> Path:
        path = folder / f"{self.public.id}.pub"
        path.write_bytes(self.pem())
        return path
