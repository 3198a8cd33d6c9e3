"""What the user said about pixels and answers, put on networks that it fits, and refused by the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ovenbird.errors import UsageError
from ovenbird.networks.network import Network
from ovenbird.networks.processing.applying import apply_processing
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird.networks.weights import EMBEDDED
from ovenbird_runtime.manifest.answers import Classification, Raw, Vector
from ovenbird_runtime.manifest.program import TensorSpec
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, Resize, Step

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE = (104.0, 117.0, 123.0)


def network(*shape: Any, dtype: Any = "float32", outputs: tuple[Any, ...] = (("logits", ("N", 3)),)) -> Network:
    return Network(
        "net", "1", "", EMBEDDED,
        (TensorSpec("image", dtype, shape or ("N", 3, 64, 96)),),
        tuple(TensorSpec(name, "float32", size) for name, size in outputs),
        cast(Any, SimpleNamespace(batched=True)),
    )  # fmt: skip


def steps(options: ProcessingOptions, *shape: Any) -> tuple[Step, ...]:
    found = apply_processing(network(*shape), options)
    assert found.default_pipeline is not None
    return found.pipelines[found.default_pipeline]


def test_nothing_asked_nothing_done() -> None:
    assert apply_processing(network(), ProcessingOptions()) == network()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"mean": MEAN}, (Resize(exact=(64, 96)), Normalise(mean=MEAN))),
        ({"channels": "bgr", "scale": 1.0}, (Resize(exact=(64, 96)), Normalise(scale=1.0, order="bgr"))),
        ({"resize": 100}, (Resize(shorter=100), CentreCrop(size=(64, 96)), Normalise())),
        ({"resize": (70, 100)}, (Resize(exact=(70, 100)), CentreCrop(size=(64, 96)), Normalise())),
        ({"resize": "fit", "pad": 114}, (Resize(fit=(64, 96)), Pad(size=(64, 96), value=114), Normalise())),
        ({"resize": "none"}, (CentreCrop(size=(64, 96)), Normalise())),
        ({"interpolation": "bicubic"}, (Resize(exact=(64, 96), interpolation="bicubic"), Normalise())),
        ({"base": "imagenet"}, (Resize(shorter=73), CentreCrop(size=(64, 96)), Normalise(mean=MEAN, std=STD))),
        (
            {"base": "imagenet", "mean": (0.5,), "resize": 64},
            (Resize(shorter=64), CentreCrop(size=(64, 96)), Normalise(mean=(0.5,), std=STD)),
        ),
        ({"mean": CAFFE, "scale": 1.0}, (Resize(exact=(64, 96)), Normalise(mean=CAFFE, scale=1.0))),
    ],
)  # fmt: skip
def test_pixels(options: dict[str, Any], found: tuple[Any, ...]) -> None:
    assert steps(ProcessingOptions(**options)) == found


def test_channels_last() -> None:
    assert steps(ProcessingOptions(std=(2.0,)), "N", 8, 10, 3) == (
        Resize(exact=(8, 10)), Normalise(std=(2.0,), layout="HWC")
    )  # fmt: skip


def test_a_network_s_own_pre_processing_is_chosen_or_changed() -> None:
    own = (Resize(shorter=70, interpolation="bicubic"), CentreCrop(size=(64, 96)), Normalise(mean=(0.1,)))
    has = replace(network(), pipelines={"imagenet": own, "other": own})
    assert apply_processing(has, ProcessingOptions(base="other")).default_pipeline == "other"
    changed = apply_processing(has, ProcessingOptions(base="imagenet", std=(0.5,)))
    assert changed.default_pipeline == "own"
    assert changed.pipelines["own"] == (*own[:2], Normalise(mean=(0.1,), std=(0.5,)))
    assert changed.pipelines["imagenet"] == own
    with pytest.raises(UsageError, match="other cannot be changed"):
        apply_processing(has, ProcessingOptions(base="other", std=(0.5,)))
    with pytest.raises(UsageError, match=r"other, or give a file, FILE\.toml; did you mean other\?"):
        apply_processing(has, ProcessingOptions(base="othr"))


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        ({"mean": (123.7,)}, (), r"mean \[123\.7\] is of pixels of 0 to 255.*give scale 1"),
        ({"resize": 80, "crop": (64, 64)}, (), "ends with an image of 64x64, the network takes 64x96"),
        ({"resize": "fit", "crop": (64, 96)}, (), "crop does not go with resize = fit"),
        ({"pad": 3}, (), "pad is for resize = fit"),
        ({"std": (1.0,)}, ("N", 4, 8, 8), "pictures have 3 channels, red, green and blue, or 1, grey"),
        ({"channels": "rgb"}, ("N", 1, 8, 8), "channels is rgb, the network's input has 1: channels = grey"),
        ({"channels": "grey"}, ("N", 3, 8, 8), "channels is grey, the network's input has 3: channels = rgb or bgr"),
        ({"mean": (0.1, 0.2, 0.3)}, ("N", 1, 8, 8), "one mean and one std where pictures are grey"),
        ({"std": (1.0,)}, ("N", 30), "networks with one input, of images; this one takes image float32"),
        ({"std": (1.0,)}, (1, 3, 8, 8), "networks of any batch"),
        ({"steps": (Resize(exact=(8, 8)), Normalise())}, (), "ends with an image of 8x8"),
        ({"steps": (Resize(shorter=8), Normalise())}, (), "must end with an image of 64x96"),
        ({"steps": (Resize(exact=(64, 96)),)}, (), "must end with .* and normalise"),
        ({"steps": (Resize(exact=(8, 8)), Normalise())}, ("N", 8, 8, 3), "normalise gives CHW, the network takes HWC"),
    ],
)
def test_pixels_that_do_not_fit(options: dict[str, Any], shape: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        steps(ProcessingOptions(**options), *shape)


def test_a_network_of_one_channel_takes_grey_pictures() -> None:
    (resize, normalise) = steps(ProcessingOptions(mean=(0.1307,), std=(0.3081,)), "N", 1, 28, 28)
    assert resize == Resize(exact=(28, 28))
    assert normalise == Normalise(mean=(0.1307,), std=(0.3081,), order="grey")


def test_other_dtypes_take_no_pictures() -> None:
    with pytest.raises(UsageError, match="pictures go into float32 inputs"):
        apply_processing(network(dtype="uint8"), ProcessingOptions(std=(1.0,)))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("ant\nbee\ncat\n")
    return path


TWO = (("map", ("N", 3, 8, 8)), ("logits", ("N", 3)), ("embedding", ("N", 8)))


def test_answers(labels: Path) -> None:
    found = apply_processing(network(outputs=TWO), ProcessingOptions(labels=labels))
    assert found.labels == ("ant", "bee", "cat")
    assert found.postprocess == (Classification(output="logits", labels="labels.txt"),)
    in_order = apply_processing(network(outputs=TWO), ProcessingOptions(answer=("raw", "classes", "embedding")))
    assert in_order.postprocess == (Raw(output="map"), Classification(output="logits"), Vector(output="embedding"))
    by_name = apply_processing(network(outputs=TWO), ProcessingOptions(answer={"embedding": "embedding"}))
    assert by_name.postprocess == (Vector(output="embedding"),)


@pytest.mark.parametrize(
    ("outputs", "answer", "said"),
    [
        ((("logits", ("N", 4)),), None, r"--labels has 3 names; no output has as many classes: logits \['N', 4\]"),
        ((("a", ("N", 3)), ("b", ("N", 3))), None, "several outputs have 3 classes"),
        (TWO, ("classes",), r"map is \['N', 3, 8, 8\], classes are \[N, classes\]; --answer map=raw"),
        (TWO, {"logit": "classes"}, "no output 'logit'; the network has map, logits, embedding; did you mean logits?"),
        (TWO, {"embedding": "classes"}, "--labels has 3 names, embedding has 8 classes"),
        (TWO, {"embedding": "embedding"}, "no output is answered as classes"),
        (TWO, ("raw",) * 4, "gives 4 kinds, the network has 3"),
    ],
)
def test_answers_that_do_not_fit(labels: Path, outputs: Any, answer: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        apply_processing(network(outputs=outputs), ProcessingOptions(labels=labels, answer=answer))
