"""What a network is calibrated on: photographs of a folder, arrays of a file, or what comes with the compiler.

    pictures = find_pictures(network, Path("photos"), 64)
    pictures.rows                         # inputs of one row each, in the network's order
    pictures.held                         # photographs that calibration leaves out, to be verified on

Without data, images are views of two of the compiler's own photographs (cut, mirrored, in other light and colours), and
the third is left out; other inputs are those that verification draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ovenbird.errors import UsageError
from ovenbird.networks.network import Network
from ovenbird.options import DEFAULT_PICTURES
from ovenbird.verify.cases import make_cases
from ovenbird.verify.photographs import SUFFIXES, own_photographs
from ovenbird_runtime.manifest.steps import Pipeline
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_HELD = 100
MOST_TEXTS, LEAST_HELD = 32, 8
"""Texts that are written to verify on: a second each in the framework; and photographs beyond which views are not."""
HELD_SHARE = 5
"""Of so many photographs one is left out, where there are not more than are asked for."""
CUTS = ((0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.4, 0.4), (0.2, 0.2))
"""Corners of the views that are cut out, as shares of the sides; each is 0.6 of them long."""
LIGHTS = (0.6, 1.4)
STRONG = 1.8
"""Of contrast and of colour."""
TILES = (2, 4)
"""How often an image is repeated along each side."""


@dataclass(frozen=True)
class Pictures:
    """Inputs to calibrate on, and what is said of them."""

    rows: list[list[Array]]
    held: tuple[Path, ...]
    origin: str
    files: dict[str, str] = field(default_factory=dict)
    """The files' sha256 by name."""


def find_pictures(network: Network, source: Path | None, size: int = DEFAULT_PICTURES) -> Pictures:
    """Return the inputs for one image size of a network. Raises UsageError."""
    if source is None:
        return _own(network)
    if source.is_dir():
        return _of_folder(network, source, size)
    if source.suffix == ".npz" and source.is_file():
        return _of_arrays(network, source, size)
    raise UsageError(f"--calibrate {source}: neither a folder of photographs nor an .npz file")


def held_rows(network: Network, pictures: Pictures) -> list[list[Array]]:
    """Return the photographs that calibration leaves out, as inputs of one image size of a network."""
    pipeline = _pipeline(network)
    return [] if pipeline is None else [[_read(path, pipeline)] for path in pictures.held]


def held_pictures(network: Network, pictures: Pictures) -> list[Array]:
    """Return what calibration left out, [1, 3, H, W] each, to write texts of: few photographs by their views as well.

    Where the pictures were no photographs, those that come with the compiler; where the network reads none, what it is
    known to accept.
    """
    pipeline = _pipeline(network)
    if pipeline is None:
        (case,) = make_cases(network, (LEAST_HELD,))
        return [row[None] for row in case.inputs[network.inputs[0].name]]
    paths = pictures.held[:MOST_TEXTS] or own_photographs()
    if len(paths) >= LEAST_HELD:
        return [_read(path, pipeline) for path in paths]
    return [row for (row,) in _views_of(paths, pipeline)][:MOST_TEXTS]


def _of_folder(network: Network, folder: Path, size: int) -> Pictures:
    pipeline = _pipeline(network)
    if pipeline is None:
        raise UsageError(
            f"--calibrate {folder}: the network has no pre-processing to read photographs by; give --preprocess, "
            "or an .npz file of its inputs"
        )
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"--calibrate {folder}: no {', '.join(SUFFIXES)} file there")
    count = min(size, len(found) if len(found) < HELD_SHARE else len(found) - len(found) // HELD_SHARE)
    places = sorted({round(at) for at in np.linspace(0, len(found) - 1, count)})
    chosen = [found[at] for at in places]
    rest = [path for path in found if path not in set(chosen)]
    rows = [[_read(path, pipeline)] for path in chosen]
    return Pictures(rows, tuple(rest[:MOST_HELD]), "photographs of a folder", _digests(chosen))


def _of_arrays(network: Network, path: Path, size: int) -> Pictures:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"--calibrate {path}: not an .npz file of arrays: {error}") from None
    rows: list[list[Array]] = []
    for spec, example in zip(network.inputs, network.examples(1).values(), strict=True):
        array = arrays.get(spec.name)
        if array is None:
            raise UsageError(f"--calibrate {path}: no array {spec.name!r}, it has {', '.join(sorted(arrays))}")
        single = example.shape[1:] if spec.batched else example.shape
        if array.shape[1:] != single or not len(array):
            raise UsageError(
                f"--calibrate {path}: {spec.name} is {list(array.shape)}, expected [pictures, "
                f"{', '.join(map(str, single))}]"
            )
        chosen = array[:size].astype(example.dtype)
        rows.append([row[None] if spec.batched else row for row in chosen])
    counts = {len(one) for one in rows}
    if len(counts) != 1:
        raise UsageError(f"--calibrate {path}: its arrays have {', '.join(map(str, sorted(counts)))} pictures")
    return Pictures([list(one) for one in zip(*rows, strict=True)], (), "arrays of a file", _digests([path]))


def _own(network: Network) -> Pictures:
    pipeline = _pipeline(network)
    if pipeline is not None:
        *shown, left = own_photographs()
        return Pictures(
            _views_of(shown, pipeline), (left,), "views of the photographs that come with the compiler", _digests(shown)
        )
    rows = []
    for case in make_cases(network, (8,) if network.batched else (1,)):
        arrays = [case.inputs[spec.name] for spec in network.inputs]
        for at in range(next((len(a) for a, s in zip(arrays, network.inputs, strict=True) if s.batched), 1)):
            pairs = zip(arrays, network.inputs, strict=True)
            rows.append([array[at : at + 1] if spec.batched else array for array, spec in pairs])
    return Pictures(rows, (), "random inputs: the network has no pre-processing to read photographs by")


def _pipeline(network: Network) -> Pipeline | None:
    if network.image_input is None or not network.batched or network.default_pipeline is None:
        return None
    return network.pipelines[network.default_pipeline]


def _read(path: Path, pipeline: Pipeline) -> Array:
    from ovenbird.verify.photographs import read_photographs

    return read_photographs([path], pipeline)


def _views_of(paths: Sequence[Path], pipeline: Pipeline) -> list[list[Array]]:
    """Return views of photographs as inputs of one row."""
    from ovenbird_runtime.preprocess.images import open_image
    from ovenbird_runtime.preprocess.interpreted import apply

    views = [view for path in paths for view in _views(open_image(path))]
    return [[apply(pipeline, view, seed=0, index=at)[None]] for at, view in enumerate(views)]


def _views(image: Image) -> Iterator[Any]:
    """Yield an image and parts of it, then itself mirrored, in other light and colours, and several times in one.

    Ranges are to hold pictures of any kind, so views are to differ in more than what they show.
    """
    from PIL import Image as images
    from PIL import ImageEnhance, ImageOps

    yield image
    width, height = image.size
    for left, top in CUTS:
        yield image.crop((int(left * width), int(top * height), int((left + 0.6) * width), int((top + 0.6) * height)))
    mirrored, channels = ImageOps.mirror(image), image.split()
    yield mirrored
    for light in LIGHTS:
        yield ImageEnhance.Brightness(image).enhance(light)
    yield ImageEnhance.Contrast(image).enhance(STRONG)
    yield ImageEnhance.Color(image).enhance(STRONG)
    for first in (1, 2):
        yield images.merge("RGB", [channels[(first + place) % 3] for place in range(3)])
    yield ImageOps.invert(image)
    for count in TILES:
        tiled = images.new("RGB", image.size)
        for row in range(count):
            for column in range(count):
                tile = (image, mirrored)[(row + column) % 2].resize((width // count, height // count))
                tiled.paste(tile, (column * (width // count), row * (height // count)))
        yield tiled


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
