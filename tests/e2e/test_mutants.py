"""Verification, tried: wrong networks are refused, every one; right ones pass, every one.

The networks are those of `support/verified_networks.py`, whose answers are hard to judge. Most mutants are judged by
torch's own answers, which costs milliseconds; some are compiled for real, and refused as a user would see it.
`OVENBIRD_ZOO=all` compiles every built-in network as well (minutes).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird.compiling import compile_network
from ovenbird.errors import VerificationFailed
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models import model_names
from ovenbird.networks.network import Network
from ovenbird.networks.torch.source import TorchSource
from ovenbird.operators import winograd
from ovenbird.options import CompileOptions
from ovenbird.process.children import python_process
from ovenbird.verify.cases import Case, make_cases
from ovenbird.verify.photographs import own_photographs
from ovenbird.verify.verifying import judge
from ovenbird_runtime.manifest.agreement import LIMITS, Limits
from ovenbird_runtime.tensors.arrays import Arrays
from support.mutants import Mutant, find_mutant, mutants
from support.verified_networks import NETWORKS

F32 = LIMITS["f32"]
ROUNDING = 8 * np.finfo(np.float32).eps
"""A mutant none of whose numbers is off by more, as a share of the largest in its place, is none (a norm undoes it)."""
FEW = ("softmax_2000", "detector", "mobile")
"""Networks of different answers: enough for a run without the slow tests."""
IN_THE_ZOO = ("mobilenet_v2",)
"""The built-in network that verification has the least room for: its answers move by 0.3 % of their size."""


@cache
def loaded(name: str) -> tuple[Network, list[Case], dict[str, Arrays]]:
    network = load_network(f"support.verified_networks:{name}")
    cases = make_cases(network, (1, 8))
    return network, cases, {case.name: network.reference(case.inputs) for case in cases}


def answers(network: Network, cases: list[Case], mutant: Mutant) -> dict[str, Arrays]:
    with mutant:
        return {case.name: network.reference(case.inputs) for case in cases}


def changes(found: dict[str, Arrays], right: dict[str, Arrays]) -> bool:
    """Return whether any number is off by more than rounding."""
    return any(
        bool((np.abs(found[case][name] - array) > ROUNDING * np.abs(array).max(axis=0)).any())
        for case, outputs in right.items()
        for name, array in outputs.items()
    )


def refused(network: Network, found: dict[str, Arrays], right: dict[str, Arrays], limits: Limits = F32) -> bool:
    try:
        judge(network, found, right, limits)
    except VerificationFailed:
        return True
    return False


def living(name: str) -> Iterator[tuple[Mutant, dict[str, Arrays]]]:
    """Yield a network's mutants that answer otherwise than it does, and their answers."""
    network, cases, right = loaded(name)
    for mutant in mutants(network.source.traced.flat):  # type: ignore[attr-defined]
        found = answers(network, cases, mutant)
        if changes(found, right):
            yield mutant, found


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "deep" else name for name in NETWORKS]
)
def test_every_mutant_is_refused(name: str) -> None:
    network, _, right = loaded(name)
    verdicts = {str(mutant): refused(network, found, right) for mutant, found in living(name)}
    assert len(verdicts) >= 6
    assert [mutant for mutant, was_refused in verdicts.items() if not was_refused] == []


def test_ten_times_the_limit_would_let_some_pass() -> None:
    """The limits are no tighter than they need be, and a looser rule does not pass the test above."""
    network, _, right = loaded("mobile")
    loose = F32.loosened(10)
    assert [str(mutant) for mutant, found in living("mobile") if not refused(network, found, right, loose)]


@dataclasses.dataclass
class Crossed:
    """The code of one network, with the answers of another."""

    code: Any
    right: Any
    framework: str = "torch"
    batched: bool = True

    def __getattr__(self, name: str) -> Any:
        answering = ("reference", "closer", "examples", "answer_forms", "concurrent")
        return getattr(self.right if name in answering else self.code, name)


def reproduce(artifact: Path) -> None:
    """Run the artifact's self-test in a process of its own, as a target would."""
    done = python_process(["-m", "ovenbird_runtime", "selftest", str(artifact)])
    assert done.returncode == 0, done.stderr
    assert "2 golden rows reproduced" in done.stdout


COMPILED = [
    pytest.param("softmax_2000", "net.body.5", "zero", marks=pytest.mark.slow),
    pytest.param("constant_part", "net.body.5", "zero", marks=pytest.mark.slow),
    pytest.param("tiny", "net.head", "scale", marks=pytest.mark.slow),
    ("scales", "net.quiet", "swap"),
    ("mobile", "net.squeeze.1", "scale"),  # within four times the limit: a looser one is caught
]


@pytest.mark.parametrize(("name", "layer", "kind"), COMPILED)
def test_a_wrong_network_is_not_written(tmp_path: Path, name: str, layer: str, kind: str) -> None:
    right, wrong = (load_network(f"support.verified_networks:{name}") for _ in range(2))
    traced = wrong.source.traced  # type: ignore[attr-defined]
    source = TorchSource(traced)  # with nothing exported yet, while all was well
    crossed = dataclasses.replace(right, source=Crossed(source, right.source))  # type: ignore[arg-type]
    with (
        find_mutant(traced.flat, layer, kind),
        pytest.raises(VerificationFailed, match=r"^output \w+ is .* \(compared with torch"),
    ):
        compile_network(crossed, tmp_path / "artifact", CompileOptions(batch_sizes=(1,)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_every_right_network_is_verified_and_reproduced(tmp_path: Path, name: str) -> None:
    network = load_network(f"support.verified_networks:{name}")
    report = compile_network(network, tmp_path / "artifact", CompileOptions(batch_sizes=(1,)))
    assert report.parity is not None
    found = report.parity.programs["main"].variants["host"]
    assert (found.precision, found.limits) == ("f32", F32)
    # half of the limit is left for other machines
    assert max(output.rms for output in found.outputs.values()) < F32.rms / 2
    reproduce(tmp_path / "artifact")


@pytest.mark.slow
def test_winograds_constants_are_checked_to_a_percent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of its numbers that matters least, off by 1 %."""
    for size, transform in winograd.TRANSFORMS.items():
        rows = [list(row) for row in transform.kernel]
        rows[-2][0] *= 1.01
        monkeypatch.setitem(
            winograd.TRANSFORMS, size, dataclasses.replace(transform, kernel=tuple(map(tuple, rows)))
        )  # fmt: skip
    network = load_network("resnet18", NetworkOptions(weights="random:0"))
    with pytest.raises(VerificationFailed, match="is off by"):
        compile_network(network, tmp_path / "artifact", CompileOptions(batch_sizes=(1,)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_built_in_network_is_verified(tmp_path: Path, name: str) -> None:
    if name not in IN_THE_ZOO and os.environ.get("OVENBIRD_ZOO") != "all":
        pytest.skip("minutes: OVENBIRD_ZOO=all compiles every built-in network")
    network = load_network(name, NetworkOptions(weights="random:0"))
    report = compile_network(network, tmp_path / "artifact", CompileOptions(batch_sizes=(1,)))
    assert report.parity is not None
    assert report.parity.images == len(own_photographs())
    found = report.parity.programs["main"].variants["host"]
    assert max(output.rms for output in found.outputs.values()) < F32.rms / 2
    reproduce(tmp_path / "artifact")
