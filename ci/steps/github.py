"""Run the workflow of GitHub Actions here, without GitHub: its jobs in order, each on what earlier ones handed on.

    .venv/bin/python ci/steps/github.py --list
    .venv/bin/python ci/steps/github.py --to bake --only TARGET=x86-64-v3 --set BASES=debian
    .venv/bin/python ci/steps/github.py --approve registry       # a person answers for an environment

Jobs share this folder, its environment and its caches, but results: `build/ci/artifacts` and `build/ci/images` are
removed before each job, and come back as far as the job downloads what others uploaded. An expression, action or key
that is not known is refused: this is no GitHub, but takes nothing for granted.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

WORKFLOW = Path(".github/workflows/pipeline.yml")
RESULTS = (Path("build/ci/artifacts"), Path("build/ci/images"))
STORE = Path("build/ci/github")
IGNORED = ("actions/checkout", "actions/cache")
"""What this folder already is or has."""
JOB_KEYS = {
    "needs", "if", "runs-on", "timeout-minutes", "env", "environment", "concurrency", "strategy", "steps",
}  # fmt: skip


class WorkflowInvalid(Exception):
    """The workflow holds something that is not known here."""


class Waiting(Exception):
    """A job waits for a person."""


def main() -> int:
    """Run the jobs that were asked for; return the exit code."""
    parser = argparse.ArgumentParser(description="Run the workflow of GitHub Actions here.")
    parser.add_argument("--workflow", type=Path, default=WORKFLOW)
    parser.add_argument("--list", action="store_true", help="print each job's commands and run nothing")
    parser.add_argument("--from", dest="first", metavar="JOB")
    parser.add_argument("--to", dest="last", metavar="JOB")
    parser.add_argument("--only", action="append", default=[], metavar="KEY=VALUE", help="cells of the matrix")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="inputs of the run")
    parser.add_argument("--approve", action="append", default=[], metavar="ENVIRONMENT")
    parser.add_argument("--ref", default="refs/heads/main")
    options = parser.parse_args()
    try:
        workflow = yaml.safe_load(options.workflow.read_text(encoding="utf-8"))
        context = _context(workflow, dict(pair.split("=", 1) for pair in options.set), options.ref)
        wanted = dict(pair.split("=", 1) for pair in options.only)
        if not options.list and options.first is None:
            shutil.rmtree(STORE, ignore_errors=True)
        for name, job in _between(workflow["jobs"], options.first, options.last):
            for cell in _cells(job, wanted):
                _run_job(name, job, workflow.get("env", {}), {**context, "github.job": name, **cell}, options)
    except WorkflowInvalid as error:
        print(f"error: WorkflowInvalid: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"error: StepFailed: {error.cmd[-1]} ended with {error.returncode}", file=sys.stderr)
        return 1
    except Waiting as error:
        print(f"== {error}")
    return 0


def _context(workflow: Mapping[Any, Any], given: Mapping[str, str], ref: str) -> dict[str, str]:
    """Return what expressions may name. YAML reads the key `on` as true."""
    inputs = workflow[True]["workflow_dispatch"]["inputs"]
    unknown = sorted(set(given) - set(inputs))
    if unknown:
        raise WorkflowInvalid(f"there is no input {unknown[0]}")
    found = {f"inputs.{name}": given.get(name, str(one.get("default", ""))) for name, one in inputs.items()}
    found |= {f"vars.{name}": os.environ.get(name, "") for name in ("REGISTRY", "NAMESPACE")}
    facts = {"workspace": str(Path.cwd()), "ref": ref, "event_name": "workflow_dispatch", "run_id": "0"}
    return found | {f"github.{name}": value for name, value in facts.items()}


def _between(jobs: Mapping[str, Any], first: str | None, last: str | None) -> list[tuple[str, Any]]:
    """Return the jobs from one to another, in an order in which each follows what it needs."""
    names: list[str] = []
    while len(names) < len(jobs):
        ready = [name for name, job in jobs.items() if name not in names and set(_needs(job)) <= set(names)]
        if not ready:
            raise WorkflowInvalid(f"jobs need each other: {', '.join(sorted(set(jobs) - set(names)))}")
        names.append(ready[0])
    for name in (first, last):
        if name is not None and name not in names:
            raise WorkflowInvalid(f"there is no job {name}, only {', '.join(names)}")
    begin, end = names.index(first or names[0]), names.index(last or names[-1])
    return [(name, jobs[name]) for name in names[begin : end + 1]]


def _needs(job: Mapping[str, Any]) -> list[str]:
    found = job.get("needs", [])
    return [found] if isinstance(found, str) else list(found)


def _cells(job: Mapping[str, Any], wanted: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the values of each cell of a job's matrix that is wanted."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for values in itertools.product(*matrix.values()):
        cell = dict(zip(matrix, values, strict=True))
        if all(cell.get(key, value) == value for key, value in wanted.items()):
            yield {f"matrix.{key}": value for key, value in cell.items()}


def _run_job(
    name: str, job: Mapping[str, Any], env: Mapping[str, Any], context: Mapping[str, str], options: Any
) -> None:
    unknown = sorted(set(job) - JOB_KEYS)
    if unknown:
        raise WorkflowInvalid(f"job {name} has the key {unknown[0]}, which is not known here")
    cell = ", ".join(f"{key.split('.')[1]}={value}" for key, value in context.items() if key.startswith("matrix."))
    title = f"{name} {cell}".strip()
    variables = {key: _filled(str(value), context) for key, value in {**env, **job.get("env", {})}.items()}
    if options.list:
        for step in job["steps"]:
            if "run" in step:
                print(f"{title}: {step['run']}")
        return
    if not _holds(job.get("if", "true"), context):
        print(f"== {title}: left out, {job['if']}", flush=True)
        return
    environment = job.get("environment")
    if environment is not None and environment not in options.approve:
        raise Waiting(f"{title} waits for a person: environment {environment} (--approve {environment})")
    print(f"== job {title}", flush=True)
    for folder in RESULTS:
        shutil.rmtree(folder, ignore_errors=True)
    for step in job["steps"]:
        _run_step(step, variables, context)


def _run_step(step: Mapping[str, Any], variables: Mapping[str, str], context: Mapping[str, str]) -> None:
    if "run" in step:
        if "${{" in step["run"]:
            raise WorkflowInvalid(f"an expression in a command: {step['run']}; give it a variable")
        command = ["bash", "-e", "-o", "pipefail", "-c", step["run"]]
        subprocess.run(command, env={**os.environ, **variables}, check=True)
        return
    action = step["uses"].split("@")[0]
    given = {key: _filled(str(value), context) for key, value in step.get("with", {}).items() if key != "key"}
    if action == "actions/upload-artifact":
        _upload(Path(given["path"]), STORE / given["name"])
    elif action == "actions/download-artifact":
        for place in sorted(STORE.glob("*")):
            if fnmatch.fnmatchcase(place.name, given["pattern"]):
                shutil.copytree(place, given["path"], dirs_exist_ok=True)
    elif action not in IGNORED:
        raise WorkflowInvalid(f"the action {action} is not known here")


def _upload(pattern: Path, place: Path) -> None:
    """Keep what a path or a pattern names: a folder's content, or files side by side."""
    shutil.rmtree(place, ignore_errors=True)
    if pattern.is_dir():
        shutil.copytree(pattern, place)
        return
    for path in sorted(pattern.parent.glob(pattern.name)):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def _filled(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda found: _value(found[1], context), text)


def _value(expression: str, context: Mapping[str, str]) -> str:
    """Return the first of `a || 'b'` that is not empty."""
    found = ""
    for part in expression.split("||"):
        part = part.strip()
        if quoted := re.fullmatch(r"'([^']*)'", part):
            found = quoted[1]
        elif part in context:
            found = context[part]
        else:
            raise WorkflowInvalid(f"the expression {part} is not known here")
        if found:
            break
    return found


def _holds(condition: str, context: Mapping[str, str]) -> bool:
    if condition == "true":
        return True
    found = re.fullmatch(r"([\w.]+) (==|!=) '([^']*)'", condition)
    if not found:
        raise WorkflowInvalid(f"the condition {condition} is not known here")
    return (_value(found[1], context) == found[3]) is (found[2] == "==")


if __name__ == "__main__":
    sys.exit(main())
