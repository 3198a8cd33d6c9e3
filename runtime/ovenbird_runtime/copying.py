"""Copy an artifact, checking every byte on the way.

    copy_artifact("/model/artifact", "/artifact").bytes     # from an image volume to a folder of the server's own

What is written is what was checked: each file is hashed while it is copied, and the manifest comes last, so a copy that
was cut off is no artifact. Until then it lies there under another name, by which an unfinished copy is known from a
folder of somebody's own files. Files that the manifest does not list stay behind, but for its sums and signatures.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from .arguments import path_text
from .artifact.artifact import Artifact, open_artifact
from .dataclass import dataclass
from .errors import FileChanged, FileMissing, OutputNotWritten, OvenbirdError, shown
from .integrity.ed25519 import SIGNATURE_BYTES
from .integrity.files import open_plain, read_up_to
from .integrity.signatures import signature_name, signers
from .limits import MAX_MANIFEST_BYTES

MANIFEST = "manifest.json"
UNFINISHED = "manifest.json.partial"
SUMS = "SHA256SUMS"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Copied:
    """What was copied: the model's name, how many files and bytes the manifest lists, the key that was asked for."""

    model: str
    files: int
    bytes: int
    signed_by: str | None


def copy_artifact(
    source: str | os.PathLike[str], output: str | os.PathLike[str], public_key: str | os.PathLike[str] | None = None
) -> Copied:
    """Copy the artifact in folder `source` into the folder `output`, which is made where it is not there.

    `output` may hold an earlier copy of the same artifact, whole or cut off; it is replaced. Signatures are required as
    in `open_artifact`. Raises ArtifactError, KeyUnreadable, and OutputNotWritten where `output` holds other files, lies
    in the artifact itself, or cannot be written.
    """
    artifact, root = open_artifact(source, public_key), Path(path_text("output", output))
    records = artifact.manifest.files
    try:
        _prepare(root, artifact)
        write_files(artifact, root)
        (root / UNFINISHED).replace(root / MANIFEST)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        raise OutputNotWritten(f"{shown(str(root))} cannot be written: {why}") from None
    open_artifact(root, public_key)
    size = sum(record.size for record in records.values())
    return Copied(artifact.manifest.model.name, len(records), size, artifact.signed_by)


def write_files(artifact: Artifact, root: Path) -> None:
    """Write every file of an artifact but the manifest below `root`, checked on the way: what the manifest lists, sums
    and signatures. Raises ArtifactError, OSError.
    """
    records = artifact.manifest.files
    for name in sorted(records):
        descriptor = artifact.open(name)
        try:
            found = _copy(descriptor, root / name)
        finally:
            os.close(descriptor)
        if found != records[name].sha256:
            raise FileChanged(f"{name} does not have the sha256 of the manifest: copy or compile the artifact again")
    for name in _seals(artifact):
        _copy_seal(artifact, name, root)


def _seals(artifact: Artifact) -> list[str]:
    """Name the files that the manifest cannot list, as they are made from it."""
    return [SUMS, *(signature_name(key) for key in signers(artifact.root))]


def _prepare(root: Path, artifact: Artifact) -> None:
    """Make the folder, or refuse one whose files are not of a copy of this artifact; leave it marked as unfinished."""
    real = root.resolve()
    if real == artifact.root or artifact.root in real.parents:
        raise OutputNotWritten(f"{shown(str(root))} lies in the artifact itself: give another folder")
    root.mkdir(parents=True, exist_ok=True)
    ours = {*artifact.manifest.files, *_seals(artifact), MANIFEST, UNFINISHED}
    found = set()
    for folder, inner, names in os.walk(root):
        links = [name for name in inner if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            relative = Path(folder, name).relative_to(root).as_posix()
            found.add(relative)
            if relative not in ours or Path(folder, name).is_symlink():
                raise OutputNotWritten(
                    f"{shown(str(root))} holds {shown(relative)}, which is not this artifact's: give an empty folder"
                )
    if found - {UNFINISHED} and not _is_copy(root, artifact):
        raise OutputNotWritten(
            f"{shown(str(root))} holds {shown(min(found - {UNFINISHED}))}, but is no copy of an artifact: "
            "give an empty folder"
        )
    (root / UNFINISHED).write_bytes(artifact.manifest_bytes)
    (root / MANIFEST).unlink(missing_ok=True)


def _is_copy(root: Path, artifact: Artifact) -> bool:
    """Return whether a folder is an artifact, or a copy of this one that was cut off."""
    with contextlib.suppress(OvenbirdError, OSError):
        open_artifact(root, unsigned=True)
        return True
    with contextlib.suppress(OvenbirdError, OSError):
        descriptor = open_plain(root, UNFINISHED)
        try:
            return read_up_to(descriptor, MAX_MANIFEST_BYTES) == artifact.manifest_bytes
        finally:
            os.close(descriptor)
    return False


def _copy(descriptor: int, output: Path) -> str:
    """Copy an open file; return its sha256. An older file is unlinked, not overwritten: a server may have it mapped."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    digest = hashlib.sha256()
    with output.open("xb", buffering=0) as file:
        while data := os.read(descriptor, _CHUNK_BYTES):
            digest.update(data)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
    return digest.hexdigest()


def _copy_seal(artifact: Artifact, name: str, root: Path) -> None:
    """Copy a small file that the manifest cannot list: the sums (where there are some), a signature."""
    try:
        descriptor = open_plain(artifact.root, name)
    except FileMissing:
        if name != SUMS:
            raise
        return
    limit = MAX_MANIFEST_BYTES if name == SUMS else SIGNATURE_BYTES
    try:
        if os.fstat(descriptor).st_size > limit:
            raise FileChanged(f"{name} has more than {limit} bytes: it is not the artifact's")
        _copy(descriptor, root / name)
    finally:
        os.close(descriptor)
