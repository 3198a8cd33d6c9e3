"""An artifact on disk, and every check that comes before its code is loaded.

    artifact = open_artifact("artifacts/resnet50")      # manifest read and checked, plain paths only
    artifact.verify(["evidence/parity.json"])           # sizes and sha256 of these files
    artifact.seal("targets/host/model.so").descriptor   # a copy that was checked and that nobody can change
    artifact.map("weights/5f0c.bin").view(0, "float32", (8, 3))

What is used later is checked as it is used: read into memory, sealed or mapped first, its digest taken then; a name is
not opened twice. Nothing here executes anything; errors are typed and name the file. Files that the manifest does not
list are never opened.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..arguments import path_text
from ..dataclass import dataclass
from ..errors import ArtifactNotFound, FileChanged, FileMissing, LabelsMismatch, ManifestInvalid, PlanInvalid, shown
from ..integrity.blake3 import blake3_of
from ..integrity.files import open_plain, read_up_to
from ..integrity.sealed import SealedFile, sha256_of
from ..integrity.signatures import check_signature, required_keys
from ..integrity.weights import MappedFile
from ..limits import MAX_LABELS, MAX_LABELS_BYTES, MAX_MANIFEST_BYTES, MAX_PLAN_BYTES
from ..manifest.manifest import Manifest, Target, VariantRef, check_target, decode_manifest, decode_target
from ..manifest.program import size_text, sizes_text
from .plan import PLAN, Plan
from .plan_checks import check_plan
from .plan_file import decode_plan


@dataclass(frozen=True)
class Artifact:
    """A checked manifest and the folder it was read from (links in the path to that folder are already followed)."""

    root: Path
    manifest: Manifest
    signed_by: str | None = None
    """The id of the required key whose signature was checked; None where none was required."""
    manifest_bytes: bytes = b""
    """The file that the manifest was decoded from, whose signature was checked."""

    def open(self, name: str) -> int:
        """Open a file that the manifest lists, for reading, following no link; the caller closes the descriptor.

        Raises UnsafePath for a link or anything but a plain file, FileMissing, and FileChanged where the size differs.
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
        """Check the sha256 of these files. Raises FileChanged naming the first that differs, and as `open` does."""
        for name in names:
            with self._opened(name) as descriptor:
                self._check(name, sha256_of(descriptor))

    def read(self, name: str, limit: int) -> bytes:
        """Read a listed file of at most `limit` bytes and check its sha256. Raises as `verify` does."""
        with self._opened(name) as descriptor:
            size = self.manifest.files[name].size
            if size > limit:
                raise FileChanged(f"{name} has {size} bytes, limit {limit}")
            data = read_up_to(descriptor, limit)
        self._check(name, hashlib.sha256(data).hexdigest())
        return data

    def seal(self, name: str) -> SealedFile:
        """Return a sealed copy of a listed file, its sha256 checked. Raises as `verify` does."""
        with self._opened(name) as descriptor:
            copy = SealedFile(descriptor, name)
        self._check(name, copy.sha256)
        return copy

    def map(self, name: str) -> MappedFile:
        """Return a listed file mapped for good, the digest of what is mapped checked. Raises as `verify` does."""
        with self._opened(name) as descriptor:
            mapped = MappedFile(descriptor, name)
        record = self.manifest.files[name]
        if record.blake3 is not None and (found := blake3_of(mapped.bytes)) is not None:
            self._compare(name, "blake3", found, record.blake3)
        else:
            self._check(name, hashlib.sha256(mapped.bytes).hexdigest())
        return mapped

    def map_unchecked(self, name: str) -> MappedFile | None:
        """Return a listed file mapped for good, for whoever takes its digest; None where a copy would be needed.

        Raises as `open` does.
        """
        with self._opened(name) as descriptor:
            return MappedFile.uncopied(descriptor, name)

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptor = self.open(name)
        try:
            yield descriptor
        except OSError as error:  # a damaged disk, a network file system that lost its server
            raise FileMissing(f"{name} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def _check(self, name: str, found: str) -> None:
        self._compare(name, "sha256", found, self.manifest.files[name].sha256)

    def _compare(self, name: str, digest: str, found: str, expected: str) -> None:
        if found != expected:
            raise FileChanged(
                f"{name} has {digest} {found[:12]}…, the manifest says {expected[:12]}…: "
                "copy or compile the artifact again"
            )

    def read_target(self, variant: VariantRef) -> Target:
        """Read a variant's target.json. Raises ManifestInvalid, ManifestTooNew, and as `read` does."""
        where = f"{variant.path}/target.json"
        target = decode_target(self.read(where, MAX_MANIFEST_BYTES), where, variant.precision)
        if target.precision != variant.precision:
            raise ManifestInvalid(f"{where} computes in {target.precision}, the manifest says {variant.precision}")
        check_target(target, self.manifest, where)
        return target

    def read_plan(self, variant: VariantRef, target: Target) -> Plan | None:
        """Read a variant's plan; None where it has none. Raises PlanInvalid, ManifestTooNew, and as `read` does."""
        where = f"{variant.path}/{PLAN}"
        if where not in self.manifest.files:
            return None
        plan = decode_plan(self.read(where, MAX_PLAN_BYTES), where)
        for entry in plan.entries:
            if entry.program not in self.manifest.programs:
                raise PlanInvalid(f"{where} has an entry of program {shown(entry.program)}, which is unknown")
            known = self.manifest.programs[entry.program]
            if known.sizes and entry.size not in known.image_sizes:
                raise PlanInvalid(
                    f"{where} has an entry for images of {size_text(entry.size) or 'any size'}, "
                    f"the program takes {sizes_text(known.image_sizes)}"
                )
        for name, program in self.manifest.programs.items():
            for size in program.image_sizes:
                at = program.at(size)
                check_plan(plan, target.tensors, at.inputs, at.outputs, where, name, size or None)
        return plan

    def read_labels(self, name: str, count: int | None) -> tuple[str, ...]:
        """Read a file of `count` labels, one a line; of any number for None. Raises as `read` does, FileChanged where
        it is not UTF-8, and LabelsMismatch.
        """
        try:
            text = self.read(name, MAX_LABELS_BYTES).decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            raise FileChanged(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        found = text.count("\n") + 1
        if count is None and found > MAX_LABELS:  # before there are millions of strings
            raise LabelsMismatch(f"{name} has {found} labels, limit {MAX_LABELS}")
        if count is not None and found != count:
            raise LabelsMismatch(f"{name} has {found} labels, the network has {count} classes")
        return tuple(text.split("\n"))


def open_artifact(
    path: str | os.PathLike[str], public_key: str | os.PathLike[str] | None = None, *, unsigned: bool = False
) -> Artifact:
    """Read and check the manifest of the artifact in folder `path`.

    `public_key` is a PEM file of Ed25519 keys; the manifest must be signed by one of them, which is checked before a
    byte of it is interpreted. None: the file that $OVENBIRD_REQUIRE_SIGNATURE names, and without it no signature is
    needed, nor with `unsigned=True`, for who is about to sign it. Raises ArtifactNotFound, ManifestInvalid,
    ManifestTooNew, UnsafePath, SignatureError, KeyUnreadable.
    """
    keys, path = () if unsigned else required_keys(public_key), path_text("path", path)
    try:
        root = Path(path).resolve()
        if not root.is_dir():
            raise ArtifactNotFound(f"{shown(str(path))} is no artifact: it must be a folder that holds manifest.json")
        descriptor = open_plain(root, "manifest.json")
    except FileMissing:
        raise ArtifactNotFound(f"{shown(str(path))} is no artifact: it has no readable manifest.json") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a loop of links
        raise ArtifactNotFound(f"{shown(str(path))} is no artifact: {error}") from None
    try:
        data = read_up_to(descriptor, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise ArtifactNotFound(f"{shown(str(path))} is no artifact: its manifest.json: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_MANIFEST_BYTES:
        raise FileChanged(f"manifest.json has more than {MAX_MANIFEST_BYTES} bytes: it is no manifest")
    signed_by = check_signature(root, data, keys).id if keys else None
    return Artifact(root, decode_manifest(data), signed_by, data)
