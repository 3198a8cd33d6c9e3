"""SHA256SUMS: every file of an artifact, `manifest.json` too, for `sha256sum -c SHA256SUMS` on any machine.

write_sums(Path("artifacts/resnet50"))

It follows from the manifest, whose file table it repeats, and is not in that table itself: it holds the manifest's own
digest, and each would need the other first. The runtime does not read it. Signatures come later and check themselves.
"""

from __future__ import annotations

from pathlib import Path

from ovenbird.artifact.packaging import MANIFEST, sha256_file, write_file
from ovenbird_runtime.copying import SUMS
from ovenbird_runtime.manifest.manifest import decode_manifest


def write_sums(folder: Path) -> None:
    """Write the sums of an artifact whose manifest is written, sorted by name. Raises ManifestInvalid, DiskFull."""
    manifest = decode_manifest((folder / MANIFEST).read_bytes())
    sums = {name: record.sha256 for name, record in manifest.files.items()} | {MANIFEST: sha256_file(folder / MANIFEST)}
    write_file(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())
