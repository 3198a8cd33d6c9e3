"""From large photographs to boxes, tile by tile: what is small stays large enough for the network.

    model.predict("street.jpg", tiles=640, tile_overlap=0.2)

The photograph itself is looked at, too. `Model.predict` comes here where it is asked for tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .arguments import real, sides
from .errors import WrongOption
from .limits import MAX_IMAGE_MEGAPIXELS, MAX_TILE_OVERLAP
from .manifest.answers import Boxes
from .manifest.manifest import Manifest
from .manifest.steps import output_size
from .options import PredictOptions
from .postprocess.boxes import BOXES, BoxSettings
from .postprocess.kind import Asked
from .postprocess.prediction import Prediction, check_asked, explain
from .postprocess.tiles import merge, tile_areas
from .predict import check_takes_pictures, choose_pipeline, image_input, portion_of, sources_of, tensor_of
from .preprocess.images import open_image
from .preprocess.preprocessor import Preprocessor
from .tensors.arrays import Array

NETWORK = "network"
OVERLAP = 0.2


def predict_tiled(
    manifest: Manifest,
    labels: Mapping[str, tuple[str, ...]],
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]],
    images: Any,
    options: PredictOptions,
    tiles: Any,
    overlap: float,
    *,
    preprocessor: Preprocessor,
    max_megapixels: float,
) -> list[Prediction]:
    """Return one prediction per image, in input order; `tiles` is their side in pixels of the photographs, or height
    and width, or "network" for the size of its input.

    Raises WrongOption, and what `predict` raises.
    """
    check_takes_pictures(manifest)
    check_asked(manifest, labels, options)
    answering = [one for one in manifest.postprocess if isinstance(one, Boxes)]
    if not answering:
        raise WrongOption(f"tiles are for boxes, {manifest.model.name} answers with none")
    name, pipeline = choose_pipeline(manifest, options.preprocess, options.image_size)
    spec, asked = image_input(manifest, pipeline), Asked(options, labels)
    step = portion_of(spec)
    side = _side(tiles, output_size(pipeline))
    overlap = real("tile_overlap", overlap, MAX_TILE_OVERLAP, or_zero=True)
    max_megapixels = real("max_megapixels", max_megapixels, MAX_IMAGE_MEGAPIXELS * 20)
    results = []
    for source in sources_of(images):
        photograph = open_image(source, max_megapixels)
        areas = tile_areas(photograph.size, side, overlap)
        found: list[Prediction] = []
        for start in range(0, len(areas), step):
            crops = [photograph.crop(area) for area in areas[start : start + step]]
            batch, frames = tensor_of(spec, preprocessor, pipeline, crops, options.seed, start, max_megapixels)
            found += explain(manifest, run({spec.name: batch}), labels, name, options, frames)
        merged = {
            boxes.output: merge(
                [(area, one.answers[BOXES.field][boxes.output]) for area, one in zip(areas, found, strict=True)],
                photograph.size,
                BoxSettings.of(boxes, asked),
            )
            for boxes in answering
        }
        results.append(replace(found[0], answers={**found[0].answers, BOXES.field: merged}))
    return results


def _side(tiles: Any, usual: tuple[int, ...]) -> tuple[int, int]:
    """Return the height and width of tiles. Raises WrongOption."""
    return (usual[0], usual[1]) if tiles == NETWORK and usual else sides("tiles", tiles)
