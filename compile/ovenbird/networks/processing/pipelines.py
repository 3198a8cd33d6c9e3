"""From what a user says about pixels to the pipeline that a runtime interprets, and back.

    picture = PictureInput(224, 224, "CHW")
    make_pipeline(ProcessingOptions(resize=256), picture, ProcessingOptions())
    # (Resize(shorter=256), CentreCrop(size=(224, 224)), Normalise())

Without `resize` and `crop`, the whole picture is resized to the network's size. Without `mean` and `std`, pixels are 0
to 1. Both are for red, green and blue, whatever order the network takes its channels in.
"""

from __future__ import annotations

from ovenbird.errors import UsageError
from ovenbird.networks.image_shapes import PictureInput
from ovenbird.networks.processing.options import BRIGHT, Channels, ProcessingOptions
from ovenbird_runtime.manifest.steps import (
    CentreCrop,
    Normalise,
    Pad,
    Pipeline,
    RandomCrop,
    Resize,
    Step,
    Zoom,
    problem,
)


def line_pipeline(picture: PictureInput) -> Pipeline:
    """Return what PaddleOCR's recogniser does with a line of text (`rec_image_shape`, RecResizeImg)."""
    half = (0.5,) * 3
    return (
        Resize(fit=picture.size, interpolation="opencv-linear"),
        Pad(size=picture.size, value=None, place="top-left"),
        Normalise(mean=half, std=half, order="bgr", layout=picture.layout),
    )


def make_pipeline(options: ProcessingOptions, picture: PictureInput, base: ProcessingOptions) -> Pipeline:
    """Return the pipeline that the options ask for, over those that they change. Raises UsageError."""
    if options.steps is not None:
        pipeline: Pipeline = options.steps
    else:
        pipeline = (*_geometry(options.over(base), picture), _normalise(options.over(base), picture))
    wrong = problem(pipeline)
    if wrong:
        raise UsageError(f"pre-processing: {wrong}")
    _check_end(pipeline, picture)
    return pipeline


def _geometry(options: ProcessingOptions, picture: PictureInput) -> tuple[Step, ...]:
    filter_ = options.interpolation or "bilinear"
    crop = options.crop or picture.size
    cropped = CentreCrop(size=crop)
    if options.pad is not None and options.resize != "fit":
        raise UsageError("pad is for resize = fit: what is around a picture that was fitted in")
    if options.resize == "fit":
        if options.crop is not None:
            raise UsageError("crop does not go with resize = fit, which keeps the whole picture")
        return (Resize(fit=picture.size, interpolation=filter_), Pad(size=picture.size, value=options.pad or 0))
    if options.resize == "none":
        return (cropped,)
    if isinstance(options.resize, int):
        return (Resize(shorter=options.resize, interpolation=filter_), cropped)
    exact = Resize(exact=options.resize or crop, interpolation=filter_)
    return (exact,) if exact.exact == crop else (exact, cropped)


def _normalise(options: ProcessingOptions, picture: PictureInput) -> Normalise:
    mean, std, scale = options.mean or (0.0,), options.std or (1.0,), options.scale
    if scale is None and max(map(abs, mean)) > BRIGHT:
        raise UsageError(
            f"mean {list(mean)} is of pixels of 0 to 255, they are 0 to 1 here: give scale 1, "
            "or divide mean and std by 255"
        )
    usual: Channels = "grey" if picture.channels == 1 else "rgb"
    return Normalise(mean=mean, std=std, scale=scale, order=options.channels or usual, layout=picture.layout)


def _check_end(pipeline: Pipeline, picture: PictureInput) -> None:
    """Refuse a pipeline that ends with another image than the network takes. Raises UsageError."""
    size: tuple[int, ...] | None = None
    for step in pipeline:
        if isinstance(step, CentreCrop | RandomCrop | Pad):
            size = tuple(step.size)
        elif isinstance(step, Resize):
            size = step.exact
        elif isinstance(step, Zoom):
            size = None
    if size is not None and size != picture.size:
        raise UsageError(
            f"pre-processing ends with an image of {size[0]}x{size[1]}, the network takes "
            f"{picture.height}x{picture.width}: give crop, or size"
        )
    last = pipeline[-1]
    if size is None or not isinstance(last, Normalise):
        raise UsageError(
            f"pre-processing must end with an image of {picture.height}x{picture.width} (centre-crop, pad, or an exact "
            "resize) and normalise"
        )
    if (last.order == "grey") != (picture.channels == 1):
        expected = "grey" if picture.channels == 1 else "rgb or bgr"
        raise UsageError(f"channels is {last.order}, the network's input has {picture.channels}: channels = {expected}")
    if last.layout != picture.layout:
        raise UsageError(
            f"normalise gives {last.layout}, the network takes {picture.layout}: layout = {picture.layout!r}"
        )


def options_of(pipeline: Pipeline) -> ProcessingOptions:
    """Return the options that make a pipeline of resize, crop and normalise."""
    found = ProcessingOptions()
    for step in pipeline:
        if isinstance(step, Resize):
            resize = step.shorter if step.shorter is not None else step.exact
            found = ProcessingOptions(resize=resize, interpolation=step.interpolation).over(found)  # type: ignore[arg-type]
        elif isinstance(step, CentreCrop):
            found = ProcessingOptions(crop=(step.size[0], step.size[1])).over(found)
        elif isinstance(step, Normalise):
            found = ProcessingOptions(mean=step.mean, std=step.std, scale=step.scale, channels=step.order).over(found)
    return found
