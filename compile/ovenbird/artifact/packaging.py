"""Writing an artifact: next to its place, on disk for certain, then renamed; a failure or Ctrl-C leaves nothing behind.

    with Staging(Path("artifacts/resnet50")) as staging:
        writer = ArtifactWriter(staging.folder, network)
        writer.add_variant(built, target)
        writer.write_manifest(parity, tuning={})
        staging.commit()

The schema of what is written is the runtime's (`ovenbird_runtime.manifest.manifest`); here is only the order of
writing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from blake3 import blake3

from ovenbird.errors import OutputError, output_error
from ovenbird.process.interruption import CLEANUPS
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.copying import SUMS
from ovenbird_runtime.errors import OvenbirdError, shown
from ovenbird_runtime.integrity.signatures import signature_name, signers

MANIFEST = "manifest.json"


class Staging:
    """A folder next to the output that becomes the output in one rename, or vanishes."""

    def __init__(self, output: Path) -> None:
        """Check that `output` can become an artifact. Raises OutputError."""
        self.output = Path.cwd() / output
        check_output(self.output)
        self.folder = self.output.parent / f".{self.output.name}.{os.getpid()}.partial"
        self._aside = self.folder.with_suffix(".replaced")

    def __enter__(self) -> Staging:
        CLEANUPS.append(self._clean)
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self.folder.mkdir()
        except OSError as error:
            CLEANUPS.remove(self._clean)
            raise output_error(error, f"into {self.output.parent}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()
        if isinstance(error, OSError):
            raise output_error(error, str(self.output)) from error

    def commit(self) -> None:
        """Put the staged folder in the output's place; what stood there goes only once the new one stands."""
        try:
            sync_tree(self.folder)
            if self.output.exists():
                check_output(self.output)  # hours may have gone by
                self.output.rename(self._aside)
            self.folder.rename(self.output)
            sync_folder(self.output.parent)
        except OSError as error:
            raise output_error(error, str(self.output)) from error

    def _clean(self) -> None:
        """Bring an old artifact back that nothing replaced, and leave nothing else."""
        with contextlib.suppress(OSError):
            if not self.output.exists():
                self._aside.rename(self.output)
        if self.output.exists():
            shutil.rmtree(self._aside, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(ValueError):
            CLEANUPS.remove(self._clean)

    def _sweep(self) -> None:
        """Remove what compilers that were killed left next to the output."""
        for leftover in self.output.parent.glob(f".{glob_escape(self.output.name)}.*"):
            found = re.fullmatch(r"\.(\d+)\.(partial|replaced)", leftover.name.removeprefix(f".{self.output.name}"))
            if found and not Path(f"/proc/{found.group(1)}").exists():
                if found.group(2) == "replaced" and not self.output.exists():
                    leftover.rename(self.output)  # killed between the two renames: the old artifact is still good
                else:
                    shutil.rmtree(leftover, ignore_errors=True)


def glob_escape(name: str) -> str:
    """Return `name` as a pattern that matches itself only."""
    return re.sub(r"([*?[])", r"[\1]", name)


def check_output(output: Path) -> None:
    """Refuse to replace anything but an empty folder, or an artifact with nothing but its own files.

    Raises OutputError.
    """
    if output.is_symlink():
        raise OutputError(f"--output {output} is a symbolic link; give the folder itself")
    if output.exists() and not output.is_dir():
        raise OutputError(f"--output {output} is a file; give a folder")
    if output.is_dir() and any(output.iterdir()):
        _check_replaceable(output)
    parent = next(folder for folder in output.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"--output {output}: {parent} is not a folder that may be written to")


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that is no artifact of ours, or holds a file that its manifest does not list: it would be lost.

    Raises OutputError.
    """
    try:
        manifest = open_artifact(folder, unsigned=True).manifest
    except OvenbirdError:
        raise OutputError(
            f"--output {folder} holds other files than a sound artifact; give an empty or a new folder"
        ) from None
    ours = {*manifest.files, MANIFEST, SUMS, *map(signature_name, signers(folder))}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or (name not in ours and not path.is_dir()):
            raise OutputError(
                f"--output {folder} holds {shown(name)}, which is not the artifact's and would be lost; "
                "move it, or give another folder"
            )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for writing. An OSError becomes DiskFull or OutputError that names the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise output_error(error, path.name) from error


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, making its folder. Raises DiskFull, OutputError."""
    with writing(path) as file:
        file.write(data)


def blake3_file(path: Path) -> str:
    """Return the BLAKE3 of a file's bytes in hexadecimal."""
    return _digest(path, blake3())


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal."""
    return _digest(path, hashlib.sha256())


def _digest(path: Path, taken: Any) -> str:
    """Read a file in pieces: mapped, all of its bytes would count as the compiler's memory."""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            taken.update(chunk)
    return str(taken.hexdigest())


def sync_tree(folder: Path) -> None:
    """Have everything below `folder` on the disk, whatever happens next to the machine."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
        else:
            path.chmod(0o644)
            sync_folder(path)
    sync_folder(folder)


def sync_folder(path: Path) -> None:
    """fsync a folder or a file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
