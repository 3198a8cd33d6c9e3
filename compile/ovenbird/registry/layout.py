"""A folder of OCI's image layout: what `oras --oci-layout`, `skopeo` and `crane` read and write.

    store = Layout(Path("build/layout"))
    store.put_file(blob)
    store.put_manifest("resnet50", data)

The layout: OCI image specification 1.1, "Image Layout".
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from ovenbird.errors import ReferenceInvalid, RegistryFailed, output_error
from ovenbird.registry.manifests import EMPTY, MEDIA_TYPE, Blob, Layer, digest_of
from ovenbird.registry.references import DIGEST
from ovenbird.replacing import replacing
from ovenbird_runtime.errors import shown
from ovenbird_runtime.limits import MAX_MANIFEST_BYTES

REF_NAME = "org.opencontainers.image.ref.name"


class Layout:
    """A folder with blobs and an index of tags."""

    def __init__(self, folder: Path) -> None:
        """Take a folder, which is made when something is put in."""
        self._folder = folder

    def put_file(self, blob: Blob) -> bool:
        """Put a file's content in; return whether it was new. Raises OutputError."""
        with blob.path.open("rb") as file:
            return self._put(blob.layer.digest, file)

    def put_manifest(self, tag: str, data: bytes) -> None:
        """Put a manifest in, and let the tag name it. Raises OutputError, RegistryFailed."""
        for content in (EMPTY, data):
            self._put(digest_of(content), BytesIO(content))
        index = self._index() or {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}
        kept = [one for one in index.get("manifests", []) if one.get("annotations", {}).get(REF_NAME) != tag]
        entry = {"mediaType": MEDIA_TYPE, "digest": digest_of(data), "size": len(data), "annotations": {REF_NAME: tag}}
        with self._writing():
            (self._folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
            with replacing(self._folder / "index.json") as partial:
                partial.write_text(json.dumps(index | {"manifests": [*kept, entry]}, indent=1), encoding="utf-8")

    def manifest(self, tag: str, digest: str) -> bytes:
        """Return the manifest of a digest, or of a tag. Raises RegistryFailed, ReferenceInvalid."""
        entries = self._index().get("manifests", [])
        tags = {one.get("annotations", {}).get(REF_NAME): str(one.get("digest")) for one in entries}
        if not digest and tag not in tags:
            known = ", ".join(sorted(filter(None, tags))) or "nothing"
            raise ReferenceInvalid(f"{self._folder} has no {shown(tag)}: it has {known}")
        digest = digest or tags[tag]
        with self.open(Layer(digest, MAX_MANIFEST_BYTES)) as file:
            return file.read(MAX_MANIFEST_BYTES + 1)

    @contextlib.contextmanager
    def open(self, layer: Layer) -> Iterator[IO[bytes]]:
        """Open a blob for reading. Raises RegistryFailed."""
        try:
            file = self._path(layer.digest).open("rb")
        except OSError as error:
            raise RegistryFailed(f"{self._folder} has no blob {layer.digest}: {error.strerror}") from None
        with file:
            yield file

    def _path(self, digest: str) -> Path:
        """Return a blob's place. Raises RegistryFailed for what is no digest, but might be a path."""
        if not re.fullmatch(DIGEST, digest):
            raise RegistryFailed(f"{self._folder}/index.json names {shown(digest)}, which is no digest")
        return self._folder / "blobs" / digest.replace(":", "/")

    def _index(self) -> dict[str, Any]:
        """Return the index; an empty one where there is none. Raises RegistryFailed."""
        try:
            found = json.loads((self._folder / "index.json").read_bytes())
            assert isinstance(found, dict)
            assert all(isinstance(one, dict) for one in found.get("manifests", []))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AssertionError) as error:
            raise RegistryFailed(f"{self._folder}/index.json is no index of images: {error}") from None
        return found

    def _put(self, digest: str, source: IO[bytes]) -> bool:
        path = self._path(digest)
        if path.exists():
            return False
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        return True

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(error, f"into {self._folder}") from None
