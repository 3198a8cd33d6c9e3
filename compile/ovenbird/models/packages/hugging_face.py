"""Vision networks of transformers: a folder that `save_pretrained` wrote, or a name on its hub.

    HUGGING_FACE.load("./my-vit", {}, None, None)
    HUGGING_FACE.load("google/vit-base-patch16-224", {}, None, "random:0")      # only its config.json is fetched

Code that a repository brings is never run (`trust_remote_code` stays off), and weights are read as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ovenbird.errors import NetworkUnreadable, UsageError, WeightsUnavailable
from ovenbird.models.packages.fetching import check_hub, fetched, quiet_libraries
from ovenbird.models.packages.package import Package, PackagedNetwork, example, picture_pipeline, scaled
from ovenbird.networks.processing.options import Sides
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.manifest.steps import Interpolation, Pipeline

FILTERS: Mapping[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
INPUT = "pixel_values"
FOLDER = "net.save_pretrained(FOLDER) where it can be had, then hf:./FOLDER"


def _check(name: str) -> None:
    """Refuse a folder without a network, and a name that the hub cannot be asked for."""
    folder = Path(name).expanduser()
    if name.startswith((".", "/", "~")) and not (folder / "config.json").is_file():
        raise NetworkUnreadable(f"hf:{name}: no config.json there; net.save_pretrained(FOLDER) writes one")
    if not folder.is_dir():
        check_hub(name, FOLDER)


def _load(name: str, keywords: Mapping[str, Any], size: Sides | None, weights: str | None) -> PackagedNetwork:
    if keywords:
        raise UsageError(f"hf:{name} takes no arguments; edit its config.json")
    folder = Path(name).expanduser()
    place = str(folder) if folder.is_dir() else name
    import_torchvision()
    import transformers

    config = fetched(f"hf:{name}", lambda: transformers.AutoConfig.from_pretrained(place))
    kind = _class(transformers, name, config)
    if weights in (None, "default"):
        net = fetched(f"hf:{name}", lambda: kind.from_pretrained(place, dtype="float32", use_safetensors=True))
    else:
        with quiet_libraries():
            net = kind(config)
    if getattr(net, "main_input_name", "") != INPUT:
        raise NetworkUnreadable(f"hf:{name} is no vision network: {kind.__name__} takes {net.main_input_name}")
    settings = _settings(transformers, place)
    own = _image_size(config, settings)
    size = size or own
    channels = int(getattr(config, "num_channels", 3))
    return PackagedNetwork(
        net=net.eval(),
        examples={INPUT: example(1, channels, *size)},
        licence="as the repository says",
        weights=None,
        labels=_labels(config) if "Classification" in kind.__name__ else (),
        pipeline=_pipeline(settings, own, size) if channels == 3 and settings else (),
    )


def _class(transformers: Any, name: str, config: Any) -> Any:
    """Return the class that the configuration names, or that of its bare network."""
    for architecture in getattr(config, "architectures", None) or ():
        found = getattr(transformers, architecture, None)
        if found is not None:
            return found
    raise NetworkUnreadable(f"hf:{name}: its config.json names no architecture that transformers has")


def _settings(transformers: Any, place: str) -> Mapping[str, Any]:
    """Return `preprocessor_config.json`; nothing where there is none."""
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        found: Mapping[str, Any] = fetched(place, lambda: ImageProcessingMixin.get_image_processor_dict(place)[0])
    except WeightsUnavailable:
        return {}
    return found


def _sides(value: Any) -> Sides | int | None:
    """Return what a size says in transformers' ways: `{"height", "width"}`, `{"shortest_edge"}`, a number, a pair."""
    if isinstance(value, Mapping):
        if "height" in value and "width" in value:
            return (int(value["height"]), int(value["width"]))
        return int(value["shortest_edge"]) if value.get("shortest_edge") else None
    if isinstance(value, int):
        return (value, value)
    return (int(value[0]), int(value[1])) if isinstance(value, list | tuple) and len(value) == 2 else None


def _image_size(config: Any, settings: Mapping[str, Any]) -> Sides:
    crop = settings.get("crop_size") if settings.get("do_center_crop") else None
    for value in (crop, settings.get("size"), getattr(config, "image_size", None)):
        found = _sides(value)
        if found is not None:
            return (found, found) if isinstance(found, int) else found
    return (224, 224)


def _pipeline(settings: Mapping[str, Any], own: Sides, size: Sides) -> Pipeline:
    """Return what transformers' processor does with a picture."""
    resize = _sides(settings.get("size")) or own
    if settings.get("crop_pct") and isinstance(resize, int):  # ConvNeXt's: a share of the picture below 384 pixels
        resize = int(resize / settings["crop_pct"]) if resize < 384 else own
    elif "Levit" in str(settings.get("image_processor_type")) and isinstance(resize, int):
        resize = int(resize * 256 / 224)
    elif not settings.get("do_center_crop"):
        resize = own
    if size != own:
        resize = scaled(resize, own, size)
    mean, std = tuple(settings.get("image_mean") or (0.0,)), tuple(settings.get("image_std") or (1.0,))
    if not settings.get("do_normalize", True):
        mean, std = (0.0,), (1.0,)
    if settings.get("include_top"):  # EfficientNet's: divided by it a second time
        std = tuple(value * value for value in std)
    if settings.get("rescale_offset"):  # pixels * factor - 1 before the rest
        mean = tuple(value + 1.0 for value in mean)
    factor = settings.get("rescale_factor") if settings.get("do_rescale", True) else 1.0
    scale = None if factor is None or abs(factor * 255 - 1) < 1e-6 else float(factor)
    return picture_pipeline(size, resize, FILTERS.get(int(settings.get("resample", 2)), "bilinear"), mean, std, scale)


def _labels(config: Any) -> tuple[str, ...]:
    """Return the classes' names; nothing where they are `LABEL_0`, `LABEL_1`, ..."""
    table: Mapping[Any, Any] = getattr(config, "id2label", None) or {}
    names = [str(table.get(place, table.get(str(place), ""))) for place in range(len(table))]
    plain = all(name == f"LABEL_{place}" for place, name in enumerate(names))
    return () if plain or not all(name.strip() for name in names) else tuple(" ".join(name.split()) for name in names)


HUGGING_FACE = Package(
    "hf",
    "transformers",
    "pip install transformers",
    "vision networks of transformers: hf:FOLDER, or hf:OWNER/NAME from its hub",
    _load,
    checker=_check,
)
