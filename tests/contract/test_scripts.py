"""Shell scripts: shellcheck finds nothing in them that splits, expands or fails unseen."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("ci/**/*.sh"), ROOT / ".ci" / "run"])


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is not installed (Debian: apt-get install shellcheck)"
)
def test_shellcheck_finds_nothing() -> None:
    # sourced files set and read each other's variables; every `cd` goes to the script's own checkout
    options = ["--shell=bash", "--external-sources", "--severity=warning", "--exclude=SC2034,SC2154,SC2164"]
    command = ["shellcheck", *options, *map(str, SCRIPTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_says_how_it_is_called() -> None:
    for script in SCRIPTS:
        text = (ROOT / script).read_text(encoding="utf-8")
        assert text.startswith("#"), script


CALL = re.compile(r"(?:^|[;&|({]|\bif|\bthen|\belse|\bwhile|!)[ \t]*([a-z]+(?:_[a-z]+)+)(?=[ \t\n;)]|$)", re.MULTILINE)
"""A word with an underscore where a command stands: programs have none in their names."""


def test_every_function_that_is_called_is_defined() -> None:
    """One that was lost in a merge had benchmarks run on another engine, and say no more than that."""
    texts = {script: (ROOT / script).read_text(encoding="utf-8") for script in SCRIPTS}
    defined = {name for text in texts.values() for name in re.findall(r"^(\w+)\(\)", text, re.MULTILINE)}
    code = {script: re.sub(r"#.*|'[^']*'", "", text) for script, text in texts.items()}
    called = {(str(script), name) for script, text in code.items() for name in CALL.findall(text)}
    assert len(called) > 20
    assert not {one for one in called if one[1] not in defined}
