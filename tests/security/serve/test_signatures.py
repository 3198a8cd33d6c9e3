"""A server that requires signatures: it starts with signed models only, and a new version must be signed as well."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from support.serving import Serving
from support.signing import Signer
from support.tiny_artifact import copy_tiny, reseal

OURS = Signer(1)


def next_version(artifact: Path, version: str) -> None:
    reseal(artifact, lambda m: dataclasses.replace(m, model=dataclasses.replace(m.model, version=version)))


def test_an_unsigned_new_version_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    artifact, public = copy_tiny(tmp_path), OURS.public_file(tmp_path)
    OURS.sign(artifact)
    with Serving.start(artifact, "--watch", "--require-signature", public) as server:
        next_version(artifact, "2")
        assert server.wait_for("reload_failed")["type"] == "SignatureWrong"
        assert server.request("GET", "/v2/health/ready")[0] == 200
        assert server.request("GET", "/v2/models/tiny/versions/1/ready")[0] == 200
        OURS.sign(artifact)  # nothing else changes
        assert server.wait_for("reloaded")["version"] == "2"


def test_it_does_not_start_with_an_unsigned_model(tmp_path: Path) -> None:
    with Serving.start(copy_tiny(tmp_path), "--require-signature", OURS.public_file(tmp_path), ready=False) as server:
        assert server.process.wait(60) == 1
        assert server.wait_for("start_failed")["type"] == "SignatureMissing"
        assert any("error: SignatureMissing: " in line["text"] for line in server.events("text"))
