"""An artifact on disk, and every check that comes before its code is loaded.

    artifact = open_artifact("artifacts/resnet50")      # manifest read and checked, plain paths only
    artifact.verify(["targets/host/model.so"])          # sizes and sha256 of these files

Nothing here executes or maps what it checks; errors are typed and name the file. Files that the manifest does
not list are never opened.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ArtifactNotFound, FileChanged, FileMissing, UnsafePath, shown
from .limits import MAX_LABELS_BYTES, MAX_MANIFEST_BYTES
from .manifest import Manifest, Target, VariantRef, check_target, decode_manifest, decode_target

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Artifact:
    """A checked manifest and the folder it was read from (links in the path to that folder are already
    followed).
    """

    root: Path
    manifest: Manifest

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


def open_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Read and check the manifest of the artifact in folder `path`.

    Raises ArtifactNotFound, ManifestInvalid, ManifestTooNew, UnsafePath.
    """
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
    return Artifact(root, decode_manifest(data))


def open_plain(root: Path, name: str) -> int:
    """Open the plain file `name` (folders separated by "/") below `root`, following no link on the way.

    Raises UnsafePath for links, devices, pipes and paths that leave the folder, FileMissing where it cannot
    be read.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        raise UnsafePath(f"{shown(name)} is not a plain path inside the artifact")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            _refuse_link(folder, part, name)
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        _refuse_link(folder, parts[-1], name)
        # A pipe must not make us wait for its writer before we can refuse it.
        descriptor = os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=folder)
    except (OSError, UnicodeEncodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be a file's"
        raise FileMissing(f"{shown(name)} cannot be read: {reason}") from None
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafePath(f"{shown(name)} is not a plain file")
    return descriptor


def _refuse_link(folder: int, part: str, name: str) -> None:
    if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
        raise UnsafePath(
            f"{shown(name)} is or passes through a symbolic link: copy the artifact with its links resolved (cp -rL)"
        )


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
