"""Serve an artifact by BentoML: typed methods become routes, with a page to try them.

pip install ovenbird-runtime bentoml
ARTIFACT=artifacts/resnet50 bentoml serve examples/bentoml_service.py:Classifier --port 3000
curl -F image=@photo.jpg http://127.0.0.1:3000/classify
"""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
from bentoml.exceptions import InvalidArgument
from bentoml.validators import ContentType

import ovenbird_runtime
from ovenbird_runtime.errors import ImageError


@bentoml.service(traffic={"timeout": 30, "max_concurrency": 32})
class Classifier:
    """The artifact, once in each worker."""

    def __init__(self) -> None:
        """Load the artifact."""
        self.model = ovenbird_runtime.load(os.environ.get("ARTIFACT", "artifacts/resnet50"))

    @bentoml.api
    def classify(self, image: Annotated[Path, ContentType("image/*")], top: int = 2) -> dict[str, Any]:
        """Return what is seen on an image file."""
        try:
            (seen,) = self.model.predict(image, top=top)
        except ImageError as error:
            raise InvalidArgument(str(error)) from error
        return seen.to_json()
