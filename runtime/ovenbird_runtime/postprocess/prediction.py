"""One image's answers, typed, and as JSON.

prediction.top[0].label, prediction.embedding.mean
json.dumps(prediction.to_json())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from ..dataclass import dataclass
from ..errors import WrongOption
from ..manifest.answers import Boxes, Raw
from ..manifest.manifest import Manifest, WeightsInfo
from ..options import PredictOptions
from ..tensors.arrays import Array
from ..tensors.frame import Frame
from .boxes import BOXES, Box
from .classes import CLASSES, ClassScore
from .embedding import EMBEDDINGS, Embedding
from .kind import Asked
from .raw import RAW
from .table import KINDS
from .text import TEXTS, TextAnswer

if TYPE_CHECKING:
    from PIL.Image import Image


class PhotographOf(Protocol):
    """Finds a photograph again (`preprocess.source`)."""

    def image(self) -> Image | None:
        """Return it, upright; None where it is gone."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image: by kind of answer and output, as the manifest describes them."""

    model: str
    weights: WeightsInfo
    """Where the weights come from; with `weights.random` the answer means nothing."""
    preprocess: str
    seed: int
    """What random steps of the pipeline drew from."""
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Each kind's answers (`postprocess.table`), by output."""
    frame: Frame | None = None
    """Where the network's input lies in the image; None for tensors, which come from no image."""
    source: PhotographOf | None = field(default=None, compare=False, repr=False)
    """Where its photograph is found again, for notebooks."""

    @property
    def classes(self) -> Mapping[str, tuple[ClassScore, ...]]:
        """The most probable classes of each classification, most probable first."""
        return self.answers.get(CLASSES.field, {})

    @property
    def embeddings(self) -> Mapping[str, Embedding]:
        """Each embedding."""
        return self.answers.get(EMBEDDINGS.field, {})

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The objects found, the best first, by the first output of that kind; empty where there is none."""
        found: Mapping[str, tuple[Box, ...]] = self.answers.get(BOXES.field, {})
        return next(iter(found.values()), ())

    @property
    def text(self) -> str | None:
        """The text, by the first output of that kind; None where there is none."""
        found: Mapping[str, TextAnswer] = self.answers.get(TEXTS.field, {})
        return next((one.text for one in found.values()), None)

    @property
    def raw(self) -> Mapping[str, Array]:
        """Outputs that the manifest gives no meaning to, without their batch dimension."""
        return self.answers.get(RAW.field, {})

    @property
    def top(self) -> tuple[ClassScore, ...]:
        """The classes of the first classification output, most probable first; empty where there is none."""
        return next(iter(self.classes.values()), ())

    @property
    def embedding(self) -> Embedding | None:
        """The first embedding; None where there is none."""
        return next(iter(self.embeddings.values()), None)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the photograph with what was found, and the answers."""
        from .showing import prediction_html

        return prediction_html(self, None if self.source is None else self.source.image())

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; a number that JSON cannot say (NaN) becomes null."""
        return {
            "model": self.model,
            "random_weights": self.weights.random,
            "preprocess": self.preprocess,
            "seed": self.seed,
            **{
                kind.field: {name: kind.to_json(answer) for name, answer in self.answers.get(kind.field, {}).items()}
                for kind in KINDS.values()
                if kind.always or kind.field in self.answers
            },
        }


def check_asked(manifest: Manifest, labels: Mapping[str, Sequence[str]], options: PredictOptions) -> None:
    """Refuse options that the model's answers do not have. Raises WrongOption."""
    asked, steps = Asked(options, labels), manifest.postprocess
    if options.of_boxes and not any(isinstance(step, Boxes) for step in steps):
        kinds = "text" if manifest.loop is not None else ", ".join(step.step for step in steps) or "raw"
        raise WrongOption(f"{options.of_boxes[0]} is for boxes, {manifest.model.name} answers with {kinds}")
    if options.of_text and manifest.loop is None:
        raise WrongOption(
            f"{options.of_text[0]} is for models that write text, {manifest.model.name} answers otherwise"
        )
    for step in steps:
        if (check := KINDS[type(step)].check) is not None:
            check(step, asked)


def explain(
    manifest: Manifest,
    outputs: Mapping[str, Array],
    labels: Mapping[str, Sequence[str]],
    pipeline: str,
    options: PredictOptions,
    frames: Sequence[Frame] = (),
) -> list[Prediction]:
    """Turn the outputs of one batch, each [N, ...], into N predictions; `pipeline` made its inputs, whose places in
    their images are `frames`.
    """
    asked, steps = Asked(options, labels, frames), list(manifest.postprocess)
    read = {name for step in steps for name in step.read}
    steps += [Raw(output=name) for name in outputs if name not in read]
    found: dict[str, dict[str, Sequence[Any]]] = {}
    for step in steps:
        kind = KINDS[type(step)]
        found.setdefault(kind.field, {})[step.output] = kind.answers(step, outputs, asked)
    return [
        Prediction(
            model=manifest.model.name,
            weights=manifest.model.weights,
            preprocess=pipeline,
            seed=options.seed,
            frame=frames[i] if frames else None,
            answers={field: {name: rows[i] for name, rows in by_name.items()} for field, by_name in found.items()},
        )
        for i in range(len(next(iter(outputs.values()))))
    ]
