"""Plans as the runtime reads them: the vectors of conformance/plans, and plans spoilt at random."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ovenbird_runtime.artifact.json_schema import json_schema
from ovenbird_runtime.artifact.plan import Plan
from ovenbird_runtime.artifact.plan_checks import check_plan
from ovenbird_runtime.artifact.plan_file import decode_plan, plan_bytes
from ovenbird_runtime.errors import ManifestTooNew, OvenbirdError, PlanInvalid
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightTensor
from ovenbird_runtime.manifest.schema import decode, encode
from support import plan_vectors

VECTORS = Path(__file__).resolve().parents[4] / "conformance" / "plans"
CASES = json.loads((VECTORS / "cases.json").read_text())
PROGRAM = json.loads((VECTORS / "program.json").read_text())

# What the message says where a rule refused: each hostile plan must fall by its own.
SAYS = {
    "json": "not JSON",
    "version": "upgrade",
    "schema": "expected|unknown field|lacks the field|limit",
    "unique": "two entries",
    "alignment": "not a multiple of 64",
    "arena": "the arena has",
    "constant": "constant",
    "index": "names buffer",
    "writes": "writes nothing|only the arena may be written",
    "apart": "writes over what it reads or writes too",
    "held": "no such value was written",
    "program": "there are|is int32|is float32|the program's outputs",
}


def read(data: bytes) -> Plan:
    """Read a plan as an artifact's is read."""
    plan = decode_plan(data)
    specs = {kind: [decode(TensorSpec, value, kind) for value in PROGRAM[kind]] for kind in ("inputs", "outputs")}
    tensors = [decode(WeightTensor, value, "tensors") for value in PROGRAM["tensors"]]
    check_plan(plan, tensors, specs["inputs"], specs["outputs"])
    return plan


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["plan"])
def test_every_vector_is_judged_as_it_says(case: dict[str, Any]) -> None:
    data = (VECTORS / case["plan"]).read_bytes()
    if case["error"] is None:
        assert plan_bytes(read(data)) == data
        return
    with pytest.raises(OvenbirdError, match=SAYS[case["rule"]]) as caught:
        read(data)
    assert type(caught.value).__name__ == case["error"]


def test_vectors_are_current(tmp_path: Path) -> None:
    plan_vectors.write(tmp_path)
    expected = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = {path.relative_to(VECTORS): path.read_bytes() for path in VECTORS.rglob("*") if path.is_file()}
    assert found == expected, "run: PYTHONPATH=tests python tests/support/plan_vectors.py conformance/plans"


def test_every_rule_has_a_vector() -> None:
    assert {case["rule"] for case in CASES} - {None} == set(SAYS)


def test_valid_vectors_follow_the_json_schema() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(Plan, "plan.json"))
    for case in CASES:
        if case["rule"] is None:
            validator.validate(json.loads((VECTORS / case["plan"]).read_text()))
        elif case["rule"] == "schema":
            value = json.loads((VECTORS / case["plan"]).read_text())
            assert not validator.is_valid(value), case["plan"]


def test_an_entry_is_found_by_program_batch_and_size() -> None:
    plan = read((VECTORS / "valid" / "sizes.json").read_bytes())
    assert plan.find("main", 1) is plan.entries[0]
    assert plan.find("main", 1, (320, 256)) is plan.entries[1]
    assert plan.find("main", 2) is None
    assert plan.find("encode", 1) is None


# -- plans spoilt at random ----------------------------------------------------------------------------------------

STRANGE: list[Any] = [
    0, 1, -1, 63, 64, 4096, 2**31, 2**32, 2**34, 2**53, 2**63, 2**64, 10**30, 0.5, 1e999, True, None, "", "main",
    "arena", "weight", "float32", "int8", "00", "\x00", "../x", [], [0], [[0]], {}, {"place": "arena"},
]  # fmt: skip


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [spot for key, item in items for spot in [(value, key), *spots(item)]]


def test_spoilt_plans_are_read_or_refused_with_a_typed_error() -> None:
    dice = random.Random(5)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(2000):
        value = copy.deepcopy(dice.choice(list(plan_vectors.VALID.values())))
        for _ in range(dice.choice((1, 1, 2, 3))):
            container, key = dice.choice(spots(value))
            action = dice.random()
            if action < 0.15:
                del container[key]
            elif action < 0.3:
                other, place = dice.choice(spots(value))
                container[key] = copy.deepcopy(other[place])
            else:
                container[key] = dice.choice(STRANGE)
            if not spots(value):
                break
        try:
            plan = read(json.dumps(value).encode())
        except (PlanInvalid, ManifestTooNew):
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        assert_safe(plan)
    assert min(outcomes.values()) > 20, outcomes


def test_spoilt_bytes_are_read_or_refused_with_a_typed_error() -> None:
    dice = random.Random(7)
    whole = (VECTORS / "valid" / "chain.json").read_bytes()
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 2, 8))):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            plan = read(bytes(data[: dice.choice((len(data), dice.randrange(len(data))))]))
        except (PlanInvalid, ManifestTooNew):
            continue
        assert_safe(plan)


def assert_safe(plan: Plan) -> None:
    """What was let through touches no byte that is not its own, and reads none that nobody wrote: by brute force."""
    for entry in plan.entries:
        writer: dict[int, int] = {}  # each 64 bytes of the arena -> who wrote them last

        def lines(buffer: Any) -> range:
            return range(buffer.at // 64, -(-(buffer.at + buffer.nbytes) // 64))

        def check(indices: tuple[int, ...], entry: Any = entry, writer: dict[int, int] = writer) -> None:
            for buffer in (entry.buffers[index] for index in indices):
                if buffer.place == "arena":
                    assert len({writer[line] for line in lines(buffer)}) == 1

        for buffer in entry.buffers:
            if buffer.place == "arena":
                assert buffer.at % 64 == 0
                assert buffer.at + buffer.nbytes <= entry.arena_bytes
        for number, call in enumerate(entry.calls):
            check(call.reads)
            for index in call.writes:
                assert entry.buffers[index].place == "arena"
                writer.update(dict.fromkeys(lines(entry.buffers[index]), number))
        check(entry.outputs)


def test_a_long_plan_is_checked_in_time_that_grows_with_its_length() -> None:
    # 200,000 reads of 4,000 values: many minutes, were each of these held against each of those.
    count = 4000
    entry = copy.deepcopy(plan_vectors.VALID["chain"]["entries"][0])
    first = len(entry["buffers"])
    base = entry["arena_bytes"] = 4352
    entry["buffers"] += [plan_vectors.buffer("arena", base + 64 * n, 16) for n in range(count)]
    entry["arena_bytes"] += 64 * count
    entry["calls"] += [
        plan_vectors.call("k", list(range(max(first, first + n - 50), first + n)), [first + n]) for n in range(count)
    ]
    plan = read(json.dumps(plan_vectors.plan(entry)).encode())
    assert len(plan.entries[0].calls) == count + 3
    assert decode(Plan, encode(plan), "again") == plan
