"""What pages mention in passing exists: options, environment variables, errors, metrics, extras, scripts' arguments."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from ovenbird import errors as compiler_errors
from ovenbird_runtime import errors as runtime_errors
from ovenbird_runtime.serve import errors as server_errors
from ovenbird_runtime.serve.telemetry import metric_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("[a-z]*/README.md")])
OTHERS_OPTIONS = {
    "--gpus", "--read-only", "--volumes-from", "--rm", "--cap-drop", "--name",  # docker
    "--build-arg", "--privileged",
    "--data-binary", "--json", "--http2", "-F",  # curl
    "--tracker", "--key", "--strict", "--input-data", "--help",  # TVM's RPC programs, mypy, perf_analyzer
}  # fmt: skip
"""Options of other programs that prose may name."""


def check_pages(find: Callable[[Path], set[str]], known: set[str]) -> None:
    """Fail with the pages that mention what is not known."""
    unknown = {str(page.relative_to(ROOT)): found for page in PAGES if (found := find(page) - known)}
    assert not unknown


def mentioned(page: Path) -> list[str]:
    """What stands in backticks outside of blocks."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(group: click.Command, name: str) -> Iterator[click.Command]:
    yield group
    if isinstance(group, click.Group):
        context = click.Context(group, info_name=name)
        for child in group.list_commands(context):
            found = group.get_command(context, child)
            assert found is not None
            yield from commands(found, child)


@pytest.fixture(scope="session")
def options() -> set[str]:
    """Every option of both programs and of the scripts that pages name."""
    found = set(OTHERS_OPTIONS)
    for module in ("ovenbird.cli", "ovenbird_runtime.cli"):
        for command in commands(importlib.import_module(module).main, module):
            found |= {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    for script in sorted({*ROOT.glob("ci/*/*.py"), *ROOT.glob("ci/*/*.sh"), *ROOT.glob("ci/steps/*.groovy")}):
        found |= set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", script.read_text(encoding="utf-8")))
    return found


def test_options_in_prose_exist(options: set[str]) -> None:
    def named(page: Path) -> set[str]:
        return {word for text in mentioned(page) for word in re.findall(r"(?<![\w/-])--[a-z][\w-]*", text)}

    check_pages(named, options)


def test_environment_variables_are_read_by_the_code() -> None:
    code = subprocess.run(
        ["git", "grep", "-hoE", r"OVENBIRD_[A-Z0-9_]+", "--", "compile", "runtime", "ci", "tests", "Makefile"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    check_pages(
        lambda page: set(re.findall(r"OVENBIRD_[A-Z0-9_]+", page.read_text(encoding="utf-8"))),
        set(code.stdout.split()),
    )


def test_errors_exist() -> None:
    """A word in backticks that ends as errors' names do, or that stands in a table of messages, is an error's."""
    known = {
        name
        for module in (compiler_errors, runtime_errors, server_errors)
        for name, value in vars(module).items()
        if inspect.isclass(value)
    }
    others = {"KeyError", "ValueError", "OSError"}
    pattern = (
        r"[A-Z][a-z]+(?:[A-Z][a-z]+)*(?:Error|Missing|Invalid|Unreadable|TooNew|TooOld|TooLarge|Failed|Mismatch|Wrong)"
    )
    check_pages(lambda page: {text for text in mentioned(page) if re.fullmatch(pattern, text)}, known | others)


def test_metrics_exist() -> None:
    def named(page: Path) -> set[str]:
        names = {text.partition("{")[0] for text in mentioned(page) if text.startswith("ovenbird_")}
        return {name for name in names if name.partition(".")[0] not in ("ovenbird_runtime", "ovenbird_native")}

    check_pages(named, {metric.name for metric in metric_names.ALL})


def extras(folder: str) -> set[str]:
    return set(
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"].get("optional-dependencies", {})
    )


def test_extras_exist() -> None:
    known = {
        "ovenbird-runtime": extras("runtime"),
        "./runtime": extras("runtime"),
        "ovenbird": extras("."),
        ".": extras("."),
    }
    pattern = r"'?((?:\./runtime|ovenbird-runtime|ovenbird|\.))\[([a-z,]+)\]"

    def named(page: Path) -> set[str]:
        found = re.findall(pattern, page.read_text(encoding="utf-8"))
        return {f"{name}[{extra}]" for name, asked in found for extra in asked.split(",")}

    check_pages(named, {f"{name}[{extra}]" for name, all_extras in known.items() for extra in all_extras})


def typed_lines(page: Path) -> list[str]:
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if line.strip() and not line.startswith("#")]


LINES = sorted({line for page in PAGES for line in typed_lines(page)})
SCRIPTS = [line for line in LINES if re.match(r"(\S*python )?ci/\S+\.(py|sh)", line)]


def test_scripts_are_named() -> None:
    assert len(SCRIPTS) > 5


@pytest.mark.parametrize("line", SCRIPTS)
def test_arguments_of_scripts_exist(line: str) -> None:
    """Each option of a script in ci/ that a page types is one that the script, or pytest, reads."""
    words = shlex.split(line, comments=True)
    script = next(word for word in words if word.startswith("ci/"))
    text = (ROOT / script).read_text(encoding="utf-8")
    text += "".join(
        (ROOT / more).read_text(encoding="utf-8")
        for more in re.findall(r"ci/steps/[\w.]+", text)
        if (ROOT / more).is_file()
    )
    for word in words[words.index(script) + 1 :]:
        if word.startswith("-"):
            option = word.split("=")[0]
            theirs = script.endswith("container_tests.sh") and option in {"-m", "-k", "-x", "-q"}
            theirs |= script.endswith("gitlab.sh") and option in {"--list", "--variable"}  # gitlab-ci-local's
            assert theirs or option in text, f"`{line}`: {script} reads no {option}"


PROGRAMS = (
    "make", "ovenbird", "ovenbird-rt", "python", "pip", "curl", "docker", "kubectl", "kustomize", "openssl",
    "sha256sum", "cp", "printf", "export", "qemu-aarch64-static", "qemu-x86_64-static", "java", "git", "cd",
    "grpc_health_probe", "grpcurl", "perf_analyzer", "cmake", "ovenbird-run", "resnet50",
)  # fmt: skip


def test_every_command_is_of_a_kind_that_is_known() -> None:
    def known(line: str) -> bool:
        first = re.sub(r"^(\w+=\S+ )*", "", line).split()[0]
        assigned = re.match(r'\w+="?\$\((\S+)', line)
        name = assigned[1] if assigned else first
        return Path(name).name in PROGRAMS or name.startswith("ci/steps/")

    assert [line for line in LINES if not known(line)] == [], "no test looks at these"


def test_files_on_the_way_of_a_request_exist() -> None:
    """The page names them from `serve/`, or from the repository's root."""
    page, serve = ROOT / "docs/explanation/a-request.md", ROOT / "runtime/ovenbird_runtime/serve"
    named = {text for text in mentioned(page) if re.fullmatch(r"[\w./-]+\.py", text)}
    assert len(named) > 20
    assert {name for name in named if not (serve / name).is_file() and not (ROOT / name).is_file()} == set()
