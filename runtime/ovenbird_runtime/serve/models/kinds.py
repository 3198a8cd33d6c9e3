"""Which kind of deployment answers for a model: one that batches calls, or one that writes texts.

deployment = prepare_deployment(source, settings)       # blocks
"""

from __future__ import annotations

from ..http.errors import StartFailed
from ..settings import ModelSource, Settings
from .deployment import Deployment, load_served
from .text_deployment import TextDeployment


def prepare_deployment(source: ModelSource, settings: Settings) -> Deployment:
    """Load a model and make it ready. Raises OvenbirdError, as `Deployment.prepare`."""
    model = load_served(source, settings)
    if model.manifest.loop is not None and settings.backend_url is not None:
        model.close()
        raise StartFailed(f"{model.name} writes text, which --backend-url cannot run elsewhere: leave it out")
    kind = Deployment if model.manifest.loop is None else TextDeployment
    return kind.made_of(model, source.name, settings)
