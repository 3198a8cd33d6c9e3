"""Real weights and real photographs, compiled against torch: the promise that nothing is lost on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.verify.photographs import read_photographs
from ovenbird.verify.runtime_process import run_artifact


def compare(artifact: Path, network: Any, photographs: list[Path], truth: list[int]) -> None:
    """Top-1 as torch's on every photograph, logits within 1e-3, and most of them right."""
    pixels = read_photographs(photographs, network.pipelines["imagenet"])
    found = run_artifact(artifact, {"photographs": {"image": pixels}})["photographs"]
    right: dict[str, list[Any]] = {"logits": [], "embedding": []}
    for start in range(0, len(pixels), 20):
        answers = network.reference({"image": pixels[start : start + 20]})
        for name, array in answers.items():
            right[name].append(array)
    logits, embedding = (np.concatenate(right[name]) for name in ("logits", "embedding"))
    assert (found["logits"].argmax(1) == logits.argmax(1)).all()
    assert np.abs(found["logits"] - logits).max() <= 1e-3
    assert np.abs(found["embedding"] - embedding).max() <= 1e-3
    # the network's published accuracy is 72 to 75 % on unseen photographs; these were probably seen
    assert (found["logits"].argmax(1) == np.array(truth)).mean() >= 0.7


@pytest.mark.slow
def test_resnet50_classifies_as_torch_does(
    compiled: Callable[..., Path], real_resnet50: Path, photographs: tuple[list[Path], list[int]]
) -> None:
    artifact = compiled("resnet50", "--weights", real_resnet50, "--batch-sizes", "8")  # EfficientNet has both
    compare(artifact, load_network("resnet50", NetworkOptions(weights=str(real_resnet50))), *photographs)


@pytest.mark.slow
def test_efficientnet_lite0_classifies_as_torch_does(
    compiled: Callable[..., Path], photographs: tuple[list[Path], list[int]]
) -> None:
    compare(compiled("efficientnet-lite0"), load_network("efficientnet_lite0"), *photographs)


@pytest.mark.slow
def test_the_cat_is_a_cat(compiled: Callable[..., Path], ovenbird: Any) -> None:
    cat = Path(__file__).parents[2] / "examples" / "chelsea.png"
    done = ovenbird("run", compiled("efficientnet-lite0"), cat, "--top", "3")
    assert done.code == 0, done.err
    assert "Egyptian cat" in done.out
    assert "tabby" in done.out
    assert "embedding: mean" in done.out


@pytest.mark.slow
def test_verify_finds_another_set_of_weights(compiled: Callable[..., Path], ovenbird: Any, tmp_path: Path) -> None:
    artifact = compiled("efficientnet-lite0")
    done = ovenbird("verify", artifact, "-q")
    assert done.code == 0, done.err
    assert "top-1 agreement 100%" in done.out
    network = load_network("efficientnet_lite0", NetworkOptions(weights="random:1"))
    assert network.weights.random
    done = ovenbird("verify", artifact, "-q", "--weights", "random:1")
    assert done.code == 1
    assert "is not what the artifact was compiled from" in done.error


@pytest.mark.slow
def test_random_weights_are_said_loudly(compiled: Callable[..., Path], ovenbird: Any) -> None:
    artifact = compiled("resnet18", "--weights", "random:3", "--batch-sizes", "1")
    cat = Path(__file__).parents[2] / "examples" / "chelsea.png"
    for command in (["inspect", artifact], ["verify", artifact, "-q"], ["run", artifact, cat]):
        done = ovenbird(*command)
        assert done.code == 0, done.err
        assert "RANDOM WEIGHTS" in done.out


def test_torch_is_left_as_it_was() -> None:
    threads = torch.get_num_threads()
    load_network("resnet18", NetworkOptions(weights="random:1"))
    assert torch.get_num_threads() == threads
