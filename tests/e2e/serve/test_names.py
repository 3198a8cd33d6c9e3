"""Names: one definition from the command line to the route and the label; an artifact of before gets one that works."""

from __future__ import annotations

import dataclasses
import http.client
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from ovenbird_runtime.manifest.manifest import Manifest
from support.serving import Serving
from support.tiny_artifact import copy_tiny, reseal


def named(artifact: Path, name: str, version: str = "1") -> Path:
    def change(manifest: Manifest) -> Manifest:
        return dataclasses.replace(manifest, model=dataclasses.replace(manifest.model, name=name, version=version))

    reseal(artifact, change)
    return artifact


def ask(server: Serving, target: str, body: bytes | None = None) -> tuple[int, dict[str, object]]:
    """Send a target as it is."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    client.putrequest("POST" if body else "GET", target, skip_accept_encoding=True)
    client.putheader("Content-Length", str(len(body or b"")))
    client.endheaders(body)
    response = client.getresponse()
    found = response.status, json.loads(response.read())
    client.close()
    return found


@pytest.mark.parametrize(("manifest", "name"), [("module:callable", "module-callable"), ("org/net", "org-net")])
def test_artifact_of_before_is_served_with_a_warning(tmp_path: Path, jpeg: bytes, manifest: str, name: str) -> None:
    with Serving.start(named(copy_tiny(tmp_path), manifest)) as server:
        warning = server.wait_for("renamed")
        assert (warning["level"], warning["model"], warning["manifest"]) == ("warning", name, manifest)
        assert ask(server, f"/v1/models/{name}:predict", jpeg)[0] == 200
        assert ask(server, f"/v2/models/{name}")[1]["name"] == name
        assert server.metric("ovenbird_model_ready") == 1


@pytest.mark.parametrize(
    "version", ['1.0 "beta"', "a/b", "a:b", "v\\1", "ä\u20ac", "x\ny", "..", "%2F", "a=b,c}", "{x}", "a'b"]
)  # fmt: skip
def test_version_of_any_text(tmp_path: Path, jpeg: bytes, version: str) -> None:
    """A version is free text: it is one segment of a route, and one label's value."""
    parser = pytest.importorskip("prometheus_client.parser")
    with Serving.start(named(copy_tiny(tmp_path), "tiny", version), "--nv-metrics") as server:
        assert ask(server, "/v1/models/tiny:predict", jpeg)[0] == 200
        base = f"/v2/models/tiny/versions/{quote(version, safe='')}"
        assert ask(server, base)[1]["versions"] == [version]
        assert ask(server, base + "/ready")[0] == 200
        assert ask(server, "/v2/models/tiny/versions/other")[0] == 404
        _, _, body = server.request("GET", "/metrics")
        samples = [s for family in parser.text_string_to_metric_families(body.decode()) for s in family.samples]
        (count,) = [sample for sample in samples if sample.name.startswith("nv_inference_count")]
        assert count.labels == {"model": "tiny", "version": version}


@pytest.mark.parametrize(
    "name", ["a:b", 'a"b', "a b", "..", ".", "", "a\nb", "模型", "a%2Fb", "_a", "-a", "a" * 129, "a\\b"]
)  # fmt: skip
def test_names_on_the_command_line_are_checked(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "serve", "--port", "0", "--", f"{name}={tmp_path}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "WrongModelName" in result.stderr
    assert "Traceback" not in result.stderr


def test_slash_in_a_name_on_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ovenbird_runtime.cli", "serve", "--port", "0", f"a/b={tmp_path}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "such as a-b" in " ".join(result.stderr.split())


def test_folder_with_an_equals_sign(tmp_path: Path, jpeg: bytes) -> None:
    folder = tmp_path / "v=1"
    folder.mkdir()
    with Serving.start(copy_tiny(folder), f"other={copy_tiny(tmp_path)}") as server:
        for name in ("tiny", "other"):
            assert ask(server, f"/v1/models/{name}:predict", jpeg)[0] == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v2/models/tiny", 200),
        ("/v2/models/tiny/", 200),
        ("/v2/models/t%69ny", 200),
        ("/v1/models/", 200),
        ("/v2/models%2Ftiny", 404),
        ("/v2%2Fmodels%2Ftiny", 404),
        ("/v2/models/tiny%2Fready", 404),
        ("/v2/models/tiny%2F", 404),
        ("/v2/models//tiny", 404),
        ("/v2/models/tiny//", 404),
        ("/v2/models/..%2Ftiny", 404),
        ("/v2/models/x/../tiny", 404),
        ("/v2/models/%22%0A", 404),
        ("/v2/models/%e6%a8%a1", 404),
        ("/v2/models/" + "a" * 300, 404),
        ("/v2/models/%ff", 400),
    ],
)
def test_segments_are_decoded_after_they_are_cut(server: Serving, target: str, status: int) -> None:
    assert ask(server, target)[0] == status


def test_predict_route_is_found_however_it_is_encoded(server: Serving, jpeg: bytes) -> None:
    for target in ("/v1/models/tiny%3Apredict", "/v1/models/tiny:predict/", "/v1/models/%74iny:predict?top=1"):
        assert ask(server, target, jpeg)[0] == 200
    for target in ("/v1/models/a:tiny:predict", "/v1/models/a%2Ftiny:predict"):
        assert ask(server, target, jpeg)[0] == 404


def test_ready_line_has_an_address_that_can_be_opened(tiny: Path) -> None:
    with Serving.start(tiny, "--host", "::1") as server:
        url = server.wait_for("ready")["url"]
    assert url.startswith("http://[::1]:")
