"""How the pictures of one request become the network's input: decoded, pre-processed, checked.

    preparation = Preparation(model, PredictOptions(), megapixels=25.0)         # raises PipelineError
    arrays, frame = preparation.apply(picture, index=0, deadline=now + 2.0, spent=seconds_by_stage)

`apply` takes milliseconds: it runs on a thread of `Offload`, never on the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ...engine.inputs import check_inputs
from ...manifest.program import InputSize
from ...manifest.steps import output_size
from ...model import Model
from ...options import PredictOptions
from ...postprocess.prediction import check_asked
from ...predicting.predict import check_takes_pictures, choose_input
from ...preprocess.images import open_pixels
from ...tensors.arrays import Array
from ...tensors.frame import Frame
from ..errors import DeadlineExceeded


class Preparation:
    """The steps for all pictures of a request."""

    def __init__(self, model: Model, options: PredictOptions, megapixels: float) -> None:
        """Choose the pipeline, in `pipeline_name`, and with it the image size, in `size`. Raises PipelineError,
        WrongOption.
        """
        check_takes_pictures(model.manifest)
        check_asked(model.manifest, model.labels, options)
        self.pipeline_name, self.pipeline, self._spec = choose_input(model.manifest, options)
        self.size: InputSize = output_size(self.pipeline) if model.manifest.picture_program.sizes else ()
        self._preprocessor, self._seed, self._megapixels = model.preprocessor, options.seed, megapixels

    def apply(
        self, image: Any, index: int, deadline: float, spent: dict[str, float]
    ) -> tuple[Mapping[str, Array], Frame]:
        """Return picture `index` of the request (of what `open_pixels` takes) as checked arrays of one row, and where
        they lie in it; the seconds go to `spent`.

        Raises DeadlineExceeded where its time is over, ImageError, PipelineError.
        """
        start = time.monotonic()
        if start > deadline:
            raise DeadlineExceeded("the request's time was over before its image could be decoded")
        decoded = open_pixels(image, self._megapixels)
        middle = time.monotonic()
        tensor, frame = self._preprocessor.prepare(self.pipeline, decoded, self._seed, index)
        _, arrays = check_inputs((self._spec,), {self._spec.name: tensor[None]}, "allow")
        spent["decode"], spent["preprocess"] = middle - start, time.monotonic() - middle
        return arrays, frame
