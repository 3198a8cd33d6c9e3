"""What is compared with what, on which inputs, and figures that do not show a machine's last bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ovenbird.errors import VerificationFailed
from ovenbird.models.packages.package import picture_pipeline
from ovenbird.networks.network import Network
from ovenbird.verify.cases import LEAST_ROWS, PATTERNS, choose_golden, enough, make_cases, random_like, take
from ovenbird.verify.photographs import own_photographs
from ovenbird.verify.references import References
from ovenbird.verify.verifying import Verification, judge, rounded_up, verify_size
from ovenbird_runtime.manifest.agreement import LIMITS, Difference
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo

F32 = LIMITS["f32"]


class Rows:
    """A source of rows of six numbers, or of two inputs of which one is shared by all rows."""

    framework, concurrent = "torch", False

    def __init__(self, batched: bool = True, shared: bool = False) -> None:
        self.batched, self.shared = batched, shared

    def examples(self, batch: int) -> list[Any]:
        row = np.linspace(-1, 1, 6, dtype=np.float32)
        return [np.repeat(row[None], batch if self.batched else 4, axis=0), *([row] if self.shared else [])]

    def reference(self, inputs: list[Any]) -> list[Any]:
        return [inputs[0] * 2 + (inputs[1] if self.shared else 0)]

    def closer(self, inputs: list[Any]) -> list[Any] | None:
        return None


class Images(Rows):
    """A source of images of 16x16."""

    def examples(self, batch: int) -> list[Any]:
        return [np.linspace(-1, 1, batch * 768, dtype=np.float32).reshape(batch, 3, 16, 16)]


class Rounding(Rows):
    """A source whose framework is off by a share of the answers' spread, and knows better in float64."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off, self.asked = off, 0

    def reference(self, inputs: list[Any]) -> list[Any]:
        return [inputs[0] * 2 + self.off * np.sign(inputs[0])]

    def closer(self, inputs: list[Any]) -> list[Any] | None:
        self.asked += 1
        return [inputs[0] * 2]


def network(batched: bool = True, shared: bool = False) -> Network:
    first: Any = "N" if batched else 4
    inputs = (TensorSpec("x", "float32", (first, 6)), *([TensorSpec("y", "float32", (6,))] if shared else []))
    source = cast(Any, Rows(batched, shared))
    return Network("rows", "1", "", WeightsInfo("random"), inputs, (TensorSpec("z", "float32", (first, 6)),), source)


def judged(off: float, given_off: float) -> tuple[Verification, Rounding]:
    """Verify answers that are off by a share, against a framework that is."""
    source = Rounding(off)
    net = replace(network(), source=cast(Any, source))
    cases = make_cases(net, (8,))
    answers = {
        case.name: {"z": case.inputs["x"] * 2 - np.float32(given_off) * np.sign(case.inputs["x"])} for case in cases
    }
    return verify_size(net, (), cases, answers, References().right_answers(net, cases), F32, False), source


def test_what_rounds_as_the_framework_does_is_held_to_float64() -> None:
    close, source = judged(2.5 * F32.rms, 0.2 * F32.rms)
    assert close.in_float64
    assert source.asked
    assert close.outputs["z"].rms < F32.rms
    assert np.allclose(close.golden[()].outputs["z"], close.golden[()].inputs["x"] * 2)
    plain, source = judged(0.5 * F32.rms, 0.2 * F32.rms)
    assert not plain.in_float64
    assert not source.asked


@pytest.mark.parametrize(("off", "given_off"), [(0.0, 3.0), (1.0, 2.0), (0.0, 50.0)])
def test_float64_excuses_no_wrong_answers(off: float, given_off: float) -> None:
    with pytest.raises(VerificationFailed, match="spread"):
        judged(off * F32.rms, given_off * F32.rms)


@pytest.mark.parametrize(
    ("value", "bound"), [(0.0, 0.0), (1.501e-4, 1.6e-4), (1.5e-4, 1.5e-4), (9.99, 10.0), (0.123, 0.13), (1e-12, 1e-12)]
)
def test_figures_are_rounded_up(value: float, bound: float) -> None:
    assert rounded_up(value) == bound
    assert rounded_up(value) >= value * (1 - 1e-9)


def test_random_inputs_stay_valid() -> None:
    random = np.random.default_rng(0)
    ids = random_like(np.array([[3, 5, 9]]), random)
    assert ids.dtype == np.int64
    assert set(ids.ravel()) <= {3, 5, 9}
    drawn = random_like(np.zeros((2, 50), dtype="float32"), random)
    assert drawn.dtype == np.float32
    assert drawn.std() > 0.5
    assert random_like(np.array([True]), random).dtype == bool


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 17), (5,), (16,)])
def test_random_rows_stay_between_the_examples_own_numbers(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    example = random.uniform(2, 3, shape).astype(np.float32)
    for row in range(8):
        drawn = random_like(example, random, row)
        assert (drawn.shape, drawn.dtype) == (example.shape, example.dtype)
        assert example.min() <= drawn.min()
        assert drawn.max() <= example.max()


def test_random_images_differ_in_what_places_average_to() -> None:
    random = np.random.default_rng(0)
    means = [random_like(random.standard_normal((3, 64, 64)), random, row).mean() for row in range(8)]
    assert np.std(means) > 0.1  # white noise would give 0.01


@pytest.mark.parametrize(("sizes", "rows"), [((1, 8), 9), ((1,), LEAST_ROWS), ((3,), 9), ((16,), 16)])
def test_there_are_rows_enough_for_every_batch_size(sizes: tuple[int, ...], rows: int) -> None:
    cases = make_cases(network(), sizes)
    assert sum(len(case.inputs["x"]) for case in cases) == rows
    assert {len(case.inputs["x"]) for case in cases} == set(sizes)


def test_photographs_are_rows_too() -> None:
    image = TensorSpec("x", "float32", ("N", 3, 16, 16))
    pipeline = picture_pipeline((16, 16), (16, 16), "bilinear", (0.5,) * 3, (0.5,) * 3)
    net = replace(
        network(), inputs=(image,), pipelines={"own": pipeline}, default_pipeline="own", source=cast(Any, Images())
    )
    for shown in (1, 3):
        photographs, *random = make_cases(net, (1,), own_photographs()[:shown])
        assert len(photographs.inputs["x"]) == shown
        assert len(random) == LEAST_ROWS - shown
    assert len(make_cases(net, (1,), own_photographs() * 3)) == 1 + len(PATTERNS)


def test_large_maps_take_a_row_for_each_pattern() -> None:
    net = network()
    wide = tuple(replace(spec, shape=("N", 21, 64, 64)) for spec in net.outputs)
    assert len(make_cases(replace(net, outputs=wide), (1,))) == len(PATTERNS)


@pytest.mark.parametrize(("batched", "shared"), [(True, False), (True, True), (False, False)])
def test_golden_inputs_differ(batched: bool, shared: bool) -> None:
    net = network(batched, shared)
    cases = make_cases(net, (1, 8))
    references = {case.name: net.reference(case.inputs) for case in cases}
    picks = choose_golden(net, cases, references)
    given = {spec.name: take(net, spec, picks, {case.name: case.inputs for case in cases}) for spec in net.inputs}
    right = take(net, net.outputs[0], picks, references)
    assert right.shape == ((2, 6) if batched else (2, 4, 6))
    assert not np.array_equal(right[0], right[1])
    for row in range(2):
        row_inputs = {name: array[row : row + 1] if batched and name == "x" else array for name, array in given.items()}
        row_inputs = row_inputs if batched else {name: array[row] for name, array in given.items()}
        expected = net.reference(row_inputs)["z"]
        assert np.array_equal(expected[0] if batched else expected, right[row])


def test_the_output_that_differs_is_named() -> None:
    net = network()
    cases = make_cases(net, (1, 8))
    right = {case.name: net.reference(case.inputs) for case in cases}
    assert judge(net, right, right, F32)["z"] == Difference(dependence=pytest.approx(1.0, abs=0.1))
    wrong = {name: {"z": answer["z"] * np.float32(1.01)} for name, answer in right.items()}
    with pytest.raises(
        VerificationFailed, match=r"output z is off by .* limit 0.0001; .* \(compared with torch; --tolerance"
    ):
        judge(net, wrong, right, F32)
    noise = F32.rms * np.random.default_rng(0).choice([-2, 2], (9, 6)).astype(np.float32)
    for share, is_wrong in ((0.4, False), (1.0, True)):  # of twice the limit: a looser one is caught
        near = {name: {"z": answer["z"] + share * noise[: len(answer["z"])]} for name, answer in right.items()}
        if is_wrong:
            with pytest.raises(VerificationFailed, match="output z is off by"):
                judge(net, near, right, F32)
        else:
            judge(net, near, right, F32)
    short = {name: {"z": answer["z"][:, :5]} for name, answer in right.items()}
    with pytest.raises(VerificationFailed, match=r"output z is float32\[1, 5\], expected float32\[1, 6\]"):
        judge(net, short, right, F32)


def test_maps_are_compared_on_one_photograph_where_none_are_counted() -> None:
    photographs = [Path(f"{place}.jpg") for place in range(3)]
    maps = replace(network(), outputs=(TensorSpec("z", "float32", ("N", 21, 64, 64)),))
    assert enough(network(), photographs) == photographs
    assert enough(maps, photographs) == photographs[:1]
