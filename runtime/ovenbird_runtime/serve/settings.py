"""Everything that a server can be told, with its default; one field for each option of `ovenbird-rt serve`.

Settings(artifacts=(Source("resnet50", Path("artifacts/resnet50")),), port=8000)
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from .. import limits
from ..arguments import flag, path_text, real, whole
from ..artifact.names import check_model_name
from ..engine.inputs import NanPolicy

_HUGE = 1 << 62


@dataclass(frozen=True)
class _Settled:
    """Settings whose numbers, switches and paths become Python's own. Raises WrongOption."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kind = str(field.type).removesuffix(" | None")
            if value is None and kind != field.type:
                continue
            if kind == "int":
                value = whole(field.name, value, 0, _HUGE)
            elif kind == "float":
                value = real(field.name, value, _HUGE, or_zero=True)
            elif kind == "bool":
                value = flag(field.name, value)
            elif kind == "Path":
                value = Path(path_text(field.name, value))
            object.__setattr__(self, field.name, value)


@dataclass(frozen=True)
class Source(_Settled):
    """Where a model comes from: its name in routes (None: the manifest's) and the artifact's folder.

    Raises WrongModelName.
    """

    name: str | None
    path: Path

    def __post_init__(self) -> None:
        """Check the name."""
        super().__post_init__()
        if self.name is not None:
            check_model_name(self.name)


@dataclass(frozen=True)
class Limits(_Settled):
    """What a client may send. Bytes, seconds, and counts, as the names say."""

    body_bytes: int = limits.SERVE_BODY_BYTES
    buffered_bytes: int = limits.SERVE_BUFFERED_BYTES
    header_bytes: int = limits.SERVE_HEADER_BYTES
    headers: int = limits.SERVE_HEADERS
    megapixels: float = limits.SERVE_MEGAPIXELS
    header_seconds: float = limits.SERVE_HEADER_SECONDS
    body_seconds: float = limits.SERVE_BODY_SECONDS
    write_seconds: float = limits.SERVE_WRITE_SECONDS
    keep_alive_seconds: float = limits.SERVE_KEEP_ALIVE_SECONDS
    connections: int = limits.SERVE_CONNECTIONS
    parts: int = limits.SERVE_PARTS
    field_bytes: int = limits.SERVE_FIELD_BYTES
    images: int = limits.SERVE_IMAGES_PER_REQUEST
    timeout_ms: int = limits.SERVE_TIMEOUT_MS
    max_timeout_ms: int = limits.SERVE_MAX_TIMEOUT_MS


@dataclass(frozen=True)
class Settings(_Settled):
    """A whole server. `threads` None means the CPUs that are ours, shared among the workers."""

    artifacts: tuple[Source, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    device: str = "cpu"
    workers: int = 1
    threads: int | None = None
    decoders: int | None = None
    batch_wait_ms: float = limits.SERVE_BATCH_WAIT_MS
    max_batch: int = limits.SERVE_BATCH_IMAGES
    queue_images: int = limits.SERVE_QUEUE_IMAGES
    drain_seconds: float = limits.SERVE_DRAIN_SECONDS
    hang_seconds: float = limits.SERVE_HANG_SECONDS
    public_key: Path | None = None
    watch: bool = False
    access_log: bool = True
    nv_metrics: bool = False
    nan: NanPolicy = "refuse"
    limits: Limits = Limits()
