"""What is wrong with a request for a network, as far as that is seen without torch.

name_of("nets/mine.py:build(size=320)")             # "mine-build-size-320"
check_request("resnet5", NetworkOptions())          # UnknownNetwork: ... Did you mean resnet50?
"""

from __future__ import annotations

import re
from pathlib import Path

from ovenbird import models
from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.loading.options import NOTHING_SAID, NetworkOptions, with_document
from ovenbird.networks.files.foreign import is_foreign, pointer, refusal
from ovenbird.networks.files.state_dicts import check_file
from ovenbird.networks.reference import CFG, Reference, parse_reference
from ovenbird.networks.weights import parse_weights
from ovenbird_runtime.artifact.names import check_model_name
from ovenbird_runtime.errors import WrongModelName


def name_of(model: str, options: NetworkOptions = NOTHING_SAID) -> str:
    """Return the model's name: the one given, else one made of MODEL. Raises UsageError for a name that is none."""
    if options.name is not None:
        try:
            return check_model_name(options.name)
        except WrongModelName as error:
            raise UsageError(f"--name: {error}") from None
    return parse_reference(model, options.arguments).model_name


def check_request(model: str, options: NetworkOptions) -> None:
    """Refuse what needs no torch to see. Raises UsageError, NetworkError, ExtraMissing, WeightsError."""
    name_of(model, options)
    if options.image_sizes and (options.size is not None or options.input_shapes):
        raise UsageError("--image-sizes says what --size and --input-shapes do: give one of them")
    reference = parse_reference(model, options.arguments)
    with_document(reference, options)
    if reference.kind == "file":
        if what := pointer(reference.path):
            raise NetworkUnreadable(f"{model}: {what}")
        if reference.path.suffix.lower() != CFG:
            if options.weights not in (None, "default"):
                raise UsageError(f"--weights is for networks without; {model} brings its own")
            return
    if reference.kind == "built-in":
        if reference.model_name in models.captioner_names():
            return  # whose weights may be a folder
        known = reference.model_name in models.model_names()
        python = Path(f"{model}.py")
        if not known and python.is_file():
            raise NetworkUnreadable(f"{model}: {python} is {refusal(python)}")
        if not known and is_foreign(Path(model)):
            raise NetworkUnreadable(f"{model}: {refusal(Path(model))}")
        models.recipe(model)
    if reference.kind == "package":
        from ovenbird.models.packages.table import PACKAGES

        PACKAGES[reference.place].check(reference.name)
    choice = parse_weights(options.weights)
    if choice is not None and choice.file is not None and not names_weights(reference, options):
        check_file(choice.file)


def names_weights(reference: Reference, options: NetworkOptions) -> bool:
    """Return whether `--weights` is one of torchvision's names, `IMAGENET1K_V1`, which are no files."""
    return reference.place == "torchvision" and re.fullmatch(r"[A-Z][A-Z0-9_]+", options.weights or "") is not None
