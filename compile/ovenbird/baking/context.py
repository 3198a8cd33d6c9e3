"""What a build is given: a folder with the runtime's sources, the artifact, and this machine's pip settings.

with prepared(find_sources(), artifact, render(container)) as context:
    context.folder, context.containerfile, context.secrets

The artifact's files are checked on the way: an image never holds other bytes than the manifest names.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ovenbird.baking.pip_settings import pip_secrets
from ovenbird.errors import UsageError, output_error
from ovenbird.resources import PACKAGE, sources_folder
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.copying import MANIFEST, write_files

# Folders and files that the image's stages copy, where a clone has them.
RUNTIME = "runtime"
CONSTRAINTS, IMAGE_SBOM = "ci/constraints.txt", "compile/ovenbird/baking/image_sbom.py"
NOT_SOURCES = ("lib", "__pycache__", "*.egg-info", "build", "dist")


@dataclass(frozen=True)
class BuildContext:
    """A build's folder, its Containerfile, and files it may read that do not become part of the image."""

    folder: Path
    containerfile: Path
    secrets: Mapping[str, Path]


def find_sources() -> Path:
    """Return the folder with the runtime's sources: the clone that this code runs from, or what its wheel brought.

    Raises UsageError where there are none.
    """
    root = sources_folder()
    if not (root / RUNTIME / "hatch_build.py").is_file():
        raise UsageError(
            f"bake builds the runtime from its sources, and {root} has none; install ovenbird's wheel again, "
            "or run it from a clone"
        )
    return root


@contextlib.contextmanager
def prepared(sources: Path, artifact: Artifact | None, containerfile: str) -> Iterator[BuildContext]:
    """Yield a context that vanishes afterwards. Raises FileChanged, FileMissing, DiskFull, OutputError."""
    with tempfile.TemporaryDirectory(prefix="ovenbird-bake-") as temporary:
        folder = Path(temporary) / "context"
        try:
            shutil.copytree(sources / RUNTIME, folder / RUNTIME, ignore=shutil.ignore_patterns(*NOT_SOURCES))
            for name, file in ((CONSTRAINTS, sources / CONSTRAINTS), (IMAGE_SBOM, PACKAGE / "baking/image_sbom.py")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name)
            if artifact is not None:
                copy_into(artifact, folder / "artifact")
            recipe = Path(temporary) / "Containerfile"
            recipe.write_text(containerfile, encoding="utf-8")
        except OSError as error:
            raise output_error(error, f"into {temporary} (TMPDIR)") from None
        yield BuildContext(folder, recipe, pip_secrets(Path(temporary)))


def copy_into(artifact: Artifact, folder: Path) -> None:
    """Copy what the manifest lists, and what seals it (the manifest, sums, signatures), readable for everyone.

    Nothing else that lies next to them: no private key. Raises ArtifactError, OSError.
    """
    folder.mkdir(parents=True)
    write_files(artifact, folder)
    (folder / MANIFEST).write_bytes(artifact.manifest_bytes)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
