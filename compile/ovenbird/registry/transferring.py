"""Push an artifact to a registry, and pull one, each byte checked on its way.

    place = ImageReference.parse("registry.example/models/resnet50:1")
    pushed = push(Path("artifacts/resnet50"), place, step=Progress())
    found = ImageReference.parse(f"registry.example/models/resnet50@{pushed.digest}")
    pull(found, Path("artifacts/again"), step=Progress())

What is pulled is an artifact only once all of it is there: the reference's digest holds the list of files, the
signature is checked before any other file is fetched, and each file must have the sha256 that manifest.json names.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ovenbird.artifact.packaging import Staging, sha256_file
from ovenbird.errors import RegistryFailed
from ovenbird.process.progress import Progress
from ovenbird.registry.layout import Layout
from ovenbird.registry.manifests import TITLE, Blob, Layer, digest_of, layers_of, manifest_of
from ovenbird.registry.references import ImageReference
from ovenbird.registry.remote import Remote
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.copying import MANIFEST, SUMS
from ovenbird_runtime.integrity.signatures import signature_name, signers
from ovenbird_runtime.limits import MAX_MANIFEST_BYTES, MAX_SIGNATURES

_CHUNK_BYTES = 1 << 20
_SIGNATURE = re.compile(re.escape(signature_name("KEY")).replace("KEY", "[0-9a-f]{32}"))


@dataclass(frozen=True)
class Transferred:
    """What was pushed or pulled."""

    model: str
    digest: str
    files: int
    bytes: int
    moved: int
    """Bytes that were not there yet."""
    signed_by: str | None


def store_of(reference: ImageReference, plain_http: bool) -> Layout | Remote:
    """Return where a reference leads."""
    return Remote(reference, plain_http) if reference.host else Layout(Path(reference.folder))


def push(
    folder: Path, reference: ImageReference, *, public_key: Path | None = None, plain_http: bool = False, step: Progress
) -> Transferred:
    """Push the artifact in `folder`, checked first. Raises ArtifactError, RegistryError, ReferenceInvalid."""
    artifact = open_artifact(folder, public_key)
    store = store_of(reference, plain_http)
    records = artifact.manifest.files
    step("checking every file")
    artifact.verify(sorted(records))
    seals = [name for name in (SUMS, *map(signature_name, signers(artifact.root))) if (artifact.root / name).is_file()]
    layers = {name: Layer(f"sha256:{record.sha256}", record.size) for name, record in records.items()}
    for name in (MANIFEST, *seals):
        path = artifact.root / name
        layers[name] = Layer(f"sha256:{sha256_file(path)}", path.stat().st_size)
    blobs = [Blob(name, artifact.root / name, layer) for name, layer in layers.items()]
    moved = 0
    for blob in blobs:
        step(f"pushing {blob.name}")
        moved += blob.layer.size if store.put_file(blob) else 0
    model = artifact.manifest.model
    data = manifest_of(
        blobs,
        {
            TITLE: model.name,
            "org.opencontainers.image.version": model.version,
            "dev.ovenbird.digest": artifact.manifest.digest,
        },
    )
    store.put_manifest(reference.tag, data)
    size = sum(blob.layer.size for blob in blobs)
    return Transferred(model.name, digest_of(data), len(blobs), size, moved, artifact.signed_by)


def pull(
    reference: ImageReference, output: Path, *, public_key: Path | None = None, plain_http: bool = False, step: Progress
) -> Transferred:
    """Pull an artifact into the folder `output`. Raises ArtifactError, RegistryError, ReferenceInvalid, OutputError."""
    store = store_of(reference, plain_http)
    data = store.manifest(reference.tag, reference.digest)
    if len(data) > MAX_MANIFEST_BYTES:
        raise RegistryFailed(f"{reference.text} has a manifest of more than {MAX_MANIFEST_BYTES} bytes")
    if reference.digest and digest_of(data) != reference.digest:
        raise RegistryFailed(f"{reference.text} came with the digest {digest_of(data)}: the registry cannot be trusted")
    layers = layers_of(data, reference.text)
    signatures = sorted(filter(_SIGNATURE.fullmatch, layers))[:MAX_SIGNATURES]
    with Staging(output) as staging:
        moved = 0
        seals = [name for name in (SUMS, *signatures) if name in layers]
        for name in (MANIFEST, *seals):
            moved += _fetch(store, name, layers, staging.folder, MAX_MANIFEST_BYTES, reference)
        artifact = open_artifact(staging.folder, public_key)  # its signature, before anything else is fetched
        records = artifact.manifest.files
        for name, record in sorted(records.items()):
            if layers.get(name) != Layer(f"sha256:{record.sha256}", record.size):
                raise RegistryFailed(f"{reference.text} does not hold {name} as its manifest.json names it")
            step(f"pulling {name}")
            moved += _fetch(store, name, layers, staging.folder, record.size, reference)
        staging.commit()
    return Transferred(
        artifact.manifest.model.name, digest_of(data), len(records) + len(seals) + 1, moved, moved, artifact.signed_by
    )


def _fetch(
    store: Layout | Remote, name: str, layers: dict[str, Layer], folder: Path, limit: int, reference: ImageReference
) -> int:
    """Write a file below `folder` whose name was checked; return its bytes. Raises RegistryFailed, OSError."""
    layer = layers.get(name)
    if layer is None or layer.size > limit:
        raise RegistryFailed(f"{reference.text} has no {name} of at most {limit} bytes")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with store.open(layer) as source, path.open("xb") as file:
        while size <= layer.size and (chunk := source.read(_CHUNK_BYTES)):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if size != layer.size or f"sha256:{digest.hexdigest()}" != layer.digest:
        raise RegistryFailed(f"{reference.text}: {name} did not come as {layer.digest} of {layer.size} bytes")
    return size
