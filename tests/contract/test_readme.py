"""What README.md and the docs tell people to type exists: make targets, commands, options, links, files."""

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PROGRAMS = {"ovenbird": "ovenbird.cli", "ovenbird-rt": "ovenbird_runtime.cli"}


def typed_lines(page: Path) -> list[str]:
    """The commands in a page's shell blocks, continuation lines joined, prompts and comments off."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if line.strip() and not line.startswith("#")]


LINES = sorted({line for page in PAGES for line in typed_lines(page)})


def test_readme_has_its_two_commands() -> None:
    lines = typed_lines(ROOT / "README.md")
    assert any(line.split("#")[0].strip() == "make demo" for line in lines)
    assert any(line.split("#")[0].strip() == "make test" for line in lines)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_make_target_exists(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in shlex.split(line, comments=True)[1:]:
        name, assigned, _ = word.partition("=")
        pattern = rf"^{name}\s*\?=|export {name}$|\$\({name}\)" if assigned else rf"^{name}:"
        assert re.search(pattern, makefile, re.M), f"`{line}`: the Makefile has no {name}"


@pytest.mark.parametrize("line", [line for line in LINES if re.match(r"(\S*/)?ovenbird(-rt)? ", line)])
def test_command_and_options_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    command = importlib.import_module(PROGRAMS[Path(words[0]).name]).main
    context = click.Context(command)
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    if not words[1].startswith("-"):
        child = command.get_command(context, words[1])
        assert child is not None, f"`{line}`: no command {words[1]}"
        known |= {name for param in child.params for name in (*param.opts, *param.secondary_opts)}
    options = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-zA-Z]", word)}
    assert options <= known, f"`{line}`: no option {', '.join(sorted(options - known))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_exist(page: Path) -> None:
    code = "\n".join([*typed_lines(page), *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))])
    for path in re.findall(r"(?<![\w./-])((?:\.ci|ci|compile|docs|runtime|tests)/[\w./-]+)", code):
        assert (ROOT / path.rstrip(".")).exists(), f"{page.name} names {path}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"
