"""A model of several programs is calibrated on what reaches them while texts are written, and quantized."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.errors import UsageError, VerificationFailed
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.composite import Composite, compose
from ovenbird.networks.torch.importer import import_exported
from ovenbird.networks.writing import Scribe
from ovenbird.options import CalibrationOptions
from ovenbird.passes.share_constants import array_of
from ovenbird.process.progress import Progress
from ovenbird.quantize.auto.programs import choose_programs
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.calibration.watching import WatchedNetwork
from ovenbird.quantize.quantizing import Quantized
from ovenbird.quantize.rounding.together import joined, rounded_weights
from ovenbird.quantize.several import quantize_several
from ovenbird.verify.reached import TOKENS
from ovenbird.verify.texts import TokenAgreement
from ovenbird_runtime.manifest.manifest import WeightsInfo
from support.relax_calls import calls_of, made_by
from support.tiny_captioner import BEGIN, END, LENGTH, network, next_logits, tiny

BATCHES = {"encode": (1,), "step": (1, 4)}


@pytest.fixture(scope="module")
def model() -> Composite:
    return compose(tiny(), "tiny", WeightsInfo("random", random=True, seed=0))


def modules_of(model: Composite) -> dict[EntryKey, Any]:
    return {
        EntryKey(name, batch): model.programs[name].relax(batch) for name, sizes in BATCHES.items() for batch in sizes
    }


def quantized(model: Composite, **options: Any) -> Quantized:
    return quantize_several(model, modules_of(model), CalibrationOptions(**options), Progress())


@pytest.fixture(scope="module")
def whole(model: Composite) -> Quantized:
    return quantized(model)


def test_texts_are_those_of_the_loop_without_caches(model: Composite, whole: Quantized) -> None:
    reached = whole.reached
    assert reached is not None
    assert len(reached.pictures) >= 8
    for picture, text in zip(reached.pictures, reached.texts, strict=True):
        tokens = [BEGIN]
        while tokens[-1] != END and len(tokens) < min(LENGTH, TOKENS + 1):
            tokens.append(int(next_logits(network(), torch.from_numpy(picture), tokens)[0].argmax()))
        assert text == tuple(tokens)


def test_rows_of_the_step_are_those_of_real_texts(whole: Quantized) -> None:
    """The states hold what the encoder made of the picture, and as many rows of text as came before."""
    reached = whole.reached
    assert reached is not None
    positions = [int(row["position"][0]) for row in reached.rows["step"]]
    assert len(set(positions)) > 3
    for row, position in zip(reached.rows["step"], positions, strict=True):
        assert row["picture_keys"].any()
        assert row["text_keys"][0, :position].any(axis=-1).all()
        assert any(text[position] == row["token"][0] for text in reached.texts if len(text) > position)
    cases = reached.cases("step", (1, 4))
    assert [len(case.inputs["token"]) for case in cases[:3]] == [1, 4, 4]
    assert sum(len(case.inputs["token"]) for case in cases) >= len(positions)


def test_all_programs_multiply_whole_numbers_at_every_batch_size(whole: Quantized) -> None:
    for key, module in whole.modules.items():
        function = module["main"]
        layers = [
            call
            for call in calls_of(function, "relax.nn.conv2d", "relax.matmul")
            if getattr(getattr(made_by(function, call.args[1]), "op", None), "name", "") == "relax.dequantize"
        ]
        assert len(layers) == {"encode": 2, "step": 3}[key.program]
    assert whole.evidence.summary()["programs"] == {"encode": "int8", "step": "int8"}
    assert {row["layer"].split(":")[0] for row in whole.evidence.layers} == {"encode", "step"}
    assert whole.noisiest()


def test_whole_numbers_write_nearly_the_same_texts(model: Composite, whole: Quantized) -> None:
    def answer(name: str) -> Any:
        observer = Observer(whole.modules[EntryKey(name, 1)], [], outputs=True)
        inputs, outputs = ([spec.name for spec in specs] for specs in (one(name).inputs, one(name).outputs))

        def run(given: Any) -> Any:
            (arrays,) = observer.run([[given[key] for key in inputs]])
            return dict(zip(outputs, arrays, strict=True))

        return run

    def one(name: str) -> Any:
        return model.programs[name]

    reached = whole.reached
    assert reached is not None
    scribe = Scribe(model, {name: answer(name) for name in BATCHES})
    texts = [scribe.write(picture, TOKENS) for picture in reached.pictures]
    same = sum(own == right for own, right in zip(texts, reached.texts, strict=True))
    assert same >= 0.6 * len(texts)


def test_some_programs_may_stay_in_floats(model: Composite) -> None:
    found = quantized(model, programs=("step",))
    assert not calls_of(found.modules[EntryKey("encode", 1)]["main"], "relax.dequantize")
    assert calls_of(found.modules[EntryKey("step", 4)]["main"], "relax.dequantize")
    assert found.evidence.programs == {"encode": "f32", "step": "int8"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"programs": ("decode",)}, "--int8-programs decode: tiny has encode, step"),
        ({"quantizer": "onnxruntime"}, "leave --quantizer out"),
    ],
)
def test_what_cannot_be_is_refused(model: Composite, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        quantized(model, **options)


def test_auto_leaves_programs_in_floats_that_change_too_many_tokens(model: Composite, whole: Quantized) -> None:
    """A share that all programs keep to asks for nothing; one that they do not asks for fewer of them."""
    found = quantized(model, mix_below=1.0)
    assert found.evidence.programs == whole.evidence.programs
    (everything,) = found.evidence.trials
    assert everything["int8"] == ["encode", "step"]
    assert everything["texts"] >= 8


def test_the_program_goes_without_which_the_fewest_tokens_differ() -> None:
    noise = {"encode": 3, "prefill": 1, "step": 5}

    def trial(programs: tuple[str, ...]) -> TokenAgreement:
        return TokenAgreement(texts=10, same=1, compared=100, differ=sum(noise[name] for name in programs))

    chosen, trials = choose_programs(tuple(noise), trial, 0.09)
    assert (chosen, len(trials)) == (("encode", "prefill", "step"), 1)
    chosen, trials = choose_programs(tuple(noise), trial, 0.04)
    assert (chosen, len(trials)) == (("encode", "prefill"), 4)
    chosen, _ = choose_programs(tuple(noise), trial, 0.01)
    assert chosen == ("prefill",)
    with pytest.raises(VerificationFailed, match=r"in int8 prefill alone changes 1\.0% of the tokens, limit 0\.5%"):
        choose_programs(tuple(noise), trial, 0.005)


class Head(nn.Module):
    """A layer, and one of its own behind it."""

    def __init__(self, shared: nn.Linear, scale: float) -> None:
        super().__init__()
        self.shared, self.own, self.scale = shared, nn.Linear(24, 8), scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.own(torch.tanh(self.shared(x * self.scale)))


def test_shared_weights_are_rounded_once_on_what_all_multiply() -> None:
    """Alone, each network would round them to other levels."""
    torch.manual_seed(3)
    shared, mixing = nn.Linear(32, 24), [torch.randn(4, 32), torch.randn(4, 32)]
    watches = []
    for place, scale in enumerate((1.0, 3.0)):
        head = Head(shared, scale).eval()
        rows = [torch.randn(8, 4) @ mixing[place] + 0.05 * torch.randn(8, 32) for _ in range(32)]
        watch = WatchedNetwork(import_exported(torch.export.export(head, (rows[0],))), len(rows))
        for row in rows:
            assert np.allclose(watch.run([row.numpy()])[0], head(row).detach().numpy(), atol=1e-5)
        watches.append(watch)
    alone = [rounded_weights([(one.points, dict(one.patches))], narrow=False)[0] for one in watches]
    together = rounded_weights([(one.points, one.patches) for one in watches], narrow=False)
    first, second = (next(iter(one.values())) for one in together)
    assert first is second
    levels = [next(iter(one.values())).levels for one in alone]
    assert (levels[0] != levels[1]).any()
    assert all((first.levels != one).any() for one in levels)
    own = [list(one.values())[1].levels for one in together]
    assert (own[0] != own[1]).any()
    weight = array_of(watches[0].points.graph.definitions[watches[0].points.layers[0]].args[1])
    assert np.abs(first.levels * first.scale - weight).max() < 3 * first.scale.max()


def test_what_rounding_is_judged_by_comes_from_all_layers() -> None:
    rows = [np.full((1, 8, 2), value, np.float32) for value in (1, 2)]
    found = joined(rows)
    assert found is not None
    assert found[0, :, 0].tolist() == [1] * 6 + [2] * 6 + [1] * 2 + [2] * 2
    assert joined([rows[0], None]) is None
