"""A detector over HTTP, next to a classifier: boxes of a photograph, options, refusals, tensors."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ovenbird_runtime
from support.serving import Serving
from support.tiny_artifact import detector_artifact

URL = "/v1/models/toy-detector:predict"


@pytest.fixture(scope="module")
def server(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, detector_artifact()) as running:
        yield running


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (200, 100), (255, 255, 255)).save(file, "JPEG")
    return file.getvalue()


def test_a_photograph_is_answered_with_its_boxes(server: Serving, photo: bytes) -> None:
    with ovenbird_runtime.load(detector_artifact()) as model:
        expected = model.predict(photo, seed=3)[0].to_json()
    status, _, body = server.request("POST", f"{URL}?seed=3", photo)
    assert status == 200
    assert json.loads(body)["predictions"] == [expected]
    assert [box["label"] for box in expected["boxes"]["boxes"]] == ["dog", "cat", "cat", "bird"]


def test_options_may_have_either_name(server: Serving, photo: bytes) -> None:
    for query in ("score=0.5&max_boxes=1&classes=cat", "conf=0.5&max_det=1&classes=1&agnostic_nms=false"):
        status, _, body = server.request("POST", f"{URL}?{query}", photo)
        assert status == 200
        assert [box["label"] for box in json.loads(body)["predictions"][0]["boxes"]["boxes"]] == ["cat"]


def test_tiles_are_what_the_library_finds(server: Serving, photo: bytes) -> None:
    with ovenbird_runtime.load(detector_artifact()) as model:
        expected = model.predict(photo, seed=3, tiles=(48, 64), tile_overlap=0.5)[0].to_json()
    status, _, body = server.request("POST", f"{URL}?seed=3&tiles=48x64&tile_overlap=0.5", photo)
    assert status == 200
    assert json.loads(body)["predictions"] == [expected]
    assert len(expected["boxes"]["boxes"]) > 4
    send = {"images": [base64.b64encode(image).decode() for image in (photo, b"no picture")], "tiles": "network"}
    status, answer = server.json("POST", URL, send)
    assert status == 200
    found, failed = answer["predictions"]
    assert len(found["boxes"]["boxes"]) > 4
    assert (failed["type"], failed["status"]) == ("ImageUnreadable", 400)


def test_tiles_take_turns_and_places_in_the_queue(server: Serving, photo: bytes) -> None:
    with ThreadPoolExecutor(8) as threads:
        asked = threads.map(lambda _: server.request("POST", f"{URL}?tiles=network", photo), range(16))
        assert {status for status, _, _ in asked} == {200}
    status, _, body = server.request("POST", f"{URL}?tiles=8&tile_overlap=0", photo)
    assert status == 400
    assert "the request has 326 images, the queue holds 256 (--queue)" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("tiles=1", "tiles of 1x1 are 20000 in an image of 100x200, limit 4096: give larger ones"),
        ("tiles=many", "tiles is 'many', expected HEIGHTxWIDTH or one number"),
        ("tile_overlap=1", "tile_overlap is 1.0, expected a number from 0 to 0.9"),
        ("score=2", "score is 2.0, expected a number from 0 to 1"),
        ("iou=wide", "iou is 'wide', expected a number"),
        ("max_det=0", "max_boxes is 0, expected a whole number from 1 to 1000"),
        ("classes=horse", "classes has 'horse', there are dog, cat, bird, or 0 to 2"),
        ("boxes=3", "the query has an unknown field 'boxes'; there are preprocess, top, seed, embedding, score"),
    ],
)
def test_wrong_options_say_what_is_allowed(server: Serving, photo: bytes, query: str, words: str) -> None:
    status, _, body = server.request("POST", f"{URL}?{query}", photo)
    assert status == 400
    assert words in json.loads(body)["error"]


def test_a_classifier_refuses_options_of_boxes(server: Serving, photo: bytes) -> None:
    for option in ("score=0.5", "tiles=64"):
        status, _, body = server.request("POST", f"/v1/models/tiny:predict?{option}", photo)
        assert status == 400
        words = f"{option.partition('=')[0]} is for boxes, tiny answers with classification, embedding"
        assert words in json.loads(body)["error"]


def test_no_picture_and_no_route_say_what_to_do(server: Serving) -> None:
    status, _, body = server.request("POST", URL, b"")
    assert status == 400
    assert "send the image's bytes as the body" in json.loads(body)["error"]
    status, _, body = server.request("POST", "/detect", b"x")
    assert status == 404
    assert "GET / or /openapi.json lists what there is" in json.loads(body)["error"]
    assert server.json("GET", "/status")[1]["state"] == "ready"


def test_tensors_are_the_network_s_own(server: Serving) -> None:
    data = np.ones((1, 3, 48, 64), np.float32)
    given = {"name": "image", "datatype": "FP32", "shape": [1, 3, 48, 64], "data": data.ravel().tolist()}
    status, answer = server.json("POST", "/v2/models/toy-detector/infer", {"inputs": [given]})
    assert status == 200
    shapes = {output["name"]: (output["datatype"], output["shape"]) for output in answer["outputs"]}
    assert shapes["boxes"] == ("FP32", [1, 10, 4])
    assert shapes["classes"] == ("INT32", [1, 10])


def test_classifiers_and_detectors_share_a_process(server: Serving, photo: bytes) -> None:
    def ask(place: int) -> int:
        path = URL if place % 2 else "/v1/models/tiny:predict"
        status, _, body = server.request("POST", path, photo)
        assert ("boxes" in json.loads(body)["predictions"][0]) == bool(place % 2)
        return status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(80))) == {200}
