"""Small networks through the real code generator, compared with torch on the same input.

Code runs in the compiler's own process here: the tests look at the numbers, not at the runtime.

A test says `check(network, input)`, and that is all it does. So its network can be had before its turn comes: the first
check of a file asks every test of the file for its network, and many are compiled together.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ovenbird.targets import TargetSpec
from support.codegen import Case, Outputs, run_together

HERE = Path(__file__).parent
INSTRUCTION_SETS = {
    "sse": TargetSpec("sse", "", "llvm", "x86_64", "x86_64-unknown-linux-gnu", "x86-64-v2", cores=2),
    "avx2": TargetSpec(
        "avx2",
        "",
        "llvm",
        "x86_64",
        "x86_64-unknown-linux-gnu",
        "haswell",
        vector_bits=256,
        cores=2,
        features=("avx2",),
    ),
    "avx512": TargetSpec(
        "avx512",
        "",
        "llvm",
        "x86_64",
        "x86_64-unknown-linux-gnu",
        "x86-64-v4",
        vector_bits=512,
        registers=32,
        cores=2,
        l2_bytes=1 << 20,
        features=("avx512f", "avx512vl", "avx512dq", "avx512bw"),
    ),
}
"""Vector widths that x86-64 has, narrowest first."""

TOLERANCE = 2e-5
"""Largest difference allowed, relative to the output's largest value."""

SEED = 0

Check = Callable[..., None]


def processor_flags() -> set[str]:
    """The features of this machine, as the kernel names them."""
    for line in Path("/proc/cpuinfo").read_text("ascii").splitlines():
        if line.startswith("flags"):
            return set(line.split(":")[1].split())
    return set()


#: Networks in one library. One that breaks the build fails the tests of all: `-k` compiles what it chooses alone.
TOGETHER = 32

Key = tuple[str, str]


def key_of(item: pytest.Function) -> Key:
    """Name a test and its parameters, but for the instruction set, which is the first."""
    return item.originalname, item.callspec.id.removeprefix(item.callspec.params["check"])


def gather(session: pytest.Session, module: object) -> dict[str, dict[Key, Case]]:
    """Ask the tests of `module` that take nothing but `check` and parameters for their networks; return, by
    instruction set, those that are asked for it. A network is the same for all.
    """
    networks: dict[Key, Case] = {}
    found: dict[str, dict[Key, Case]] = {}

    def keep(key: Key, network: nn.Module, *inputs: torch.Tensor, tolerance: float = TOLERANCE) -> None:
        networks[key] = Case(network.eval(), inputs)

    for item in session.items:
        if isinstance(item, pytest.Function) and item.module is module and "check" in item.fixturenames:
            names = set(inspect.signature(item.function).parameters) - {"check"}
            if not names <= set(item.callspec.params):
                continue
            key = key_of(item)
            if key not in networks:
                given = {name: item.callspec.params[name] for name in names}
                torch.manual_seed(SEED)
                item.function(check=functools.partial(keep, key), **given)
            found.setdefault(item.callspec.params["check"], {})[key] = networks[key]
    return found


class Compiled:
    """What the networks of one file give, compiled together for one target at a time."""

    def __init__(self, cases: dict[str, dict[Key, Case]]) -> None:
        self.groups: dict[tuple[str, Key], tuple[Key, ...]] = {}
        for target, asked in cases.items():
            for batch in {case.inputs[0].shape[0] for case in asked.values()}:
                keys = [key for key, case in asked.items() if case.inputs[0].shape[0] == batch]
                for at in range(0, len(keys), TOGETHER):
                    group = tuple(keys[at : at + TOGETHER])
                    self.groups.update(((target, key), group) for key in group)
        self.cases = cases
        self.run = functools.cache(self._run)

    def _run(self, group: tuple[Key, ...], target: str) -> dict[Key, Outputs]:
        outputs = run_together([self.cases[target][key] for key in group], INSTRUCTION_SETS[target])
        return dict(zip(group, outputs, strict=True))

    def outputs(self, key: Key, target: str) -> Outputs | None:
        """Return what the test's network gives, or None where the test must have it compiled alone."""
        group = self.groups.get((target, key))
        return self.run(group, target)[key] if group is not None else None


@pytest.fixture(scope="module")
def compiled(request: pytest.FixtureRequest) -> Compiled:
    return Compiled(gather(request.session, request.module))


def instruction_sets() -> list[object]:
    """Those that this processor has; all but the widest are marked slow, for the tests take as long again for each."""
    flags = processor_flags()
    names = [name for name, target in INSTRUCTION_SETS.items() if set(target.features) <= flags]
    return [*(pytest.param(name, marks=pytest.mark.slow) for name in names[:-1]), *names[-1:]]


#: Those of a test's cases that run without the slow ones, spread over its list.
FEW = 3


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow what a test's other cases show as well: all but a few of those for the widest instruction set.

    The narrower ones, slow anyhow, take every case: a group of networks is traced once for all instruction sets that
    have the same group, so that leaving out half of the cases saves little.
    """
    cases: dict[tuple[Path, str, str], list[pytest.Item]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == HERE and "check" in item.fixturenames:
            cases.setdefault((item.path, item.originalname, item.callspec.params["check"]), []).append(item)
    for same in cases.values():
        same = [item for item in same if not item.get_closest_marker("slow")]
        kept = {len(same) * n // FEW for n in range(FEW)}
        for place, item in enumerate(same):
            if place not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(params=instruction_sets())
def check(request: pytest.FixtureRequest, compiled: Compiled) -> Check:
    """`check(network, input, ...)`: compiled code and torch agree."""

    def compare(network: nn.Module, *inputs: torch.Tensor, tolerance: float = TOLERANCE) -> None:
        case = Case(network.eval(), inputs)
        outputs = compiled.outputs(key_of(request.node), request.param)
        if outputs is None:
            (outputs,) = run_together([case], INSTRUCTION_SETS[request.param])
        with torch.no_grad():
            references = case.run()
        assert len(outputs) == len(references)
        for output, reference in zip(outputs, references, strict=True):
            wanted = reference.numpy()
            assert output.shape == wanted.shape
            scale = max(float(np.nanmax(np.abs(wanted))), 1e-6)
            np.testing.assert_allclose(output, wanted, rtol=0, atol=tolerance * scale)

    return compare


@pytest.fixture(autouse=True)
def seed() -> None:
    """The same weights and inputs in every run."""
    torch.manual_seed(SEED)
