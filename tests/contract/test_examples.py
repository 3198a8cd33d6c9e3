"""Examples in docstrings and on pages are of this code: their names exist, and their calls fit the signatures."""

from __future__ import annotations

import ast
import importlib

import pytest

from support.examples import ROOT, check_module, check_page, check_program, modules, program_of

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_examples_in_docstrings_call_what_is_there() -> None:
    wrong = {name: problems for name in modules() if (problems := check_module(name).problems)}
    assert not wrong


def test_examples_in_pages_call_what_is_there() -> None:
    wrong = {str(page.relative_to(ROOT)): problems for page in PAGES if (problems := check_page(page).problems)}
    assert not wrong


def test_examples_are_found_and_few_calls_stay_unknown() -> None:
    checked = [check_module(name) for name in modules()]
    bound, skipped = sum(one.bound for one in checked), [call for one in checked for call in one.skipped]
    assert bound > 400
    assert len(skipped) < bound / 10, skipped
    assert sum(check_page(page).bound for page in PAGES) > 20


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        ("lowers(module)", "there is no lowers("),
        ("admission.take(row=1, deadline=2.0)", "admission.take: missing a required argument: 'rows'"),
        ("admission.take(1, 2.0, (), 3)", "admission.take: too many positional arguments"),
        ("admission.free()", "Admission has no free"),
        ("permit = admission.take(1, 2.0)\npermit.give()", "Permit has no give"),
        (
            "permit = Admission(3, seconds, share).take(1, 2.0)\npermit.release(1)",
            "permit.release: too many positional arguments",
        ),
        ("import ovenbird_runtime\novenbird_runtime.loads('x')", "ovenbird_runtime has no loads"),
        ("from ovenbird_runtime import load, lode", "ovenbird_runtime has no lode"),
        ("with load('x') as model:\n    model.runs({})", "Model has no runs"),
        ("def handler(call: Call) -> None:\n    call.spend('decode', 1.0)", "Call has no spend"),
    ],
)
def test_what_is_not_so_is_found(example: str, problem: str) -> None:
    module = importlib.import_module("ovenbird_runtime.serve.models.admission")
    checked = check_program(program_of(f"An example.\n\n{example}\n"), module)
    assert checked.problems == [problem]


def test_what_fits_is_no_problem() -> None:
    text = """Permits.

    permit = admission.take(rows=1, deadline=now + 2.0)      # raises QueueFull
    with load("artifacts/resnet50", threads=2) as model:
        model.predict(["a.jpg"], top=2)[0].to_json()

    Prose (with brackets) is none of it.
    """
    module = importlib.import_module("ovenbird_runtime.serve.models.admission")
    checked = check_program(program_of(text), module)
    assert (checked.problems, checked.bound) == ([], 3)


def test_prose_is_no_example() -> None:
    assert program_of("Copy an artifact (whole).\n\nEach once.\n").body == []
    assert [ast.unparse(line) for line in program_of("A.\n\n    f(1)     # x\n    f(1) -> 2\n").body] == ["f(1)"]
