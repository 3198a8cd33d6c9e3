"""Artifacts made to do harm end in an answer or in one line with a type, in the compiler's commands too."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from ovenbird.baking.context import copy_into
from ovenbird.cli import main
from ovenbird.trust.signing import make_key
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.errors import OvenbirdError
from support.hostile import HOSTILE
from support.tiny_artifact import copy_tiny


@pytest.fixture(params=sorted(HOSTILE))
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = copy_tiny(tmp_path)
    HOSTILE[request.param](folder)
    return folder


@pytest.mark.parametrize("command", ["inspect", "inspect --json", "sign", "verify"])
def test_commands_refuse_hostile_artifacts(hostile: Path, tmp_path: Path, command: str) -> None:
    name, *options = command.split()
    if name == "sign":
        make_key(tmp_path / "a.key")
        options = ["--key", str(tmp_path / "a.key")]
    options += ["--quiet"] if name == "verify" else []
    result = CliRunner().invoke(main, [name, str(hostile), *options])
    if result.exit_code == 0:
        assert all(line.isprintable() for line in result.stdout.splitlines())
        return
    assert isinstance(result.exception, SystemExit)
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("error: ")
    assert "internal" not in result.stderr


def test_no_image_is_made_of_a_hostile_artifact(hostile: Path, tmp_path: Path) -> None:
    with contextlib.suppress(OvenbirdError):
        copy_into(open_artifact(hostile), tmp_path / "context")
