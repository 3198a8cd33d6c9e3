"""A registry of container images over HTTP, by the library oras: its names, its tokens, docker's credentials.

    store = Remote(ImageReference.parse("registry.example/models/resnet50:1"), plain_http=False)
    store.put_file(blob)

The requests: OCI distribution specification 1.1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, Any

from ovenbird.errors import ExtraMissing, RegistryFailed
from ovenbird.registry.manifests import EMPTY, MEDIA_TYPE, Blob, Layer, digest_of
from ovenbird.registry.references import ImageReference
from ovenbird_runtime.limits import MAX_MANIFEST_BYTES

TIMEOUT_SECONDS = 60
"""Of silence on a connection, not of a whole transfer."""


class Remote:
    """A repository of a registry."""

    def __init__(self, reference: ImageReference, plain_http: bool) -> None:
        """Prepare the connection; nothing is asked yet. Raises ExtraMissing."""
        try:
            import oras.container
            import oras.provider
            import requests
        except ImportError:
            raise ExtraMissing(
                "registries need the package oras: pip install oras (oci:FOLDER:TAG needs none)"
            ) from None
        self._where, self._failures = reference.host, (requests.RequestException, ValueError)
        self._container = oras.container.Container(f"{reference.name}:{reference.tag}", registry=reference.host)
        scheme = self._greet(requests, plain_http)
        self._client = oras.provider.Registry(
            hostname=reference.host, insecure=plain_http, auth_backend="basic" if scheme == "basic" else "token"
        )
        self._client.session.request = _with_timeout(self._client.session.request)
        with self._talking():
            self._client.auth.load_configs(self._container)
        if scheme == "basic" and not getattr(self._client.auth, "_basic_auth", None):
            raise RegistryFailed(f"{reference.host} wants a password: docker login {reference.host}")

    def _greet(self, requests: Any, plain_http: bool) -> str:
        """Return the scheme of authentication that the registry asks for. Raises RegistryFailed where none answers.

        Asked before oras begins, which tries again for two minutes where nobody listens.
        """
        address = f"{'http' if plain_http else 'https'}://{self._where}/v2/"
        with self._talking():
            answer = requests.get(address, timeout=TIMEOUT_SECONDS)
            return str(answer.headers.get("Www-Authenticate", "")).partition(" ")[0].lower()

    def put_file(self, blob: Blob) -> bool:
        """Upload a file's content; return whether the registry did not have it yet. Raises RegistryFailed."""
        return self._put({"digest": blob.layer.digest, "size": blob.layer.size}, str(blob.path))

    def put_manifest(self, tag: str, data: bytes) -> None:
        """Upload a manifest, and let the tag name it. Raises RegistryFailed."""
        import tempfile

        with tempfile.NamedTemporaryFile() as empty:
            empty.write(EMPTY)
            empty.flush()
            self._put({"digest": digest_of(EMPTY), "size": len(EMPTY)}, empty.name)
        with self._talking():
            answer = self._client.do_request(
                self._url(f"manifests/{tag}"), "PUT", data=data, headers={"Content-Type": MEDIA_TYPE}
            )
            self._check(answer, f"taking the manifest {tag}")

    def manifest(self, tag: str, digest: str) -> bytes:
        """Return the manifest of a digest, or of a tag. Raises RegistryFailed."""
        with self._talking():
            answer = self._client.do_request(
                self._url(f"manifests/{digest or tag}"), "GET", headers={"Accept": MEDIA_TYPE}, stream=True
            )
            self._check(answer, f"{self._container.api_prefix}:{digest or tag}")
            return bytes(answer.raw.read(MAX_MANIFEST_BYTES + 1, decode_content=True))

    @contextlib.contextmanager
    def open(self, layer: Layer) -> Iterator[IO[bytes]]:
        """Open a blob for reading. Raises RegistryFailed."""
        with self._talking():
            answer = self._client.get_blob(self._container, layer.digest, stream=True)
            self._check(answer, f"blob {layer.digest}")
            with contextlib.closing(answer):
                yield answer.raw

    def _put(self, layer: dict[str, Any], path: str) -> bool:
        with self._talking():
            if self._client.blob_exists(layer, self._container):
                return False
            self._check(self._client.put_upload(path, self._container, layer), f"taking {layer['digest']}")
            return True

    def _url(self, rest: str) -> str:
        return f"{self._client.prefix}://{self._container.registry}/v2/{self._container.api_prefix}/{rest}"

    def _check(self, answer: Any, what: str) -> None:
        if not answer.ok:
            text = answer.raw.read(300).decode(errors="replace") if answer.raw and not answer.raw.closed else ""
            raise RegistryFailed(
                f"{self._where} answered {answer.status_code} to {what}: {text.strip() or answer.reason}"
            )

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """Turn what the libraries raise into one line. Raises RegistryFailed."""
        try:
            yield
        except self._failures as error:
            raise RegistryFailed(f"{self._where}: {str(error).splitlines()[0] if str(error) else error!r}") from None


def _with_timeout(request: Any) -> Any:
    """Return a session's `request` that does not wait for ever."""
    return lambda *arguments, **options: request(*arguments, timeout=TIMEOUT_SECONDS, **options)
