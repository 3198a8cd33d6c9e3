"""A prediction as people see it: drawn into its photograph, and as a part of a page.

    drawn_into(open_image("photo.jpg"), prediction).save("annotated.jpg")
    prediction_html(prediction, image)          # what a notebook shows; image None: the answers alone

Labels come from an artifact that a stranger may have made: they are escaped, or drawn as pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..console.html import Html, bar, element, escaped, joined, picture, table
from ..manifest.manifest import WeightsInfo
from ..tensors.arrays import Array
from .band import with_lines
from .boxes import BOXES, Box
from .classes import CLASSES, ClassScore
from .drawing import draw
from .embedding import Embedding
from .text import TEXTS

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN_PIXELS = 480
"""A photograph's longer side in a page."""
MAX_ROWS = 20
"""Boxes that a page lists; all are drawn."""
_RANDOM = "RANDOM WEIGHTS: the answer means nothing"


class Answered(Protocol):
    """What is shown of a `Prediction`, which knows this module, and not the other way round."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def weights(self) -> WeightsInfo: ...  # noqa: D102
    @property
    def preprocess(self) -> str: ...  # noqa: D102
    @property
    def answers(self) -> Mapping[str, Mapping[str, Any]]: ...  # noqa: D102
    @property
    def classes(self) -> Mapping[str, tuple[ClassScore, ...]]: ...  # noqa: D102
    @property
    def top(self) -> tuple[ClassScore, ...]: ...  # noqa: D102
    @property
    def boxes(self) -> tuple[Box, ...]: ...  # noqa: D102
    @property
    def text(self) -> str | None: ...  # noqa: D102
    @property
    def embeddings(self) -> Mapping[str, Embedding]: ...  # noqa: D102
    @property
    def raw(self) -> Mapping[str, Array]: ...  # noqa: D102


def has_drawing(prediction: Answered) -> bool:
    """Return whether a model's answers can be drawn: boxes, even where none was found, classes and texts."""
    return any(kind.field in prediction.answers for kind in (BOXES, CLASSES, TEXTS))


def lines_of(prediction: Answered) -> list[str]:
    """Return what has no place in the photograph: classes with their share, and texts."""
    lines = [_RANDOM] if prediction.weights.random else []
    lines += [f"{one.label} {one.confidence:.1%}" for one in prediction.top]
    return lines if prediction.text is None else [*lines, prediction.text]


def drawn_into(image: Image, prediction: Answered) -> Image:
    """Return a copy of the photograph with boxes, masks and keypoints at their places, classes and texts below it."""
    boxes = prediction.boxes
    return with_lines(draw(image, boxes) if boxes else image, lines_of(prediction))


def prediction_html(prediction: Answered, image: Image | None) -> Html:
    """Return the photograph with what was found, next to a table of the answers."""
    parts = [element("div", element("b", prediction.model), f", pixels by {prediction.preprocess}")]
    if prediction.weights.random:
        parts.append(element("div", _RANDOM, style="color:#c00;font-weight:bold"))
    if prediction.text is not None:
        parts.append(element("blockquote", prediction.text, style="font-size:120%;margin:6px 0"))
    for scores in prediction.classes.values():
        rows = [(one.label, f"{one.confidence:.2%}", bar(one.confidence)) for one in scores]
        parts.append(table(("class", "share", ""), rows))
    if prediction.boxes:
        parts.append(_boxes(prediction.boxes))
    for name, one in prediction.embeddings.items():
        vector = "" if one.vector is None else f", {len(one.vector)} values"
        parts.append(element("div", f"{name}: mean {one.mean:.5g}, variance {one.variance:.5g}{vector}"))
    for name, raw in prediction.raw.items():
        parts.append(element("div", f"{name}: {raw.dtype} {list(raw.shape)}"))
    answers = element("div", *parts, style="padding-left:12px")
    shown = "" if image is None else element("div", _jpeg(_drawn_small(image, prediction.boxes)))
    return element("div", Html(shown), answers, style="display:flex;flex-wrap:wrap;align-items:flex-start")


def _boxes(boxes: tuple[Box, ...]) -> Html:
    rows = [(box.label, f"{box.score:.2%}", ", ".join(f"{side:.0f}" for side in box.box)) for box in boxes[:MAX_ROWS]]
    left = len(boxes) - MAX_ROWS
    more = element("div", f"and {left} more") if left > 0 else ""
    return joined((table(("box", "score", "left, top, right, bottom"), rows), escaped(more) if more else Html()))


def _drawn_small(image: Image, boxes: tuple[Box, ...]) -> Image:
    drawn = draw(image, boxes) if boxes else image.copy()
    drawn.thumbnail((SHOWN_PIXELS, SHOWN_PIXELS))
    return drawn


def _jpeg(image: Image) -> Html:
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=80)
    return picture(file.getvalue(), "image/jpeg", "the photograph, with what was found in it")
