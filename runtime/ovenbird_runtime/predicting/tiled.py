"""From large photographs to boxes, tile by tile: what is small stays large enough for the network.

    model.predict("street.jpg", tiles=640, tile_overlap=0.2)

The photograph itself is looked at, too. `Model.predict` comes here where it is asked for tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..arguments import real, sides
from ..limits import MAX_IMAGE_MEGAPIXELS
from ..manifest.answers import Boxes
from ..manifest.manifest import Manifest
from ..manifest.steps import Pipeline, output_size
from ..options import NETWORK, PredictOptions
from ..photographs.ahead import Pace
from ..postprocess.boxes import BOXES, BoxSettings
from ..postprocess.kind import Asked
from ..postprocess.prediction import Prediction, check_asked, explain
from ..postprocess.tiles import Area, merge, tile_areas
from ..preprocess.images import open_image
from ..preprocess.preprocessor import Preprocessor
from ..tensors.arrays import Array
from ..tensors.frame import ImageSize
from .predict import UNHURRIED, check_takes_pictures, choose_input, portion_of, sources_of, tensor_of


def predict_tiled(
    manifest: Manifest,
    labels: Mapping[str, tuple[str, ...]],
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]],
    images: Any,
    options: PredictOptions,
    *,
    preprocessor: Preprocessor,
    max_megapixels: float,
    pace: Pace = UNHURRIED,
) -> list[Prediction]:
    """Return one prediction per image, in input order, from `options.tiles`. Raises WrongOption, and what `predict`
    raises.
    """
    check_takes_pictures(manifest)
    check_asked(manifest, labels, options)
    name, pipeline, spec = choose_input(manifest, options)
    step = portion_of(spec)
    max_megapixels = real("max_megapixels", max_megapixels, MAX_IMAGE_MEGAPIXELS * 20)
    results: list[Prediction] = []
    sources = sources_of(images)

    def look(_: int, source: Any) -> Prediction:
        photograph = open_image(source, max_megapixels)
        areas = areas_of(photograph.size, pipeline, options)
        found: list[Prediction] = []
        for start in range(0, len(areas), step):
            crops = [photograph.crop(area) for area in areas[start : start + step]]
            batch, frames = tensor_of(spec, preprocessor, pipeline, crops, options.seed, start, max_megapixels)
            found += explain(manifest, run({spec.name: batch}), labels, name, options, frames)
        return put_together(manifest, areas, found, photograph.size, Asked(options, labels))

    for place, source in enumerate(sources):
        one = pace.attempt(look, place, source)
        results += [] if one is None else [one]
        pace.report(place + 1, len(sources))
    return results


def areas_of(size: ImageSize, pipeline: Pipeline, options: PredictOptions) -> list[Area]:
    """Return what is looked at of a photograph of `size`: all of it, then its tiles. Raises WrongOption."""
    usual = output_size(pipeline)
    side = usual if options.tiles == NETWORK and usual else sides("tiles", options.tiles)
    return tile_areas(size, (side[0], side[1]), options.tile_overlap)


def put_together(
    manifest: Manifest, areas: Sequence[Area], found: Sequence[Prediction], size: ImageSize, asked: Asked
) -> Prediction:
    """Return the prediction of a photograph of `size`, given that of each area."""
    merged = {
        boxes.output: merge(
            [(area, one.answers[BOXES.field][boxes.output]) for area, one in zip(areas, found, strict=True)],
            size,
            BoxSettings.of(boxes, asked),
        )
        for boxes in manifest.postprocess
        if isinstance(boxes, Boxes)
    }
    return replace(found[0], answers={**found[0].answers, BOXES.field: merged})
