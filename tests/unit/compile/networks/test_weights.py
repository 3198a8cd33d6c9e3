"""Weights: a file, a seed, or the network's own; anything doubtful is refused by name."""

import pickle
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ovenbird.errors import UsageError, WeightsMismatch, WeightsUnavailable, WeightsUnreadable
from ovenbird.models._default_weights import PackageWeights, TorchvisionWeights
from ovenbird.networks.files.state_dicts import fit_names, read_state_dict
from ovenbird.networks.random_weights import randomise
from ovenbird.networks.weights import WeightsChoice, apply_weights, load_strictly, parse_weights


class Small(nn.Module):
    """Big enough to have everything: a convolution, a batch norm, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=16)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.norm(self.conv(image)).relu().mean((2, 3)))
        return found


@pytest.fixture
def net() -> Small:
    return Small().eval()


@pytest.fixture
def saved(tmp_path: Path, net: Small) -> Path:
    path = tmp_path / "net.pth"
    torch.save(net.state_dict(), path)
    return path


NO_DEFAULT: Any = None


def test_the_option_is_read() -> None:
    assert parse_weights(None) is None
    assert parse_weights("random:7") == WeightsChoice(seed=7)
    assert parse_weights("some/net.pth") == WeightsChoice(file=Path("some/net.pth"))


@pytest.mark.parametrize("text", ["random:", "random:x", "random:-1", "random:1e3", "random:" + "9" * 30])
def test_a_seed_that_is_none_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="seed"):
        parse_weights(text)


def test_a_file_is_loaded_and_named(saved: Path) -> None:
    other = Small().eval()
    info = apply_weights(other, WeightsChoice(file=saved), NO_DEFAULT)
    assert (info.origin, info.detail, info.random) == ("file", "net.pth", False)
    assert torch.equal(other.conv.weight, torch.load(saved)["conv.weight"])


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_checkpoint_and_data_parallel_names_are_understood(tmp_path: Path, net: Small, key: str) -> None:
    state = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({key: state, "epoch": 3}, tmp_path / "checkpoint.pth")
    load_strictly(net, read_state_dict(tmp_path / "checkpoint.pth"), "checkpoint.pth")


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="no file there"):
        read_state_dict(tmp_path / "none.pth")
    with pytest.raises(WeightsUnavailable, match="a folder"):
        read_state_dict(tmp_path)


class Harmful:
    """A pickle that would run code."""

    def __reduce__(self) -> Any:
        return (Path("/nonexistent/touched").touch, ())


@pytest.mark.parametrize("content", [b"", b"not a file of torch's", b"PK\x03\x04broken", pickle.dumps(Harmful())])
def test_an_unreadable_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsUnreadable, match=r"broken\.pth") as refused:
        read_state_dict(path)
    assert "weights_only" not in str(refused.value)  # torch's advice is to read it all the same


def test_a_truncated_file_is_unreadable(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(WeightsUnreadable):
        read_state_dict(saved)


def test_a_pickled_module_is_not_run(tmp_path: Path) -> None:
    torch.save(Small(), tmp_path / "module.pth")
    with pytest.raises(WeightsUnreadable, match=r"safely: it holds \S*Small, which is code; torch\.save"):
        read_state_dict(tmp_path / "module.pth")


def test_a_list_of_tensors_is_no_state_dict(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsUnreadable, match="holds list"):
        read_state_dict(tmp_path / "list.pth")


def test_weights_of_another_network_name_what_differs(net: Small) -> None:
    state = dict(net.state_dict())
    state["extra.weight"] = torch.ones(1)
    del state["conv.bias"]
    state["head.weight"] = torch.ones(7, 4)
    with pytest.raises(WeightsMismatch) as refused:
        load_strictly(net, state, "other.pth")
    message = str(refused.value)
    assert "missing conv.bias" in message
    assert "unknown extra.weight" in message
    assert "head.weight is 7x4, expected 5x4" in message


def test_old_files_without_counters_are_accepted(net: Small) -> None:
    state = {name: tensor for name, tensor in net.state_dict().items() if "num_batches" not in name}
    load_strictly(net, state, "old.pth")


def test_nan_in_weights_is_refused(net: Small) -> None:
    state = dict(net.state_dict())
    state["head.bias"] = torch.full((5,), float("nan"))
    with pytest.raises(WeightsMismatch, match=r"NaN or infinity: in head\.bias"):
        load_strictly(net, state, "nan.pth")


def test_a_seed_gives_the_same_weights_and_working_batch_norms(net: Small) -> None:
    other = Small().eval()
    info = apply_weights(net, WeightsChoice(seed=5), NO_DEFAULT)
    randomise(other, 5)
    assert info.random
    assert info.seed == 5
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))
    assert not torch.allclose(net.norm.running_mean, torch.zeros(4))
    assert not torch.allclose(net.norm.running_var, torch.ones(4))
    randomise(other, 6)
    assert not torch.equal(net.conv.weight, other.conv.weight)


def test_no_network_is_weights_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise urllib.error.URLError("no route to host")

    # the only part of this that leaves the machine
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    with pytest.raises(WeightsUnavailable, match=r"no route to host.*random:SEED"):
        TorchvisionWeights("ResNet50_Weights", "IMAGENET1K_V2").state_dict()


@pytest.mark.parametrize("content", [b"", b"half a file", pickle.dumps(Harmful())])
def test_a_damaged_file_in_the_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    kept = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsUnreadable, match=r"which can be removed to fetch it again: .*random:SEED") as refused:
        TorchvisionWeights("ResNet18_Weights", "IMAGENET1K_V1").state_dict()
    assert str(kept) in str(refused.value)
    assert "weights_only" not in str(refused.value)


def test_a_package_that_is_not_installed_is_weights_unavailable() -> None:
    def locate() -> Path:
        raise ImportError

    with pytest.raises(WeightsUnavailable, match="pip install some-weights"):
        PackageWeights("some-weights", locate).state_dict()


def test_prefixes_are_taken_off_or_put_on_only_where_there_is_no_doubt() -> None:
    state = {"a.weight": torch.ones(1), "b.c.bias": torch.ones(1)}
    wrapped = {f"_orig_mod.model.{name}": tensor for name, tensor in state.items()}
    fitted, done = fit_names(wrapped, state)
    assert set(fitted) == set(state)
    assert done == ", '_orig_mod.' taken off its names, 'model.' taken off its names"
    fitted, done = fit_names(state, {f"net.{name}": tensor for name, tensor in state.items()})
    assert set(fitted) == {"net.a.weight", "net.b.c.bias"}
    assert done == ", 'net.' put before its names"
    mixed = {"model.a.weight": torch.ones(1), "loss.weight": torch.ones(1)}
    assert fit_names(mixed, state) == (mixed, "")
    assert fit_names({"body.a": torch.ones(1)}, ["body.a", "body.b"])[1] == ""
    assert fit_names({}, state) == ({}, "")


def test_the_one_state_dict_of_a_checkpoint_is_found(tmp_path: Path, net: Small) -> None:
    torch.save({"epoch": 1, "params_ema": net.state_dict(), "optimizer": {"state": {}}}, tmp_path / "esrgan.pth")
    assert set(read_state_dict(tmp_path / "esrgan.pth")) == set(net.state_dict())
    torch.save({"params": net.state_dict(), "params_ema": net.state_dict()}, tmp_path / "both.pth")
    with pytest.raises(WeightsUnreadable, match="several state_dicts, params, params_ema; save the one meant"):
        read_state_dict(tmp_path / "both.pth")
    torch.save({"epoch": 1, "lr": 2}, tmp_path / "none.pth")
    with pytest.raises(WeightsUnreadable, match="holds a dict of epoch, lr"):
        read_state_dict(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"\xff" * 40, b"\x10\0\0\0\0\0\0\0{" + b"x" * 20])
def test_a_broken_safetensors_file_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises((WeightsUnreadable, WeightsUnavailable), match=r"net\.safetensors"):
        read_state_dict(tmp_path / "net.safetensors")
