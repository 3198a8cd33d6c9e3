"""A small network is calibrated and quantized: which tensors, how exactly, and the same at every batch size."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.networks.torch.importer import import_exported
from ovenbird.quantize.auto.mixing import HeldAnswers, choose_mixture
from ovenbird.quantize.auto.sensitivity import SwitchedNetwork
from ovenbird.quantize.auto.times import layer_times
from ovenbird.quantize.calibrating import Mixed, Quantizer, folded
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.points import choose_points
from ovenbird.quantize.rewriting import quantized_module
from support.relax_calls import bindings_of, calls_of, made_by


class Block(nn.Module):
    """Stem with a norm, residual with a projection, squeeze and excitation, hardswish, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.inner = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.Hardswish())
        self.outer = nn.Conv2d(16, 24, 1)
        self.skip = nn.Conv2d(16, 24, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 24, 1), nn.Sigmoid())
        self.last = nn.Conv2d(24, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = (self.outer(self.inner(x)) + self.skip(x)).relu()
        x = self.last(x * self.gate(x))
        return self.head(nn.functional.max_pool2d(x, 2).mean((2, 3)))


def network() -> nn.Module:
    """Return the network with norms that have seen something."""
    torch.manual_seed(2)
    net = Block()
    with torch.no_grad():
        for _ in range(20):
            net(pictures(8))
    return net.eval()


def pictures(count: int) -> torch.Tensor:
    """Return pictures of several means and contrasts."""
    return torch.randn(count, 3, 16, 16) * torch.rand(count, 1, 1, 1) + torch.randn(count, 1, 1, 1)


class Quantization:
    """The network in floats and in whole numbers, and what both answer."""

    def __init__(self) -> None:
        self.net = network()
        self.modules = {batch: import_exported(torch.export.export(self.net, (pictures(batch),))) for batch in (1, 2)}
        self.rows = [[picture[None].numpy()] for picture in pictures(24)]
        mixed = Quantizer.calibrated(self.modules[1], self.rows, "mse", mixed=Mixed(1.0, 0))
        assert mixed.mixture is not None
        self.chosen = mixed.mixture.floats
        self.quantizer = dataclasses.replace(mixed, mixture=dataclasses.replace(mixed.mixture, floats=frozenset()))
        found = [self.quantizer.try_quantize(module) for module in self.modules.values()]
        self.whole = [module for module in found if module is not None]
        self.unseen = pictures(16)
        observer = Observer(self.whole[0], [], outputs=True)
        self.answers = np.concatenate([found[0] for found in observer.run([[x[None].numpy()] for x in self.unseen])])
        with torch.no_grad():
            self.right = self.net(self.unseen).numpy()


@pytest.fixture(scope="module")
def quantization() -> Quantization:
    return Quantization()


def test_whole_numbers_answer_nearly_as_floats(quantization: Quantization) -> None:
    error = quantization.answers - quantization.right
    assert np.square(error).mean() < 5e-3 * np.square(quantization.right - quantization.right.mean(0)).mean()
    assert np.abs(error).max() > 0


def test_the_mean_error_is_corrected(quantization: Quantization) -> None:
    error = quantization.answers - quantization.right
    assert np.abs(error.mean(0)).max() < 0.5 * np.abs(error).max()


def test_layers_read_whole_numbers_and_no_norm_is_left(quantization: Quantization) -> None:
    function = quantization.whole[0]["main"]
    assert not calls_of(function, "relax.nn.batch_norm")
    layers = calls_of(function, "relax.nn.conv2d", "relax.matmul")
    assert len(layers) == 7
    for layer in layers:
        data, weight = (made_by(function, argument) for argument in layer.args)
        assert data.op.name == weight.op.name == "relax.dequantize"
        assert str(weight.args[0].value.dtype) == "int8"


def test_one_side_of_a_residual_sum_stays_in_registers(quantization: Quantization) -> None:
    function = quantization.whole[0]["main"]
    sums = [whole_operands(function, call) for call in calls_of(function, "relax.add")]
    assert [sorted(sides) for sides in sums if any(sides)] == [[False, True]]


def whole_operands(function: Any, call: Any) -> list[bool]:
    """Return which operands are dequantized activations."""
    bound = bindings_of(function)
    return [getattr(getattr(bound.get(one), "op", None), "name", "") == "relax.dequantize" for one in call.args]


def test_another_batch_has_the_same_scales_and_weights(quantization: Quantization) -> None:
    one, two = (
        [call.args[1].value.numpy().tolist() for call in calls_of(module["main"], "relax.quantize")]
        for module in quantization.whole
    )
    assert one == two
    assert len(one) == len(quantization.quantizer.calibration.ranges) + 1  # the maximum pool's, of its operand's range


def test_another_network_is_not_taken_for_it(quantization: Quantization) -> None:
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1)).eval()
    assert quantization.quantizer.try_quantize(import_exported(torch.export.export(other, (pictures(1),)))) is None


def test_tensors_of_one_layer_are_one_point(quantization: Quantization) -> None:
    points = choose_points(folded(quantization.modules[1]))
    names = [points.graph.name(var) for var in points.roots]
    assert "relax.nn.relu" in names
    assert "relax.nn.batch_norm" not in names
    assert "relax.nn.max_pool2d" not in names


def test_the_noise_of_each_layer_is_named(quantization: Quantization) -> None:
    layers = quantization.quantizer.layers
    assert [layer.name.partition(",")[0] for layer in layers] == [
        *(f"conv2d {place} of 7" for place in range(1, 7)),
        "matmul 7 of 7",
    ]
    for layer in layers:
        assert layer.weight_db is not None
        assert 15 < layer.total_db < min(layer.operand_db, layer.weight_db) < 70


def test_noises_of_single_layers_make_that_of_the_answers(quantization: Quantization) -> None:
    mixture = quantization.quantizer.mixture
    assert mixture is not None
    assert mixture.saved == mixture.saved_int8
    few = dataclasses.replace(mixture, floats=quantization.chosen)
    assert few.saved >= 0.9 * few.saved_int8, "any disagreement is allowed"
    shares = mixture.shares
    error = quantization.answers - quantization.right
    found = np.square(error - error.mean(axis=1, keepdims=True)).mean()
    assert len(shares.layers) == 7
    assert all(noise > 0 for noise in shares.layers)
    assert 0.2 < sum(shares.layers) / found < 5
    assert 0.2 < shares.factor < 5
    assert len(shares.margins) == len(quantization.rows)


def test_layers_become_floats_until_answers_that_were_left_out_agree(quantization: Quantization) -> None:
    module, calibration = folded(quantization.modules[1]), quantization.quantizer.calibration
    network = SwitchedNetwork(module, choose_points(module), calibration, output=0)
    mixture = quantization.quantizer.mixture
    assert mixture is not None
    # Halfway between two pictures of other classes the best two scores are level: some step along the way turns.
    many = torch.cat([quantization.unseen, 8 * pictures(200)])
    with torch.no_grad():
        classes = quantization.net(many).argmax(dim=1)
    low, high = (many[at : at + 1].numpy() for at in (0, int((classes != classes[0]).nonzero()[0])))
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if network.scores([middle], ()).argmax() == classes[0] else (low, middle)
    answers = HeldAnswers(network, [*([x[None].numpy()] for x in quantization.unseen), [low], [high]])
    whole = answers.turned(())
    assert whole >= 1, "one of two answers that are level changes"
    assert answers.turned((), enough=0) == 1, "it is asked first the next time"
    assert answers.turned(range(7)) == answers.turned(range(7), near=1e6) == 0, "floats are off by nothing"
    assert answers.turned((), near=1e6) == 18, "each leads by less than a million times what it is off by"
    shares = dataclasses.replace(mixture.shares, margins=(1e9,))  # as if no answer were close
    chosen = choose_mixture(mixture.times, shares, 0.01, answers)
    assert chosen.floats
    assert chosen.document() | {"held": 18, "held_turned_int8": whole, "held_turned": 0} == chosen.document()
    assert answers.turned(chosen.floats) == 0
    assert not choose_mixture(mixture.times, shares, 0.01).floats


def test_the_noisiest_of_the_layers_that_are_quantized_is_named(quantization: Quantization) -> None:
    quantizer = quantization.quantizer
    mixture = quantizer.mixture
    assert mixture is not None
    worst = max(range(7), key=mixture.shares.layers.__getitem__)
    assert quantizer.noisiest.startswith(quantizer.layers[worst].name)
    for floats, name in ((frozenset({worst}), quantizer.layers[worst].name), (frozenset(range(7)), "conv")):
        other = dataclasses.replace(quantizer, mixture=dataclasses.replace(mixture, floats=floats))
        assert not other.noisiest.startswith(name)


def test_layers_that_stay_float_read_floats(quantization: Quantization) -> None:
    module = folded(quantization.modules[1])
    points = choose_points(module)
    rest = points.without((0, 5))
    function = quantized_module(module, rest, quantization.quantizer.calibration)["main"]
    layers = calls_of(function, "relax.nn.conv2d", "relax.matmul")
    kinds = [getattr(getattr(made_by(function, one.args[1]), "op", None), "name", "constant") for one in layers]
    assert kinds.count("relax.dequantize") == 5
    assert points.layers[0] in rest.floats
    stem = layers[0]
    assert getattr(made_by(function, stem.args[0]), "op", None) is None  # the network's input
    assert not points.without(range(7)).uses


def test_a_layer_takes_time_for_products_weights_and_images() -> None:
    depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
    net = nn.Sequential(nn.Conv2d(4, 64, 1), depthwise, nn.Flatten(), nn.Linear(16384, 2))
    module = folded(import_exported(torch.export.export(net.eval(), (torch.zeros(1, 4, 16, 16),))))
    points = choose_points(module)
    places = 16 * 16

    def taken(dense: tuple[float, ...], window: tuple[float, ...]) -> list[float]:
        """Return the times at the prices of a product, a weight, an operand's value and a result."""
        work = ((64 * places * 4, 256, 4 * places, 64 * places), (64 * places * 9, 576, 64 * places, 64 * places))
        matrix = (2 * 16384, 32768, 16384, 2)
        found = ((work[0], dense), (work[1], window), (matrix, dense))
        return [sum(math.prod(pair) for pair in zip(*one, strict=True)) for one in found]

    times = layer_times(points, narrow=False)
    assert [time.floats for time in times] == pytest.approx(taken((0.94, 11.4, 4.5, 6.1), (1.24, 0, 13.4, 3.4)))
    assert [time.whole for time in times] == pytest.approx(taken((0.26, 1.7, 0.5, 5.8), (1.55, 0, 2.8, 0.4)))
    assert [time.halves for time in times] == [None] * 3
    halves = [time.halves for time in layer_times(points, narrow=False, some_bfloat16=True)]
    dense, _, matrix = taken((0.5, 5, 6, 6), (0,) * 4)
    assert halves == [pytest.approx(dense), None, pytest.approx(matrix)], "depthwise layers multiply float32"
    slower = layer_times(points, narrow=True)
    assert [time.floats for time in slower] == pytest.approx(taken(*[(1, 8.8, 4.8, 4.8)] * 2))
    narrow = taken((0.51, 4.2, 1.9, 5.8), (0.91, 4.2, 1.9, 5.8))
    assert [time.whole for time in slower] == pytest.approx(narrow), "a depthwise product takes longer than a dense one"
    assert all(time.saved > 0 for time in slower)


class Transformer(nn.Module):
    """Patches, one layer of attention, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


def test_attention_and_the_residual_stream_stay_float() -> None:
    module = folded(import_exported(torch.export.export(Transformer().eval(), (pictures(1),))))
    points = choose_points(module)
    assert len(calls_of(module["main"], "relax.matmul")) == 7
    assert [points.graph.name(var) for var in points.layers] == ["relax.nn.conv2d", *["relax.matmul"] * 5]
    readers = {points.graph.name(var) for var, _ in points.uses}
    assert "relax.add" not in readers
    assert "relax.nn.softmax" not in readers
