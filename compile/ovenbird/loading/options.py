"""What a user says about a network on the command line, or in the file of pre-processing next to it.

options, note = with_document(parse_reference("net.onnx"), NetworkOptions(size=(320, 320)))
note                                        # "pre-processing from net.preprocess.toml"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ovenbird.networks.files.paths import check_path
from ovenbird.networks.processing.document import find_document, read_document
from ovenbird.networks.processing.labels import read_labels
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird.networks.reference import Reference
from ovenbird_runtime.manifest.program import InputSize


@dataclass(frozen=True)
class NetworkOptions:
    """What the command line may say about a network."""

    weights: str | None = None
    preprocess: str | None = None
    """The name of a pre-processing, a file of it, or "none": not even the file next to the network."""
    processing: ProcessingOptions = field(default_factory=ProcessingOptions)
    """What the command line says about pixels, labels and answers."""
    input_shapes: dict[str, tuple[int, ...]] | None = None
    image_sizes: tuple[InputSize, ...] = ()
    """Heights and widths to compile for, the usual one first; none for the network's own."""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    trust: bool = False
    """Whether a `.pt2` may run code of its own."""
    name: str | None = None
    """The model's name; none is after MODEL."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of a `module:callable`."""
    size: tuple[int, int] | None = None
    """Height and width of the image that the network takes, in pixels."""


NOTHING_SAID = NetworkOptions()


def with_document(reference: Reference, options: NetworkOptions) -> tuple[NetworkOptions, str]:
    """Return the options with what a file of pre-processing says where the command line is silent, and a line about it.

    The file is the one given, or the one next to the network. Raises PreprocessInvalid, UsageError.
    """
    path, given = None, options.preprocess
    if given is not None and (given.lower().endswith(".toml") or check_path("--preprocess", given).is_file()):
        path = Path(given)
    elif given is None and (network := file_of(reference)) is not None:
        path = find_document(network)
    processing = options.processing
    if path is not None:
        processing = processing.over(read_document(path))
    elif given is not None and given != "none":
        processing = replace(processing, base=given)
    if processing.labels is not None and "text" not in (processing.answer or ()):
        read_labels(processing.labels)
    found = replace(
        options,
        processing=processing,
        size=options.size or processing.size,
        output_names=options.output_names or processing.outputs or (),
    )
    return found, f"pre-processing from {path}" if path is not None else ""


def file_of(reference: Reference) -> Path | None:
    """Return the file that a network is in; None for one that no file of the user's holds."""
    if reference.kind == "file":
        return reference.path
    if reference.kind != "callable":
        return None
    return Path(reference.place if reference.place.endswith(".py") else reference.place.replace(".", "/") + ".py")
