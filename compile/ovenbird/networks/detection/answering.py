"""A network whose program gives boxes, scores and classes, answered as `boxes`.

network = with_boxes(network, classes=80, labels=("person", "bicycle", ...))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ovenbird.errors import UsageError
from ovenbird.networks.detection.exports import read_export
from ovenbird.networks.detection.kinds import answering_outputs, chosen_kind
from ovenbird.networks.image_shapes import picture_input
from ovenbird.networks.network import Network
from ovenbird_runtime.manifest.answers import LABELS, Boxes
from ovenbird_runtime.manifest.manifest import TensorSpec


def with_boxes(network: Network, classes: int | None, labels: Sequence[str] = (), **settings: Any) -> Network:
    """Return the network with its outputs answered as boxes; `settings` are those of the manifest's step.

    The first output is the boxes, then scores, classes. Raises UsageError for labels of another number than `classes`.
    """
    names = [spec.name for spec in network.outputs]
    step = Boxes(output=names[0], scores=names[1], classes=names[2], **settings)
    network = replace(network, postprocess=(step,), classes=classes, labels=())
    return with_labels(network, labels) if labels else network


def with_labels(network: Network, labels: Sequence[str]) -> Network:
    """Return a detector with names for its classes. Raises UsageError where there are more or fewer classes."""
    if network.classes is not None and len(labels) != network.classes:
        raise UsageError(
            f"--labels has {len(labels)} names, the boxes of {network.name} have {network.classes} classes"
        )
    steps = tuple(replace(step, labels=LABELS) if isinstance(step, Boxes) else step for step in network.postprocess)
    return replace(network, postprocess=steps, labels=tuple(labels))


def decoded(network: Network, kind_name: str | None) -> Network:
    """Return a network with the decoder of its outputs behind it, answered as boxes, and shown pictures as its authors
    do. One that answers as boxes already stays as it is. Names of classes are the file's where it has some. Raises
    UsageError.
    """
    from ovenbird.networks.detection.decoded import DecodedSource

    if kind_name is None and any(isinstance(step, Boxes) for step in network.postprocess):
        return network
    picture = picture_input(network.inputs)
    export = read_export(network.metadata)
    export.check()
    kept = answering_outputs([spec.shape for spec in network.outputs])
    given = [network.outputs[place] for place in kept]
    shapes = [spec.shape for spec in given]
    if picture.layout != "CHW":
        raise UsageError(f"boxes are decoded for networks of images [N, 3, height, width]; this takes {picture.layout}")
    kind = chosen_kind(kind_name, shapes, picture.size)
    classes = kind.classes(shapes)
    if export.labels and classes not in (None, len(export.labels)):
        raise UsageError(
            f"the file names {len(export.labels)} classes, rows of {kind.name} here would have {classes}: they hold "
            "more (masks, poses), or are decoded otherwise (--decode)"
        )
    order = tuple(kept[place] for place in kind.order(given))
    source = DecodedSource(network.source, kind, picture.size, order)
    found = source.reference(source.examples(1))
    outputs = tuple(
        TensorSpec(name=name, dtype="int32" if name == "classes" else "float32", shape=("N", *array.shape[1:]))
        for name, array in zip(("boxes", "scores", "classes"), found, strict=True)
    )
    network = replace(
        network,
        source=source,
        outputs=outputs,
        pipelines={kind.name: kind.pipeline(picture.size), **network.pipelines},
        default_pipeline=kind.name,
        notes=(*network.notes, f"decoded as {kind.name}: {kind.outputs}"),
    )
    return with_boxes(network, classes, export.labels, **kind.settings)
