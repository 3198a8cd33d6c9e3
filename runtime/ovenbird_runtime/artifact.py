"""An artifact on disk, and every check that comes before its code is loaded.

    artifact = open_artifact("artifacts/resnet50")      # manifest read and checked, plain paths only
    artifact.verify(["targets/host/model.so"])          # sizes and sha256 of these files

Nothing here executes or maps what it checks; errors are typed and name the file. Files that the manifest does
not list are never opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ArtifactNotFound, FileChanged, FileMissing, shown
from .files import open_plain
from .limits import MAX_LABELS_BYTES, MAX_MANIFEST_BYTES
from .manifest import Manifest, Target, VariantRef, check_target, decode_manifest, decode_target
from .signatures import check_signature, required_keys

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Artifact:
    """A checked manifest and the folder it was read from (links in the path to that folder are already
    followed).
    """

    root: Path
    manifest: Manifest
    signed_by: str | None = None
    """The id of the required key whose signature was checked; None where none was required."""

    def open(self, name: str) -> int:
        """Open a file that the manifest lists, for reading, following no link; the caller closes the
        descriptor.

        Raises UnsafePath for a link or anything but a plain file, FileMissing, and FileChanged where the size
        differs.
        """
        record = self.manifest.files.get(name)
        if record is None:
            raise FileMissing(f"{shown(name)} is not in the manifest's file table")
        descriptor = open_plain(self.root, name)
        size = os.fstat(descriptor).st_size
        if size != record.size:
            os.close(descriptor)
            raise FileChanged(
                f"{name} has {size} bytes, the manifest says {record.size}: copy or compile the artifact again"
            )
        return descriptor

    def verify(self, names: Iterable[str]) -> None:
        """Check the sha256 of these files. Raises FileChanged naming the first that differs, and as `open`
        does.
        """
        for name in names:
            descriptor = self.open(name)
            try:
                found = sha256_of(descriptor)
            finally:
                os.close(descriptor)
            expected = self.manifest.files[name].sha256
            if found != expected:
                raise FileChanged(
                    f"{name} has sha256 {found[:12]}…, the manifest says {expected[:12]}…: "
                    "copy or compile the artifact again"
                )

    def read(self, name: str, limit: int) -> bytes:
        """Read a listed file of at most `limit` bytes and check its sha256. Raises as `verify` does."""
        descriptor = self.open(name)
        with os.fdopen(descriptor, "rb") as file:
            size = self.manifest.files[name].size
            if size > limit:
                raise FileChanged(f"{name} has {size} bytes, limit {limit}")
            data = file.read(limit + 1)
        if hashlib.sha256(data).hexdigest() != self.manifest.files[name].sha256:
            raise FileChanged(f"{name} does not have the sha256 of the manifest: copy or compile the artifact again")
        return data

    def read_target(self, variant: VariantRef) -> Target:
        """Read a variant's target.json. Raises ManifestInvalid, ManifestTooNew, and as `read` does."""
        where = f"{variant.path}/target.json"
        target = decode_target(self.read(where, MAX_MANIFEST_BYTES), where)
        check_target(target, self.manifest, where)
        return target

    def read_labels(self, name: str) -> tuple[str, ...]:
        """Read a file of labels, one a line. Raises as `read` does, and FileChanged where it is not UTF-8."""
        try:
            text = self.read(name, MAX_LABELS_BYTES).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FileChanged(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        return tuple(text.removesuffix("\n").split("\n"))


def open_artifact(
    path: str | os.PathLike[str], public_key: str | os.PathLike[str] | None = None, *, unsigned: bool = False
) -> Artifact:
    """Read and check the manifest of the artifact in folder `path`.

    `public_key` is a PEM file of Ed25519 keys; the manifest must be signed by one of them, which is checked before a
    byte of it is interpreted. None: the file that $OVENBIRD_REQUIRE_SIGNATURE names, and without it no signature is
    needed, nor with `unsigned=True`, for who is about to sign it. Raises ArtifactNotFound, ManifestInvalid,
    ManifestTooNew, UnsafePath, SignatureError, KeyUnreadable.
    """
    keys = () if unsigned else required_keys(public_key)
    try:
        root = Path(path).resolve()
        if not root.is_dir():
            raise ArtifactNotFound(f"{shown(str(path))} is no artifact: it must be a folder that holds manifest.json")
        descriptor = open_plain(root, "manifest.json")
    except FileMissing:
        raise ArtifactNotFound(f"{shown(str(path))} is no artifact: it has no readable manifest.json") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise ArtifactNotFound(f"{shown(str(path))} is no artifact: {error}") from None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise FileChanged(f"manifest.json has more than {MAX_MANIFEST_BYTES} bytes: it is no manifest")
    signed_by = check_signature(root, data, keys).id if keys else None
    return Artifact(root, decode_manifest(data), signed_by)


def sha256_of(descriptor: int) -> str:
    """Give the sha256 of an open file, from its beginning, as 64 hexadecimal characters."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    offset = 0
    while count := os.preadv(descriptor, [buffer], offset):
        digest.update(view[:count])
        offset += count
    return digest.hexdigest()
