"""From images to predictions: open, pre-process, run, post-process; many images go through in portions.

    model.predict(["a.jpg", "b.png"], preprocess="imagenet", top=2)

`Model.predict` is `predict` here, bound to a loaded network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..arguments import real
from ..errors import PipelineError, WrongOption, shown
from ..limits import MAX_IMAGE_MEGAPIXELS, MAX_IMAGES_PER_CALL
from ..manifest.answers import Ctc
from ..manifest.manifest import Manifest, TensorSpec
from ..manifest.program import InputSize, size_text, sizes_text
from ..manifest.steps import Pipeline, output_size
from ..options import PredictOptions
from ..photographs.ahead import Pace, ahead
from ..postprocess.prediction import Prediction, check_asked, explain
from ..preprocess.images import as_list, open_image, open_pixels
from ..preprocess.preprocessor import Preprocessor
from ..preprocess.scratch import Scratch
from ..preprocess.source import PhotographSource
from ..tensors.arrays import Array
from ..tensors.frame import Frame

_PORTION_VALUES = 64 * 3 * 224 * 224
"""Of images that are in memory as tensors at one time: 39 MB."""
_LEAST_PORTION = 8
_SCRATCH = Scratch()
UNHURRIED = Pace()
_TENSORS = "feed it tensors: run(), --inputs FILE.npz, /v2/models/NAME/infer"


def predict(
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
    """Return one prediction per image, in input order, but those left out that `pace` hears of. `run` takes and returns
    the network's own tensors.
    """
    check_takes_pictures(manifest)
    check_asked(manifest, labels, options)
    if options.image_size is None and reads_lines(manifest):
        given = {"preprocessor": preprocessor, "max_megapixels": max_megapixels}
        return _predict_lines(manifest, labels, run, images, options, pace, **given)
    name, pipeline, spec = choose_input(manifest, options)
    results: list[Prediction] = []
    for batch, frames in portions_of(images, spec, preprocessor, pipeline, options.seed, max_megapixels, pace):
        results += explain(manifest, run({spec.name: batch}), labels, name, options, frames)
    return results


def with_sources(predictions: Sequence[Prediction], sources: Sequence[Any]) -> list[Prediction]:
    """Return the predictions, each with where its photograph is found again."""
    pairs = zip(predictions, sources, strict=True)
    return [replace(one, source=PhotographSource(image)) for one, image in pairs]


def reads_lines(manifest: Manifest) -> bool:
    """Return whether a model reads lines of text and was compiled for several widths of them."""
    program = manifest.picture_program
    return len(program.sizes) > 1 and any(isinstance(step, Ctc) for step in program.postprocess)


def _predict_lines(
    manifest: Manifest,
    labels: Mapping[str, tuple[str, ...]],
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]],
    images: Any,
    options: PredictOptions,
    pace: Pace,
    **given: Any,
) -> list[Prediction]:
    """Return what `predict` returns, each line at the least width that holds it at the height it was compiled for."""
    found: list[Prediction] = []
    sources = sources_of(images)

    def read(place: int, source: Any) -> list[Prediction]:
        image = open_image(source, given["max_megapixels"])
        size = line_size(manifest.picture_program.image_sizes, image.size[0] / image.size[1])
        own = replace(options, image_size=size, seed=options.seed + place)
        return predict(manifest, labels, run, image, own, **given)

    for place, source in enumerate(sources):
        found += pace.attempt(read, place, source) or []
        pace.report(place + 1, len(sources))
    return found


def line_size(sizes: Sequence[InputSize], proportion: float) -> InputSize:
    """Return the narrowest size that holds a line of a width to height, at its full height; else the widest."""
    by_width = sorted(sizes, key=lambda size: size[1] / size[0])
    return next((size for size in by_width if size[1] / size[0] >= proportion), by_width[-1])


def portions_of(
    images: Any,
    spec: TensorSpec,
    preprocessor: Preprocessor,
    pipeline: Pipeline,
    seed: int,
    max_megapixels: float,
    pace: Pace = UNHURRIED,
) -> Iterator[tuple[Array, list[Frame]]]:
    """Yield images as tensors for the input `spec`, a portion at a time, and where each tensor lies in its image; with
    `pace.jobs` the next ones are prepared while the caller has a portion.

    Raises WrongOption, ImageError, PipelineError.
    """
    max_megapixels = real("max_megapixels", max_megapixels, MAX_IMAGE_MEGAPIXELS * 20)
    sources, step = sources_of(images), portion_of(spec)

    def prepared(place: int, some: list[Any]) -> tuple[Array, list[Frame]]:
        return tensor_of(spec, preprocessor, pipeline, some, seed, place, max_megapixels, pace)

    if not pace.jobs:
        for start in range(0, len(sources), step):
            batch, frames = prepared(start, sources[start : start + step])
            if frames:
                yield batch, frames
            pace.report(min(start + step, len(sources)), len(sources))
        return
    done = 0
    for ready in ahead(lambda place, one: prepared(place, [one]), sources, _LEAST_PORTION, pace.jobs):
        frames = [frame for _, some in ready for frame in some]
        if frames:
            yield np.concatenate([tensor for tensor, _ in ready]), frames
        done += len(ready)
        pace.report(done, len(sources))


def portion_of(spec: TensorSpec) -> int:
    """Return how many images of the input `spec` are in memory as tensors at one time."""
    return max(_LEAST_PORTION, _PORTION_VALUES // max(1, math.prod(spec.with_batch(1))))


def sources_of(images: Any) -> list[Any]:
    """Return the images of a call. Raises WrongOption where there are too many, ImageUnreadable for none."""
    sources = as_list(images)
    if len(sources) > MAX_IMAGES_PER_CALL:
        raise WrongOption(f"{len(sources)} images in one call, limit {MAX_IMAGES_PER_CALL}: call predict several times")
    return sources


def tensor_of(
    spec: TensorSpec,
    preprocessor: Preprocessor,
    pipeline: Pipeline,
    sources: list[Any],
    seed: int,
    first: int,
    max_megapixels: float,
    pace: Pace = UNHURRIED,
) -> tuple[Array, list[Frame]]:
    """Open and pre-process images into one tensor for the input `spec`, and return where each lies in its image; the
    first has index `first` in its call. Those that cannot be read are left out where `pace` hears of them.

    Raises ImageError, PipelineError.
    """

    def prepared(place: int, source: Any) -> tuple[Array, Frame]:
        tensor, frame = preprocessor.prepare(pipeline, open_pixels(source, max_megapixels, _SCRATCH), seed, place)
        if spec.with_batch(1)[1:] != tensor.shape:
            raise PipelineError(f"the pipeline gives {tensor.shape}, {spec.name} takes {spec.shape[1:]} an image")
        return tensor, frame

    frames: list[Frame] = []
    batch: Array | None = None
    for place, source in enumerate(sources, first):
        one = pace.attempt(prepared, place, source)
        if one is None:
            continue
        tensor, frame = one
        frames.append(frame)
        if len(sources) == 1:
            return tensor[None], frames
        if batch is None:
            batch = np.empty((len(sources), *tensor.shape), np.float32)
        batch[len(frames) - 1] = tensor
    return np.empty((0, *spec.with_batch(1)[1:]), np.float32) if batch is None else batch[: len(frames)], frames


def check_takes_pictures(manifest: Manifest) -> None:
    """Refuse a network that takes anything but one batch of images. Raises PipelineError."""
    inputs = manifest.picture_program.inputs
    first = inputs[0]
    if len(inputs) != 1 or not first.batched or len(first.shape) != 4 or first.dtype != "float32":
        names = ", ".join(f"{spec.name} {spec.dtype} {spec.shape}" for spec in inputs)
        raise PipelineError(f"pictures go into a network with one batch of images; this one takes {names}: {_TENSORS}")


def choose_input(manifest: Manifest, options: PredictOptions) -> tuple[str, Pipeline, TensorSpec]:
    """Return the name of the pipeline that is asked for, the pipeline, and the input that it fills. Raises
    PipelineError.
    """
    name, pipeline = choose_pipeline(manifest, options.preprocess, options.image_size)
    return name, pipeline, image_input(manifest, pipeline)


def image_input(manifest: Manifest, pipeline: Pipeline) -> TensorSpec:
    """Return the one input that images go to; where the network takes several sizes, of the one that the pipeline
    gives.
    """
    program = manifest.picture_program
    return program.at(output_size(pipeline) if program.sizes else ()).inputs[0]


def choose_pipeline(manifest: Manifest, name: str | None, size: tuple[int, ...] | None = None) -> tuple[str, Pipeline]:
    """Return a pipeline by name, the default for None, and of it the one that gives images of `size` (height and width)
    where that is given. Raises PipelineError naming those there are.
    """
    pipelines = manifest.preprocess.pipelines
    known = ", ".join(sorted(pipelines)) or "none"
    chosen = manifest.preprocess.default if name is None else name
    if chosen is None:
        raise PipelineError(f"the artifact has no default pre-processing: name one (there are {known}), or {_TENSORS}")
    if not isinstance(chosen, str) or chosen not in pipelines:
        raise PipelineError(f"pre-processing {shown(chosen)} is unknown; there are {known}")
    if size is not None and output_size(pipelines[chosen]) != size:
        usual, chosen = chosen, f"{chosen}-{size_text(size)}"
        if output_size(pipelines.get(chosen, ())) != size:
            sizes = {
                output_size(steps) for key, steps in pipelines.items() if key == usual or key.startswith(f"{usual}-")
            }
            raise PipelineError(f"image_size is {size_text(size)}, {usual} gives {sizes_text(sorted(sizes))}")
    return chosen, pipelines[chosen]
