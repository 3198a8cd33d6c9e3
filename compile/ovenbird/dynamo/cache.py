"""Artifacts of graphs on disk, by the digest of their content: made once on a machine, by whichever process is first.

    entry = CacheEntry(key)
    model = entry.load_or_make(load, make)      # raises EagerOnly where an earlier process found that it cannot be

They lie in `graphs` of the cache (`resources.cache_folder`). Removing it is safe, whole or in part.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ovenbird.dynamo.reporting import EagerOnly
from ovenbird.errors import NetworkError, OutputError, VerificationFailed, output_error
from ovenbird.resources import CACHE_VARIABLE, cache_folder
from ovenbird_runtime.errors import ArtifactError
from ovenbird_runtime.integrity.signatures import REQUIRE_SIGNATURE

T = TypeVar("T")
FINDINGS = (NetworkError, VerificationFailed)
"""What another try would meet again: what the network is, not what the machine lacks at the moment."""


class CacheEntry:
    """One graph's artifact, or the reason why there is none."""

    def __init__(self, key: str) -> None:
        """Name the files of `key`."""
        root = cache_folder() / "graphs"
        self.folder = root / key
        self._refusal, self._lock = root / f"{key}.refused", root / f"{key}.lock"

    def load_or_make(self, load: Callable[[Path], T], make: Callable[[Path], None]) -> T:
        """Load the artifact; where it is not there, or damaged, make it first. One process makes it, others wait.

        Raises EagerOnly with an earlier finding, and what `load` and `make` raise.
        """
        self._check_ours()
        with contextlib.suppress(ArtifactError):
            if self.folder.is_dir():
                return load(self.folder)
        with self._locked():
            if self._refusal.is_file():
                raise EagerOnly(self._refusal.read_text(encoding="utf-8"))
            try:
                if self.folder.is_dir():
                    return load(self.folder)
            except ArtifactError:
                shutil.rmtree(self.folder, ignore_errors=True)
            try:
                make(self.folder)
            except (*FINDINGS, EagerOnly) as error:
                text = str(error) if isinstance(error, EagerOnly) else f"{type(error).__name__}: {error}"
                self._refusal.write_text(text, encoding="utf-8")
                raise EagerOnly(text) from error
            return load(self.folder)

    def _check_ours(self) -> None:
        """Refuse what others may have written: entries are code. Raises EagerOnly."""
        root = self.folder.parent
        if os.environ.get(REQUIRE_SIGNATURE):
            raise EagerOnly(f"${REQUIRE_SIGNATURE} is set, and what is compiled here is not signed")
        if root.is_dir() and (root.stat().st_uid != os.geteuid() or root.stat().st_mode & stat.S_IWOTH):
            raise EagerOnly(
                f"{root} is another user's, or open to all for writing; ${CACHE_VARIABLE} names another folder"
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the entry's lock. Raises OutputError where the folder cannot be written."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self._lock.open("a")
        except OSError as error:
            raise _unwritable(error, self.folder.parent) from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _unwritable(error: OSError, folder: Path) -> OutputError:
    return output_error(error, f"{folder} (${CACHE_VARIABLE} names another folder)")
