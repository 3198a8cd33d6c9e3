"""The friendly route, as clients use it: raw bodies, forms, JSON, curl."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from pathlib import Path

import pytest

import ovenbird_runtime
from support.pictures import encoded
from support.serving import Serving

URL = "/v1/models/tiny:predict"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def expected(tiny: Path, jpeg: bytes) -> dict[str, object]:
    with ovenbird_runtime.load(tiny) as model:
        return model.predict(jpeg, top=3, seed=7, embedding=True)[0].to_json()


def test_raw_body_gives_what_the_runtime_gives(server: Serving, jpeg: bytes, expected: dict[str, object]) -> None:
    status, headers, body = server.request("POST", f"{URL}?top=3&seed=7&embedding=true", jpeg, {"X-Request-Id": "me-1"})
    answer = json.loads(body)
    assert status == 200
    assert answer["predictions"] == [expected]
    assert answer["random_weights"] is True
    assert headers["x-request-id"] == "me-1"
    assert {"decode", "preprocess", "queue", "compute", "postprocess", "total"} == {
        part.split(";")[0] for part in headers["server-timing"].split(", ")
    }


def test_json_with_one_and_with_many_images(server: Serving, jpeg: bytes, expected: dict[str, object]) -> None:
    options = {"top": 3, "seed": 7, "embedding": True}
    status, one = server.json("POST", URL, {"image": b64(jpeg)} | options)
    assert status == 200
    assert one["predictions"] == [expected]
    status, many = server.json("POST", URL, {"instances": [{"b64": b64(jpeg)}, b64(encoded("PNG", 3))]} | options)
    assert status == 200
    assert len(many["predictions"]) == 2
    assert many["predictions"][0] == expected


def test_data_url_is_an_image(server: Serving, jpeg: bytes) -> None:
    status, answer = server.json("POST", URL, {"images": [f"data:image/jpeg;base64,{b64(jpeg)}"]})
    assert status == 200
    assert len(answer["predictions"][0]["classes"]["logits"]) == 2


@pytest.mark.parametrize("form", ["gzip", "gzip of members", "deflate", "deflate without a wrapper"])
def test_compressed_body_is_read(server: Serving, jpeg: bytes, form: str) -> None:
    import zlib

    body = {
        "gzip": gzip.compress(jpeg),
        "gzip of members": gzip.compress(jpeg[:100]) + gzip.compress(b"") + gzip.compress(jpeg[100:]),
        "deflate": zlib.compress(jpeg),
        "deflate without a wrapper": zlib.compress(jpeg)[2:-4],
    }[form]
    status, _, _ = server.request("POST", URL, body, {"Content-Encoding": form.split()[0]})
    assert status == 200


def test_compressed_answer_is_sent_where_accepted(server: Serving, jpeg: bytes) -> None:
    status, headers, body = server.request("POST", f"{URL}?embedding=1&top=5", jpeg, {"Accept-Encoding": "gzip;q=1"})
    assert status == 200
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    assert json.loads(body)["predictions"]
    _, headers, body = server.request("GET", "/openapi.json", None, {"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["openapi"].startswith("3.1")


def test_curl_with_a_form(server: Serving, tmp_path: Path, expected: dict[str, object], jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "b.webp").write_bytes(encoded("WEBP", 2))
    command = [
        "curl", "-s", "-F", "image=@a.jpg", "-F", "image=@b.webp", "-F", "top=3", "-F", "seed=7", "-F", "embedding=yes",
        f"http://127.0.0.1:{server.port}{URL}",
    ]  # fmt: skip
    answer = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert answer["predictions"][0] == expected
    assert len(answer["predictions"]) == 2


def test_curl_sends_a_picture_as_it_is(server: Serving, tmp_path: Path, jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg)
    command = ["curl", "-s", "--data-binary", "@a.jpg", f"http://127.0.0.1:{server.port}{URL}"]
    answer = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    assert answer["model"] == "tiny"


def test_one_bad_image_fails_alone(server: Serving, jpeg: bytes) -> None:
    status, answer = server.json("POST", URL, {"images": [b64(jpeg), b64(b"no image"), b64(jpeg)], "seed": 1})
    assert status == 200
    good, bad, also_good = answer["predictions"]
    assert bad["type"] == "ImageUnreadable"
    assert bad["status"] == 400
    assert good["classes"] == also_good["classes"]


def test_only_bad_images_fail_the_request(server: Serving) -> None:
    status, answer = server.json("POST", URL, {"images": [b64(b"no image"), b64(b"nor this")]})
    assert status == 400
    assert answer["type"] == "ImageUnreadable"


@pytest.mark.parametrize("query", ["top=0", "top=x", "top=1&top=2", "colour=red", "seed=-1", "embedding=perhaps"])
def test_wrong_option_is_refused(server: Serving, jpeg: bytes, query: str) -> None:
    status, _, body = server.request("POST", f"{URL}?{query}", jpeg)
    assert status == 400
    assert json.loads(body)["error"]


def test_unknown_pipeline_names_those_there_are(server: Serving, jpeg: bytes) -> None:
    status, _, body = server.request("POST", f"{URL}?preprocess=sepia", jpeg)
    assert status == 400
    assert "zoom-crop-pad" in json.loads(body)["error"]


def test_no_image_says_what_to_send(server: Serving) -> None:
    for body, kind in ((b"", ""), (b"{}", "application/json"), (b"--x--\r\n", "multipart/form-data; boundary=x")):
        status, _, answer = server.request("POST", URL, body, {"Content-Type": kind})
        assert status == 400
        assert "multipart/form-data" in json.loads(answer)["error"]


def test_url_is_not_fetched(server: Serving) -> None:
    status, answer = server.json("POST", URL, {"images": ["http://127.0.0.1:1/a.jpg"]})
    assert status == 400
    assert "fetches nothing" in answer["error"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_every_kind_of_image_is_read(server: Serving, kind: str, mode: str) -> None:
    if kind == "JPEG" and mode == "P":
        pytest.skip("a JPEG has no palette")
    status, _, _ = server.request("POST", URL, encoded(kind, mode=mode))
    assert status == 200
