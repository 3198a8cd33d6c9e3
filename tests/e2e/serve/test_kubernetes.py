"""The server as ci/k8s starts it, on a port of its own: every probe's path answers as the probe expects."""

from __future__ import annotations

import pytest

from support.kubernetes import render, server_of
from support.serving import Serving
from support.tiny_artifact import tiny_artifact


@pytest.mark.parametrize("name", ["overlays/amd64-cpu", "kserve"])
def test_probes_are_answered(name: str) -> None:
    _, container = server_of(render(name))
    command, model, *options = container["args"]
    assert command == "serve"
    prefix = f"{model.partition('=')[0].replace('{{.Name}}', 'resnet50')}=" if "=" in model else ""
    kept = [option for option in options if not option.startswith(("--port=", "--host="))]
    with Serving.start(f"{prefix}{tiny_artifact()}", *kept) as server:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert server.request("GET", container[probe]["httpGet"]["path"])[0] == 200
        if prefix:
            assert server.request("GET", "/v2/models/resnet50/ready")[0] == 200
        assert server.stop() == 0
