"""Pre-processing, labels and answers put on a network, as the user asked for them.

    network = apply_processing(network, ProcessingOptions(base="imagenet", labels=Path("labels.txt")))
    network.default_pipeline, network.postprocess          # "own", (Classification(output="logits", ...),)

Whatever does not fit the network's inputs and outputs is refused here, with both shapes: what loads, answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ovenbird.errors import UsageError, suggest
from ovenbird.networks.detection.answering import decoded, with_labels
from ovenbird.networks.image_shapes import PictureInput, picture_input
from ovenbird.networks.network import Network
from ovenbird.networks.processing.characters import characters_of
from ovenbird.networks.processing.labels import read_labels
from ovenbird.networks.processing.options import AnswerName, ProcessingOptions
from ovenbird.networks.processing.pipelines import line_pipeline, make_pipeline, options_of
from ovenbird_runtime.manifest.answers import LABELS, AnswerStep, Boxes, Classification, Ctc, Raw, Vector
from ovenbird_runtime.manifest.program import TensorSpec

OWN = "own"
"""The name of a pre-processing that the user put together."""
LINE = "line"
"""The name of PaddleOCR's for a line of text."""


def apply_processing(network: Network, options: ProcessingOptions) -> Network:
    """Return the network with what was asked for. Raises UsageError, PreprocessInvalid."""
    if options.decode is not None or options.answer == ("boxes",):
        network = decoded(network, options.decode)
        options = replace(options, answer=None)
    return _with_answers(_with_pixels(network, options), options)


def _with_pixels(network: Network, options: ProcessingOptions) -> Network:
    if options.base is not None and not options.changes_pixels:
        if options.base in network.pipelines:
            return replace(network, default_pipeline=options.base)
        if options.base != "imagenet":
            known = ", ".join(network.pipelines) or "none: its input is no image"
            near = suggest(options.base, network.pipelines)
            raise UsageError(
                f"--preprocess {options.base}: {network.name} has {known}, or give a file, FILE.toml{near}"
            )
    elif not options.changes_pixels:
        return network
    picture = picture_input(network.inputs)
    name = options.base if options.base is not None and not options.changes_pixels else OWN
    pipeline = make_pipeline(options, picture, _base(network, options, picture))
    return replace(network, pipelines={**network.pipelines, name: pipeline}, default_pipeline=name)


def _base(network: Network, options: ProcessingOptions, picture: PictureInput) -> ProcessingOptions:
    """Return what the options change: the network's own pre-processing of that name, ImageNet's, or nothing."""
    if options.base is None:
        return ProcessingOptions()
    if options.base != "imagenet":
        raise UsageError(f"--preprocess {options.base} cannot be changed by other options; imagenet can")
    if options.base in network.pipelines:
        return options_of(network.pipelines[options.base])
    shorter = min(picture.height, picture.width)
    return ProcessingOptions(resize=round(shorter * 256 / 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def _with_answers(network: Network, options: ProcessingOptions) -> Network:
    if options.answer is None and options.labels is None:
        return network
    if _reads_text(network, options):
        return _with_lines(network, options)
    labels = () if options.labels is None else read_labels(options.labels)
    if options.answer is None and any(isinstance(step, Boxes) for step in network.postprocess):
        return with_labels(network, labels)
    if options.answer is None:
        answers: Mapping[str, AnswerName] = {_labelled(network, labels): "classes"}
    else:
        answers = _by_output(network, options.answer)
    steps: list[AnswerStep] = []
    used = False
    for spec in network.outputs:
        kind = answers.get(spec.name)
        if kind == "classes":
            _check_classes(spec, labels)
            used = True
            steps.append(Classification(output=spec.name, labels=LABELS if labels or network.labels else None))
        elif kind == "embedding":
            steps.append(Vector(output=spec.name))
        elif kind == "raw":
            steps.append(Raw(output=spec.name))
    if labels and not used:
        raise UsageError("--labels: no output is answered as classes; say which: --answer NAME=classes")
    return replace(network, postprocess=tuple(steps), labels=labels or (network.labels if used else ()))


def _reads_text(network: Network, options: ProcessingOptions) -> bool:
    kinds = options.answer.values() if isinstance(options.answer, Mapping) else options.answer or ()
    if "text" in kinds and (len(kinds) > 1 or len(network.outputs) > 1):
        raise UsageError(f"--answer text is for networks of one output; {network.name} has {len(network.outputs)}")
    return "text" in kinds


def _with_lines(network: Network, options: ProcessingOptions) -> Network:
    """Return the network with its output answered as a line of text."""
    spec = network.outputs[0]
    classes = spec.shape[-1] if len(spec.shape) == 3 else None
    if not isinstance(classes, int) or spec.dtype != "float32":
        raise UsageError(
            f"--answer: {spec.name} is {spec.dtype} {list(spec.shape)}, a line of text is float32 [N, places, classes]"
        )
    characters = characters_of(options.labels, network.metadata, classes)
    network = replace(network, postprocess=(Ctc(output=spec.name, labels=LABELS),), labels=characters)
    if network.default_pipeline is not None:
        return network
    pipelines = {**network.pipelines, LINE: line_pipeline(picture_input(network.inputs))}
    note = "pixels of lines as PaddleOCR prepares them: fitted to the left, grey behind, -1 to 1, blue first"
    return replace(network, pipelines=pipelines, default_pipeline=LINE, notes=(*network.notes, note))


def _by_output(network: Network, answer: tuple[AnswerName, ...] | Mapping[str, AnswerName]) -> Mapping[str, AnswerName]:
    names = [spec.name for spec in network.outputs]
    if isinstance(answer, Mapping):
        unknown = next((name for name in answer if name not in names), None)
        if unknown is not None:
            raise UsageError(
                f"--answer: no output {unknown!r}; the network has {', '.join(names)}{suggest(unknown, names)}"
            )
        return answer
    if len(answer) > len(names):
        raise UsageError(
            f"--answer gives {len(answer)} kinds, the network has {len(names)} outputs: {', '.join(names)}"
        )
    return dict(zip(names, answer, strict=False))


def _labelled(network: Network, labels: tuple[str, ...]) -> str:
    """Return the output that has as many classes as there are labels."""
    fitting = [spec.name for spec in network.outputs if len(spec.shape) == 2 and spec.shape[-1] == len(labels)]
    if len(fitting) == 1:
        return fitting[0]
    found = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in network.outputs)
    if fitting:
        raise UsageError(
            f"--labels: several outputs have {len(labels)} classes, {found}; say which: --answer NAME=classes"
        )
    hint = "; of a detector's boxes: --answer boxes" if any(len(spec.shape) > 2 for spec in network.outputs) else ""
    raise UsageError(f"--labels has {len(labels)} names; no output has as many classes: {found}{hint}")


def _check_classes(spec: TensorSpec, labels: tuple[str, ...]) -> None:
    shape = list(spec.shape)
    if len(shape) != 2:
        raise UsageError(f"--answer: {spec.name} is {shape}, classes are [N, classes]; --answer {spec.name}=raw")
    if labels and shape[-1] != len(labels):
        raise UsageError(f"--labels has {len(labels)} names, {spec.name} has {shape[-1]} classes")
