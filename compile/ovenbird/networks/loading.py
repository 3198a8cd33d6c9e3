"""What the word MODEL on the command line can be, and how each becomes a `Network`.

load_network("resnet50")                        # a built-in name
load_network("mynets:detector")                 # callable() -> (nn.Module, example_inputs)
load_network("net.pt2"), load_network("net.onnx")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ovenbird import models
from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.networks.network import Network, NetworkSource
from ovenbird.networks.weights import apply_weights, check_file, parse_weights
from ovenbird_runtime.artifact.names import check_model_name, model_name_from
from ovenbird_runtime.errors import WrongModelName
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo
from ovenbird_runtime.manifest.steps import Normalise, Pipeline, imagenet, zoom_crop_pad

if TYPE_CHECKING:
    from ovenbird.models.recipe import ModelRecipe

DTYPES = (
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
FILES = (".onnx", ".pt2")
EMBEDDED = WeightsInfo(origin="embedded", detail="in the network given")


@dataclass(frozen=True)
class NetworkOptions:
    """What the command line may say about a network."""

    weights: str | None = None
    preprocess: str | None = None
    input_shapes: dict[str, tuple[int, ...]] | None = None
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    trust: bool = False
    """Whether a `.pt2` may run code of its own."""
    name: str | None = None
    """The model's name; none is after MODEL."""


def load_network(model: str, options: NetworkOptions = NetworkOptions()) -> Network:
    """Load what MODEL names. Raises UnknownNetwork, UsageError, and any WeightsError or NetworkError."""
    check_request(model, options)
    if own(model):
        network = _load_own(model, Path(model).suffix.lower(), options)
    else:
        network = _load_builtin(models.recipe(model), options)
    if options.preprocess is not None:
        network = _with_default_pipeline(network, options.preprocess)
    return replace(network, given_name=options.name or "")


def name_of(model: str, options: NetworkOptions = NetworkOptions()) -> str:
    """Return the model's name: the one given, else one made of MODEL. Raises UsageError for a name that is none."""
    if options.name is not None:
        try:
            return check_model_name(options.name)
        except WrongModelName as error:
            raise UsageError(f"--name: {error}") from None
    if not own(model):
        return models.recipe(model).name
    return model_name_from(Path(model).stem if Path(model).suffix.lower() in FILES else model)


def own(model: str) -> bool:
    """Return whether MODEL is a user's own network: a file or `module:callable`."""
    return Path(model).suffix.lower() in FILES or re.fullmatch(r"[\w.]+:[\w.]+", model) is not None


def check_request(model: str, options: NetworkOptions) -> None:
    """Refuse what can be before torch is imported. Raises UnknownNetwork, UsageError, WeightsUnavailable."""
    name_of(model, options)
    if own(model):
        if options.weights is not None:
            raise UsageError(f"--weights is for built-in networks; {model} brings its own")
        return
    models.recipe(model)
    choice = parse_weights(options.weights)
    if choice is not None and choice.file is not None:
        check_file(choice.file)


def _load_builtin(recipe: ModelRecipe, options: NetworkOptions) -> Network:
    import torch

    net = recipe.build()
    weights = apply_weights(net, parse_weights(options.weights), recipe.weights)
    shape = (1, 3, recipe.image_size, recipe.image_size)
    if options.input_shapes:
        shape = cast("tuple[int, int, int, int]", options.input_shapes.get("image", shape))
        if len(shape) != 4 or shape[1] != 3 or set(options.input_shapes) != {"image"}:
            raise UsageError(f"--input-shapes: {recipe.name} takes image:[1,3,HEIGHT,WIDTH]")
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    network = _from_torch(recipe.whole(net), (example,), recipe.name, options)
    pipelines = recipe.pipelines if shape[2:] == (recipe.image_size,) * 2 else resized(recipe, shape[2], shape[3])
    return replace(
        network,
        licence=recipe.licence,
        weights=weights,
        pipelines=pipelines,
        default_pipeline=next(iter(pipelines), None),
        postprocess=tuple(
            replace(step, output=spec.name) for spec, step in zip(network.outputs, recipe.outputs, strict=True)
        ),
        labels=recipe.labels(),
    )


def _load_own(model: str, suffix: str, options: NetworkOptions) -> Network:
    name = name_of(model)
    if suffix == ".onnx":
        from ovenbird.networks.onnx.source import OnnxSource

        source = OnnxSource.read(Path(model), options.input_shapes or {})
        network = _described(source, name, source.input_names, source.output_names, options)
    else:
        from ovenbird.networks.user_networks import call_user, read_pt2

        net, examples = read_pt2(Path(model), options.trust) if suffix == ".pt2" else call_user(model)
        network = _from_torch(net, _reshaped(net, examples, options), name, options)
    image = network.image_input
    if image is not None:
        pipelines = _pipelines_for(int(image.shape[2]), int(image.shape[3]))
        network = replace(network, pipelines=pipelines)
    return network


def _from_torch(net: Any, examples: Any, name: str, options: NetworkOptions) -> Network:
    from ovenbird.networks.torch.source import TorchSource
    from ovenbird.networks.torch.tracing import Traced

    traced = Traced.of(net, examples)
    return _described(TorchSource(traced), name, traced.input_names, traced.output_names, options)


def _reshaped(net: Any, examples: Any, options: NetworkOptions) -> Any:
    """Return the example inputs in the shapes that `--input-shapes` asks for: repeated, then cut."""
    if not options.input_shapes:
        return examples
    from ovenbird.networks.user_networks import reshape_examples

    return reshape_examples(net, examples, options.input_shapes)


def _described(
    source: NetworkSource, name: str, inputs: Sequence[str], outputs: Sequence[str], options: NetworkOptions
) -> Network:
    """Return the Network around a source: names, dtypes and shapes, the batch written as "N"."""
    inputs = _renamed("--input-names", inputs, options.input_names)
    outputs = _renamed("--output-names", outputs, options.output_names)
    arrays = source.examples(1)
    if source.batched:
        # an input whose length does not follow the batch has none
        follows = [one.shape != two.shape for one, two in zip(arrays, source.examples(2), strict=True)]
    else:
        follows = [False] * len(arrays)
    results = source.reference(arrays)
    return Network(
        name=name,
        version="1",
        licence="as the network given",
        weights=EMBEDDED,
        inputs=tuple(_spec(n, a, b) for n, a, b in zip(inputs, arrays, follows, strict=True)),
        outputs=tuple(_spec(n, a, source.batched) for n, a in zip(outputs, results, strict=True)),
        source=source,
    )


def _renamed(option: str, found: Sequence[str], given: Sequence[str]) -> list[str]:
    if given and len(given) != len(found):
        raise UsageError(f"{option} gives {len(given)} names, the network has {len(found)}: {', '.join(found)}")
    names = [
        re.sub(r"[^A-Za-z0-9_.:/\-]", "_", name).lstrip(".:/-") or f"tensor{i}" for i, name in enumerate(given or found)
    ]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two tensors are named {name!r}; tell them apart with {option}")
    return names


def _spec(name: str, array: Any, batched: bool) -> TensorSpec:
    dtype = str(array.dtype)
    if dtype not in DTYPES:
        raise NetworkUnreadable(f"{name} is {dtype}, known are {', '.join(DTYPES)}")
    shape = tuple(int(dim) for dim in array.shape)
    image = len(shape) == 4 and shape[1] == 3
    return TensorSpec(
        name=name, dtype=cast(Any, dtype), shape=("N", *shape[1:]) if batched else shape, layout="NCHW" if image else ""
    )


def resized(recipe: ModelRecipe, height: int, width: int) -> dict[str, Pipeline]:
    """Return a recipe's pipelines for another square image size, its own normalisation kept; none for other shapes."""
    normalise = next(step for step in next(iter(recipe.pipelines.values())) if isinstance(step, Normalise))
    return {
        name: tuple(normalise if isinstance(step, Normalise) else step for step in steps)
        for name, steps in _pipelines_for(height, width).items()
    }


def _pipelines_for(height: int, width: int) -> dict[str, Pipeline]:
    """Return ImageNet's pipelines for another image size; only square ones have them."""
    if height != width:
        return {}
    return {
        "imagenet": imagenet(height, round(height * 256 / 224)),
        "zoom-crop-pad": zoom_crop_pad(height, crop=min(100, height)),
    }


def _with_default_pipeline(network: Network, name: str) -> Network:
    if name not in network.pipelines:
        known = ", ".join(network.pipelines) or "none: its input is no image"
        raise UsageError(f"--preprocess {name}: {network.name} has {known}")
    return replace(network, default_pipeline=name)
