"""From photographs to sentences: open, pre-process, and write token by token.

    model.predict("photo.jpg", beams=4)[0].text         # "a cat on a bed"

`Model.predict` comes here where the model has a loop.
"""

from __future__ import annotations

from typing import Any

from ..generation.writer import TextWriter
from ..manifest.manifest import Manifest
from ..options import PredictOptions
from ..photographs.ahead import Pace
from ..postprocess.prediction import Prediction, check_asked
from ..postprocess.text import TEXTS
from ..preprocess.preprocessor import Preprocessor
from .predict import UNHURRIED, check_takes_pictures, choose_input, portions_of


def predict_texts(
    manifest: Manifest,
    writer: TextWriter,
    images: Any,
    options: PredictOptions,
    *,
    preprocessor: Preprocessor,
    max_megapixels: float,
    pace: Pace = UNHURRIED,
) -> list[Prediction]:
    """Return one prediction with a text per image, in input order. Raises as `predict.predict`, and WrongOption."""
    check_takes_pictures(manifest)
    check_asked(manifest, {}, options)
    name, pipeline, spec = choose_input(manifest, options)
    request = writer.request(options.prompt, options.max_tokens, options.beams)
    results: list[Prediction] = []
    for batch, frames in portions_of(images, spec, preprocessor, pipeline, options.seed, max_megapixels, pace):
        results += [
            Prediction(
                model=manifest.model.name,
                weights=manifest.model.weights,
                preprocess=name,
                seed=options.seed,
                frame=frame,
                answers={TEXTS.field: {writer.loop.logits: text}},
            )
            for text, frame in zip(writer.write(batch, request), frames, strict=True)
        ]
    return results
