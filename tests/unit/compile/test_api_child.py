"""The process that compiles for Python programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ovenbird.api.child import compile_in_child
from ovenbird.api.request import CompileRequest
from ovenbird.errors import BuildFailed


@pytest.mark.parametrize("given", [None, "active"])
def test_its_waiting_threads_sleep_unless_the_user_said_what_they_do(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "the policy is $OMP_WAIT_POLICY"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.delenv("OMP_WAIT_POLICY")
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    with pytest.raises(BuildFailed, match=f"the policy is {given or 'passive'}"):
        compile_in_child(CompileRequest("networks:any"))
