"""What the word MODEL on the command line can be, and how each becomes a `Network`.

load_network("resnet50")                        # a built-in name
load_network("mynets:detector")                 # a callable, a class or a module: nn.Module, or (nn.Module, examples)
load_network("nets/mine.py:build(size=320)")
load_network("net.pt2"), load_network("net.onnx"), load_network("yolov3-tiny.cfg")
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ovenbird import models
from ovenbird.errors import NetworkUnreadable, NetworkUntraceable, UsageError
from ovenbird.networks.composite import Composite, compose, load_captioner
from ovenbird.networks.describing import describe
from ovenbird.networks.detection.answering import with_boxes
from ovenbird.networks.files.foreign import is_foreign, pointer, refusal
from ovenbird.networks.files.paths import check_path
from ovenbird.networks.files.state_dicts import check_file
from ovenbird.networks.image_shapes import image_shape
from ovenbird.networks.network import Network
from ovenbird.networks.processing.applying import apply_processing
from ovenbird.networks.processing.document import find_document, read_document
from ovenbird.networks.processing.labels import read_labels
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird.networks.processing.usual import pipelines_for, resized
from ovenbird.networks.programs import Programs
from ovenbird.networks.reference import Reference, parse_reference
from ovenbird.networks.sizes import at_sizes
from ovenbird.networks.weights import EMBEDDED, apply_weights, parse_weights
from ovenbird_runtime.artifact.names import check_model_name
from ovenbird_runtime.errors import WrongModelName
from ovenbird_runtime.manifest.answers import LABELS, Classification
from ovenbird_runtime.manifest.manifest import WeightsInfo
from ovenbird_runtime.manifest.program import InputSize

if TYPE_CHECKING:
    from ovenbird.models.recipe import ModelRecipe

CFG = ".cfg"
"""darknet's networks; their weights are a file of their own."""
NO_PIXELS = "how pictures become its input is not said: --preprocess imagenet, or a file beside the network"


@dataclass(frozen=True)
class NetworkOptions:
    """What the command line may say about a network."""

    weights: str | None = None
    preprocess: str | None = None
    """The name of a pre-processing, a file of it, or "none": not even the file beside the network."""
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


def load_network(model: str, options: NetworkOptions = NetworkOptions()) -> Network:
    """Load what MODEL names, which is to be one network. Raises as `load_model` does."""
    return only_network(load_model(model, options), model)


def only_network(found: Network | Composite, model: str) -> Network:
    """Return a model that is one network, named `model` in the error of another. Raises UsageError."""
    if isinstance(found, Composite):
        raise UsageError(
            f"{model} has several programs ({', '.join(found.programs)}): only `ovenbird compile` and "
            "`ovenbird verify` take it"
        )
    return found


def load_model(model: str, options: NetworkOptions = NetworkOptions()) -> Network | Composite:
    """Load what MODEL names. Raises UnknownNetwork, UsageError, and any WeightsError or NetworkError."""
    check_request(model, options)
    reference = parse_reference(model, options.arguments)
    options, note = with_document(reference, options)
    if options.image_sizes:
        height, width = options.image_sizes[0]
        options = replace(options, size=(height, width))
    network: Network | Composite
    if reference.kind == "built-in" and reference.model_name in models.captioner_names():
        network = load_captioner(models.captioner(model), options.weights)
    elif reference.kind == "built-in":
        network = _load_builtin(models.recipe(model), options)
    elif reference.kind == "package":
        network = _load_packaged(reference, options)
    else:
        network = _load_own(reference, options)
    if isinstance(network, Composite):
        return replace(network, given_name=options.name or "")
    network = apply_processing(network, options.processing)
    if options.image_sizes:
        network = at_sizes(network, options.image_sizes)
    notes = (*network.notes, *((note,) if note else ()))
    if network.pipelines and network.default_pipeline is None and options.preprocess != "none":
        notes = (*notes, NO_PIXELS)
    return replace(network, given_name=options.name or "", notes=notes)


def with_document(reference: Reference, options: NetworkOptions) -> tuple[NetworkOptions, str]:
    """Return the options with what a file of pre-processing says where the command line is silent, and a line about it.

    The file is the one given, or the one beside the network. Raises PreprocessInvalid, UsageError.
    """
    path, given = None, options.preprocess
    if given is not None and (given.lower().endswith(".toml") or check_path("--preprocess", given).is_file()):
        path = Path(given)
    elif given is None and (network := _file_of(reference)) is not None:
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


def _file_of(reference: Reference) -> Path | None:
    """Return the file that a network is in; None for one that no file of the user's holds."""
    if reference.kind == "file":
        return reference.path
    if reference.kind != "callable":
        return None
    return Path(reference.place if reference.place.endswith(".py") else reference.place.replace(".", "/") + ".py")


def name_of(model: str, options: NetworkOptions = NetworkOptions()) -> str:
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
    if choice is not None and choice.file is not None and not _names_weights(reference, options):
        check_file(choice.file)


def _load_builtin(recipe: ModelRecipe, options: NetworkOptions) -> Network:
    import torch

    if recipe.cfg is not None:
        sides = (options.input_shapes or {}).get("image", ())[2:]
        size = options.size or (sides if len(sides) == 2 else None)
        network = _load_darknet(recipe.cfg, recipe.name, replace(options, input_shapes=None, size=size))
        return replace(network, licence=recipe.licence)
    net = recipe.build()
    shape = (1, 3, *(options.size or (recipe.image_size, recipe.image_size)))
    if options.input_shapes:
        shape = cast("tuple[int, int, int, int]", options.input_shapes.get("image", shape))
        if len(shape) != 4 or shape[1] != 3 or set(options.input_shapes) != {"image"}:
            raise UsageError(f"--input-shapes: {recipe.name} takes image:[1,3,HEIGHT,WIDTH]")
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    called = None if recipe.image_size == 224 else (net, (example,))
    weights = apply_weights(net, parse_weights(options.weights), recipe.weights, called)
    network = _from_torch(recipe.whole(net), (example,), recipe.name, options)
    pipelines = recipe.pipelines if shape[2:] == (recipe.image_size,) * 2 else resized(recipe, shape[2], shape[3])
    return replace(
        network,
        licence=recipe.licence,
        weights=weights,
        pipelines=pipelines,
        default_pipeline=next(iter(pipelines), None),
        postprocess=recipe.steps([spec.name for spec in network.outputs]),
        labels=recipe.labels(),
    )


def _load_packaged(reference: Reference, options: NetworkOptions) -> Network:
    from ovenbird.models.packages.package import example
    from ovenbird.models.packages.table import PACKAGES

    if reference.arguments.positional:
        raise UsageError(f"{reference.text}: arguments by name, as in {reference.place}:NAME(num_classes=10)")
    found = PACKAGES[reference.place].load(reference.name, reference.arguments.keywords, options.size, options.weights)
    examples = dict(found.examples)
    for name, shape in (options.input_shapes or {}).items():
        if name not in examples:
            raise UsageError(f"--input-shapes: no input {name!r}, {reference.text} has {', '.join(examples)}")
        examples[name] = example(*shape)
    tensors = tuple(examples.values())
    choice = None if _names_weights(reference, options) else parse_weights(options.weights)
    weights = apply_weights(found.net, choice, found.weights, (found.net, tensors), found.unused)
    options = replace(
        options,
        input_names=options.input_names or tuple(examples),
        output_names=options.output_names
        or (found.outputs if found.outputs and _returns_tensor(found.net, tensors) else ()),
    )
    network = _from_torch(found.net, tensors, reference.model_name, options)
    pipelines = {reference.place: found.pipeline} if found.pipeline and not options.input_shapes else {}
    network = replace(
        network,
        licence=found.licence,
        weights=weights if weights != EMBEDDED else WeightsInfo(origin="package", detail=reference.text),
        pipelines=pipelines,
        default_pipeline=next(iter(pipelines), None),
    )
    if found.boxes is not None:
        return with_boxes(network, len(found.labels) or None, found.labels, **found.boxes)
    return _with_classes(network, found.labels)


def _names_weights(reference: Reference, options: NetworkOptions) -> bool:
    """Return whether `--weights` is one of torchvision's names, `IMAGENET1K_V1`, which are no files."""
    return reference.place == "torchvision" and re.fullmatch(r"[A-Z][A-Z0-9_]+", options.weights or "") is not None


def _returns_tensor(net: Any, tensors: Sequence[Any]) -> bool:
    """Return whether a network returns one tensor, which has no name of its own."""
    import torch

    from ovenbird.networks.torch.steady import steady_torch

    with torch.no_grad(), steady_torch():
        return isinstance(net(*tensors), torch.Tensor)


def _with_classes(network: Network, labels: tuple[str, ...]) -> Network:
    """Return the network with its first output answered as classes, where it is one number a class."""
    spec = network.outputs[0]
    if len(spec.shape) != 2 or spec.name != "logits":
        return network
    fitting = labels if len(labels) == spec.shape[-1] else ()
    step = Classification(output=spec.name, labels=LABELS if fitting else None)
    return replace(network, postprocess=(step,), labels=fitting)


def _load_own(reference: Reference, options: NetworkOptions) -> Network | Composite:
    name = reference.model_name
    if reference.kind == "file" and reference.path.suffix.lower() == ".onnx":
        from ovenbird.networks.onnx.source import OnnxSource

        source = OnnxSource.read(reference.path, options.input_shapes or {}, options.size).with_true_batch()
        names = options.input_names, options.output_names
        network = describe(source, name, source.input_names, source.output_names, *names)
        network = replace(network, metadata=source.metadata)
    elif reference.kind == "file" and reference.path.suffix.lower() == CFG:
        return _load_darknet(reference.path, name, options)
    elif reference.kind == "file":
        from ovenbird.networks.user.callables import read_pt2

        net, examples = read_pt2(reference.path, options.trust)
        network = _from_torch(net, _reshaped(net, examples, options), name, options)
    else:
        loaded = _load_callable(reference, name, options)
        if isinstance(loaded, Composite):
            return loaded
        network = loaded
    image = network.image_input
    if image is not None and image.shape[1] == 3:
        pipelines = pipelines_for(int(image.shape[2]), int(image.shape[3]))
        network = replace(network, pipelines=pipelines)
    return network


def _load_darknet(path: Path, name: str, options: NetworkOptions) -> Network:
    from ovenbird.networks.darknet.loading import load_darknet

    if options.input_shapes:
        raise UsageError(f"--input-shapes: {path} takes images; give --size HEIGHTxWIDTH")
    found = load_darknet(path, parse_weights(options.weights), options.size)
    network = found.described(_from_torch(found.net, (found.example,), name, options))
    return network if found.classes is not None else _with_classes(network, found.labels)


def _load_callable(reference: Reference, name: str, options: NetworkOptions) -> Network | Composite:
    from ovenbird.networks.user.assumed_inputs import assume_inputs
    from ovenbird.networks.user.callables import load_user
    from ovenbird.networks.user.named_inputs import name_inputs

    loaded, note = load_user(reference), ""
    if isinstance(loaded, Programs):
        if options.weights is not None:
            raise UsageError(f"--weights is for one network; {reference.text} brings the weights of its programs")
        return compose(loaded, name, EMBEDDED)
    found = loaded
    net, examples = found.net, found.examples
    if examples is None:
        examples, note = assume_inputs(reference.text, net, options.input_shapes or {}, options.size)
    else:
        net, examples = name_inputs(net, examples)
        examples = _reshaped(net, examples, options)
    try:
        weights = apply_weights(found.net, parse_weights(options.weights), None, (net, examples))
        network = _from_torch(net, examples, name, options)
    except NetworkUntraceable as error:
        if not note:
            raise
        raise NetworkUntraceable(f"{error} (assumed: {note})") from error
    return replace(network, weights=weights, notes=(note,) if note else ())


def _from_torch(net: Any, examples: Any, name: str, options: NetworkOptions) -> Network:
    from ovenbird.networks.torch.source import TorchSource
    from ovenbird.networks.torch.tracing import Traced

    traced = Traced.of(net, examples)
    names = options.input_names, options.output_names
    return describe(TorchSource(traced), name, traced.input_names, traced.output_names, *names)


def _reshaped(net: Any, examples: Any, options: NetworkOptions) -> Any:
    """Return the example inputs in the shapes that `--input-shapes` or `--size` asks for: repeated, then cut."""
    from ovenbird.networks.torch.tracing import bind
    from ovenbird.networks.user.callables import reshape_examples

    shapes = dict(options.input_shapes or {})
    if options.size is not None:
        names, tensors, _ = bind(net, examples)
        found = {name: tuple(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}
        shapes = image_shape(found, options.size) | shapes
    return reshape_examples(net, examples, shapes) if shapes else examples
