"""Every option of a server, with its default; one field for each option of `ovenbird-rt serve`.

Settings(artifacts=(ModelSource("resnet50", Path("artifacts/resnet50")),), port=8000)
"""

from __future__ import annotations

from pathlib import Path

from .. import limits
from ..arguments import Settled
from ..artifact.names import check_model_name
from ..dataclass import dataclass
from ..engine.inputs import NanPolicy
from ..manifest.agreement import Precision
from .http.settings import HttpLimits


@dataclass(frozen=True)
class ModelSource(Settled):
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
class ServerLimits(HttpLimits):
    """What a client may send and ask for. Bytes, seconds, and counts, as the names say."""

    megapixels: float = limits.SERVE_MEGAPIXELS
    images: int = limits.SERVE_IMAGES_PER_REQUEST
    timeout_ms: int | None = None
    """None: `SERVE_TIMEOUT_MS`, and more where models are slow."""
    max_timeout_ms: int = limits.SERVE_MAX_TIMEOUT_MS


@dataclass(frozen=True)
class Settings(Settled):
    """A whole server. `threads` None means the CPUs that are ours, shared among the workers."""

    artifacts: tuple[ModelSource, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    device: str = "cpu"
    precision: Precision | None = None
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
    backend_url: str | None = None
    """Where the networks run, if not here; the operator's to set."""
    limits: ServerLimits = ServerLimits()
