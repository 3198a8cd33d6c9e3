"""GIT as programs: what is computed once a picture, and nothing of it for nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tvm import relax

from ovenbird.lowering.pipeline import prepare
from ovenbird.models.packages.captions.git import git_programs
from ovenbird.networks.composite import Composite, compose
from ovenbird.quantize.graph import is_constant
from ovenbird_runtime.manifest.manifest import WeightsInfo
from support.relax_calls import calls_of, made_by

LAYERS, PATCHES = 2, 5


@pytest.fixture(scope="module")
def git() -> Composite:
    pytest.importorskip("transformers")
    from support.compile_git import network
    from support.git_searches import PIECES

    programs = git_programs(network(), ("\n".join(PIECES) + "\n").encode(), {"max_length": 14})
    return compose(programs, "tiny_git", WeightsInfo("random", random=True, seed=3))


def products(git: Composite, program: str) -> Counter[tuple[bool, int]]:
    """Count a program's products of matrices: whether by weights, and of how many rows."""
    function = prepare(git.programs[program].relax(1))["main"]

    def rows(call: Any) -> int:
        shape = [int(dim) for dim in call.ty.shape.values]
        return shape[-2]

    def by_weights(call: Any) -> bool:
        return is_constant(made_by(function, call.args[1]))

    return Counter((by_weights(call), rows(call)) for call in calls_of(function, "relax.matmul"))


def test_the_last_layer_of_prefill_ends_with_its_keys_and_values(git: Composite) -> None:
    """Nobody asks for what it makes of the patches: no query, attention nor hidden layer of it is computed."""
    whole = LAYERS - 1
    assert products(git, "prefill") == {(True, PATCHES): 6 * whole + 2, (False, PATCHES): 2 * whole}


def test_the_encoder_computes_each_layer_once(git: Composite) -> None:
    """Two layers of six products by weights, and the projection to the decoder's width; patches are a convolution."""
    assert products(git, "encode") == {(True, PATCHES): 6 * LAYERS + 1, (False, PATCHES): 2 * LAYERS}


def test_a_step_computes_one_row(git: Composite) -> None:
    found = products(git, "step")
    assert {rows for _, rows in found} == {1}
    assert sum(count for (weights, _), count in found.items() if weights) == 6 * LAYERS + 1


def test_prefill_masks_nothing(git: Composite) -> None:
    """All patches see each other: nothing is added to what attention weighs."""
    function = prepare(git.programs["prefill"].relax(1))["main"]
    assert not calls_of(function, "relax.where")
    for call in calls_of(function, "relax.nn.softmax"):
        maker = made_by(function, call.args[0])
        assert isinstance(maker, relax.Call)
        assert maker.op.name in ("relax.matmul", "relax.multiply", "relax.divide")
