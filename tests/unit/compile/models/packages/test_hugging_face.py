"""Networks of transformers, where it is installed: a folder as `save_pretrained` wrote it."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from ovenbird.errors import NetworkUnreadable, UsageError, WeightsUnavailable
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models.packages import hugging_face as ours
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Resize


@pytest.mark.parametrize(
    ("settings", "own", "steps"),
    [
        (
            {"size": {"height": 224, "width": 224}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2},
            (224, 224),
            (Resize(exact=(224, 224)), Normalise(mean=(0.5,) * 3, std=(0.5,) * 3)),
        ),
        (
            {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
             "resample": 3, "rescale_factor": 1 / 255},
            (224, 224),
            (Resize(shorter=256, interpolation="bicubic"), CentreCrop(size=(224, 224)), Normalise()),
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3},
            (224, 224),
            (Resize(shorter=256, interpolation="bicubic"), CentreCrop(size=(224, 224)), Normalise()),
        ),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), (Resize(exact=(384, 384)), Normalise())),
        ({"size": 96, "do_normalize": False, "image_mean": [0.5]}, (96, 96), (Resize(exact=(96, 96)), Normalise())),
        (
            {"size": [64, 96], "do_rescale": False, "image_mean": [127.5]},
            (64, 96),
            (Resize(exact=(64, 96)), Normalise(mean=(127.5,), scale=1.0)),
        ),
        (
            {"size": {"height": 32, "width": 32}, "rescale_factor": 1 / 127.5, "rescale_offset": True},
            (32, 32),
            (Resize(exact=(32, 32)), Normalise(mean=(1.0,), scale=1 / 127.5)),
        ),
        (
            {"size": {"height": 32, "width": 32}, "image_std": [0.5], "include_top": True},
            (32, 32),
            (Resize(exact=(32, 32)), Normalise(std=(0.25,))),
        ),
        (
            {"size": {"shortest_edge": 224}, "image_processor_type": "LevitImageProcessor", "do_center_crop": True,
             "crop_size": {"height": 224, "width": 224}},
            (224, 224),
            (Resize(shorter=256), CentreCrop(size=(224, 224)), Normalise()),
        ),
    ],
)  # fmt: skip
def test_what_its_settings_say(settings: dict[str, Any], own: tuple[int, int], steps: Any) -> None:
    assert ours._image_size(object(), settings) == own
    assert ours._pipeline(settings, own, own) == steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import_torchvision()
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("vit")
    transformers.ViTForImageClassification(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}, "image_mean": [0.5]}')
    return path


def test_a_folder(folder: Path) -> None:
    network = load_network(f"hf:{folder}")
    assert (network.labels, network.default_pipeline) == (("cat", "dog"), "hf")
    assert network.inputs[0].shape == ("N", 3, 32, 32)
    assert [one.name for one in network.outputs] == ["logits"]
    assert load_network(f"hf://{folder}", NetworkOptions(weights="random:3")).weights.random


def test_refusals(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkUnreadable, match=r"no config\.json there"):
        load_network(f"hf:{tmp_path}/absent")
    with pytest.raises(WeightsUnavailable, match="no name on the hub"):
        load_network("hf:some//where")
    with pytest.raises(UsageError, match="takes no arguments"):
        load_network(f"hf:{folder}(layers=3)")
    (tmp_path / "config.json").write_text('{"model_type": "vit", "architectures": ["MyOwnThing"]}')
    with pytest.raises(NetworkUnreadable, match="names no architecture that transformers has"):
        load_network(f"hf:{tmp_path}")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its own client asks six times, half a minute in all, and names no way out."""
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def hang_up() -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                server.accept()[0].close()
                asked.append(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, daemon=True).start()
        place = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub.constants, "ENDPOINT", place)
        url = place + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        with pytest.raises(WeightsUnavailable, match=r"some/where cannot be had: .* does not answer .*save_pretrained"):
            load_network("hf:some/where")
        server.shutdown(socket.SHUT_RDWR)
    assert len(asked) == 1
