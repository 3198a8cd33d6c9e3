"""Shell scripts: shellcheck finds nothing in them that splits, expands or fails unseen."""

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
