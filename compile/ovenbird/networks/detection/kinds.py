"""Which decoder a network's outputs ask for: by `--decode`, or by their shapes where only one kind has such.

kind = chosen_kind(None, [("N", 84, 8400)], (640, 640))         # KINDS["yolov8"]
kind.order(network.outputs)                                     # (1, 0): scores before boxes, as its decoder takes them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ovenbird.errors import UsageError, suggest
from ovenbird_runtime.manifest.steps import Normalise, Pipeline, Resize, letterbox

if TYPE_CHECKING:
    from ovenbird.networks.detection.decoders import Decoder
    from ovenbird_runtime.manifest.program import TensorSpec

OutputShape = Sequence[int | str]
ImageSides = tuple[int, int]


@dataclass(frozen=True)
class DetectorKind:
    """One kind of detector: its outputs, their decoder, and how its authors show it pictures."""

    name: str
    outputs: str
    """In words, for messages."""
    decoder: str
    """The class in `decoders.py`."""
    fits: Callable[[Sequence[OutputShape], ImageSides], bool]
    """Whether outputs may be this kind's."""
    classes: Callable[[Sequence[OutputShape]], int | None]
    """How many classes they have; None where the shapes do not say."""
    pipeline: Callable[[ImageSides], Pipeline]
    certain: Callable[[Sequence[OutputShape], ImageSides], bool] = lambda shapes, image: True
    """Whether what fits can be nothing else."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the manifest's step."""

    def make(self, image: ImageSides) -> Decoder:
        """Return the decoder for images of a size."""
        from ovenbird.networks.detection import decoders

        made: Decoder = getattr(decoders, self.decoder)(image)
        return made

    def order(self, outputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Return the outputs' numbers in the order that the decoder takes: those of boxes last of two, and of three in
        the order of the kind unless a type or a name says which are classes.
        """
        if len(outputs) == 2 and outputs[0].shape[-1] == 4 and outputs[1].shape[-1] != 4:
            return (1, 0)
        if len(outputs) == 3 and _is_class(outputs[1]) and not _is_class(outputs[2]):
            return (0, 2, 1)
        return tuple(range(len(outputs)))


def _is_class(output: TensorSpec) -> bool:
    return output.dtype.startswith("int") or any(word in output.name.lower() for word in ("class", "label", "cls"))


def answering_outputs(shapes: Sequence[OutputShape]) -> tuple[int, ...]:
    """Return the numbers of the outputs that matter: the rows alone, of those that give the maps that rows are of, too.

    YOLOv5 was exported so: [N, rows, 85], then [N, 3, height, width, 85] of each level.
    """
    rows = [place for place, shape in enumerate(shapes) if len(shape) == 3]
    if len(rows) == 1 and len(shapes) > 1 and all(len(shape) == 5 for shape in shapes if len(shape) != 3):
        return (rows[0],)
    return tuple(range(len(shapes)))


def _whole(image: ImageSides) -> int:
    from ovenbird.networks.detection.grids import count

    return count(image)


def _grids(image: ImageSides, anchors: int = 1) -> frozenset[int]:
    """Return how many rows networks have that give so many boxes a place."""
    from ovenbird.networks.detection.grids import known_counts

    return frozenset(anchors * places for places in known_counts(image))


def _rows(shapes: Sequence[OutputShape], least: int) -> int:
    """Return how many rows a single output [N, rows, numbers] has, 0 for another or one of fewer numbers."""
    one = shapes[0] if len(shapes) == 1 and len(shapes[0]) == 3 else ("N", 0, 0)
    return int(one[1]) if least <= int(one[2]) < int(one[1]) else 0


def _places(shapes: Sequence[OutputShape], least: int) -> int:
    """Return how many places a single output [N, numbers, places] has."""
    one = shapes[0] if len(shapes) == 1 and len(shapes[0]) == 3 else ("N", 0, 0)
    return int(one[2]) if least <= int(one[1]) < int(one[2]) else 0


def _pair(shapes: Sequence[OutputShape]) -> int:
    """Return how many rows two outputs [N, rows, classes] and [N, rows, 4] share, 0 for others."""
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        return 0
    return int(shapes[0][1]) if 4 in (shapes[0][2], shapes[1][2]) else 0


def _of_pair(shapes: Sequence[OutputShape]) -> int:
    sides = [int(shape[2]) for shape in shapes]
    return (sides[0] if sides[0] != 4 else sides[1]) - 1


def _unsuppressed(shapes: Sequence[OutputShape], image: ImageSides) -> bool:
    """Return whether two outputs are [N, classes, rows] and [N, rows, 4], in either order."""
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes):
        return False
    return any(one[2] == 4 and one[1] == other[2] for one, other in (tuple(shapes), tuple(shapes)[::-1]))


def _classes_before(shapes: Sequence[OutputShape]) -> int:
    """Return how many classes such outputs have."""
    boxes = shapes[0] if shapes[0][2] == 4 and shapes[0][1] == shapes[1][2] else shapes[1]
    return int((shapes[1] if boxes is shapes[0] else shapes[0])[1])


def _map(shapes: Sequence[OutputShape], image: ImageSides) -> bool:
    return (
        len(shapes) == 1
        and len(shapes[0]) == 4
        and int(shapes[0][1]) > 5
        and all(int(side) * 16 == whole for side, whole in zip(shapes[0][2:], image, strict=True))
    )


def _three(shapes: Sequence[OutputShape], image: ImageSides) -> bool:
    return (
        len(shapes) == 3
        and len(shapes[0]) == 3
        and shapes[0][2] == 4
        and all(len(shape) == 2 and shape[1] == shapes[0][1] for shape in shapes[1:])
    )


def _face_rows(image: ImageSides) -> int:
    from ovenbird.networks.detection.grids import face_count

    return face_count(image)


def fitted(image: ImageSides) -> Pipeline:
    """Return Ultralytics' way: the whole picture in the middle of grey."""
    return (*letterbox(image), Normalise())


def cornered(image: ImageSides) -> Pipeline:
    """Return YOLOX's way: the whole picture in the corner, blue first, 0 to 255."""
    return (*letterbox(image, place="top-left"), Normalise(scale=1.0, order="bgr"))


def stretched(mean: float = 0.0, std: float = 1.0, order: Any = "rgb") -> Callable[[ImageSides], Pipeline]:
    """Return the way of those who stretch the picture to the network's size."""

    def make(image: ImageSides) -> Pipeline:
        resize = Resize(exact=image, interpolation="opencv-linear")
        return (resize, Normalise(mean=(mean,), std=(std,), order=order))

    return make


def _imagenet(image: ImageSides) -> Pipeline:
    resize = Resize(exact=image)
    return (resize, Normalise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)))


def _never(shapes: Sequence[OutputShape], image: ImageSides) -> bool:
    return False


KINDS: Mapping[str, DetectorKind] = {
    kind.name: kind
    for kind in (
        DetectorKind(
            "yolov5", "one output [N, rows, 5 + classes], decoded; v6 and v7, too", "Yolov5",
            lambda shapes, image: _rows(shapes, 6) > 0, lambda shapes: int(shapes[0][2]) - 5, fitted,
            lambda shapes, image: _rows(shapes, 6) in _grids(image, 3),
        ),
        DetectorKind(
            "yolov8", "one output [N, 4 + classes, places], or turned", "Yolov8",
            lambda shapes, image: _places(shapes, 5) > 0 or _rows(shapes, 5) in _grids(image),
            lambda shapes: min(int(side) for side in shapes[0][1:]) - 4, fitted,
            lambda shapes, image: _places(shapes, 5) in _grids(image),
        ),
        DetectorKind(
            "yolox", "one output [N, places, 5 + classes], in places of its grid", "Yolox",
            lambda shapes, image: _rows(shapes, 6) == _whole(image), lambda shapes: int(shapes[0][2]) - 5, cornered,
            _never,
        ),
        DetectorKind(
            "yolov10", "one output [N, rows, 6], suppressed already", "EndToEnd",
            lambda shapes, image: _rows(shapes, 6) > 0 and shapes[0][2] == 6, lambda shapes: None, fitted,
            lambda shapes, image: _rows(shapes, 6) not in _grids(image) | _grids(image, 3),
            {"nms": "none"},
        ),
        DetectorKind(
            "fastestdet", "one output [N, 5 + classes, height / 16, width / 16]", "FastestDet",
            _map, lambda shapes: int(shapes[0][1]) - 5, stretched(order="bgr"), settings={"score": 0.5},
        ),
        DetectorKind(
            "face-rfb", "outputs [N, rows, 2] and [N, rows, 4] of Linzaer's face detectors", "FaceRfb",
            lambda shapes, image: _pair(shapes) == _face_rows(image) and _of_pair(shapes) == 1,
            lambda shapes: _of_pair(shapes), stretched(127 / 255, 128 / 255), settings={"score": 0.7, "iou": 0.3},
        ),
        DetectorKind(
            "ssd", "outputs [N, rows, 1 + classes] and corners [N, rows, 4], as shares of the image", "Ssd",
            lambda shapes, image: _pair(shapes) > 0, _of_pair, stretched(), _never,
        ),
        DetectorKind(
            "ssd-pixels", "outputs [N, rows, 1 + classes] and corners [N, rows, 4], in pixels", "SsdPixels",
            lambda shapes, image: _pair(shapes) > 0, _of_pair, stretched(), _never,
        ),
        DetectorKind(
            "nms", "NonMaxSuppression's inputs: [N, classes, rows] and corners [N, rows, 4], in pixels, x first",
            "Unsuppressed", _unsuppressed, _classes_before, stretched(), _never,
        ),
        DetectorKind(
            "nms-shares", "the same with corners as shares of the image", "UnsuppressedShares",
            _unsuppressed, _classes_before, stretched(), _never,
        ),
        DetectorKind(
            "detr", "outputs [N, queries, classes + 1] and centres and sizes [N, queries, 4]", "Detr",
            lambda shapes, image: _pair(shapes) > 0, _of_pair, _imagenet, _never, {"nms": "none", "score": 0.5},
        ),
        DetectorKind(
            "boxes", "outputs [N, rows, 4], [N, rows] and [N, rows]: corners in pixels, scores, classes", "Decoded",
            _three, lambda shapes: None, fitted,
        ),
        DetectorKind(
            "mmdetection", "outputs [N, rows, 5] and [N, rows]: corners in pixels and score, class", "Mmdetection",
            lambda shapes, image: len(shapes) == 2 and [*shapes[0][1:]] == [*shapes[1][1:], 5],
            lambda shapes: None, fitted, settings={"nms": "none"},
        ),
    )
}  # fmt: skip
"""By the values of `--decode`."""


def chosen_kind(name: str | None, shapes: Sequence[OutputShape], image: ImageSides) -> DetectorKind:
    """Return the kind that was asked for, or the only one that the shapes can be. Raises UsageError."""
    found = "; ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
    if name is not None:
        if name not in KINDS:
            raise UsageError(f"--decode {name}: expected {', '.join(KINDS)}{suggest(name, KINDS)}")
        kind = KINDS[name]
        if not kind.fits(shapes, image):
            raise UsageError(
                f"--decode {name} is for {kind.outputs}; this network gives {found} for {image[0]}x{image[1]}"
            )
        return kind
    fitting = [kind for kind in KINDS.values() if kind.fits(shapes, image)]
    certain = [kind for kind in fitting if kind.certain(shapes, image)]
    if len(certain) == 1:
        return certain[0]
    if fitting:
        choices = ", or ".join(f"--decode {kind.name} ({kind.outputs})" for kind in fitting)
        raise UsageError(f"outputs {found} do not say how they are decoded: give {choices}")
    raise UsageError(
        f"outputs {found} are no known detector's; decode them in the network (torch: boxes [N, K, 4], scores [N, K], "
        f"classes [N, K]), or compile another export; known are {', '.join(KINDS)}"
    )
