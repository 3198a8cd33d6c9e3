"""The options of a prediction are the same ones, and are checked alike, in each form of a request."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from ovenbird_runtime.errors import WrongOption
from ovenbird_runtime.options import OPTION_NAMES, PredictOptions
from ovenbird_runtime.serve.http.errors import BadRequest
from ovenbird_runtime.serve.http.messages import Request
from ovenbird_runtime.serve.routes.forms import read_form
from ovenbird_runtime.serve.routes.openapi import document
from ovenbird_runtime.serve.routes.table import ROUTES
from ovenbird_runtime.serve.settings import ServerLimits

GIVEN = {"preprocess": "imagenet", "top": 5, "seed": 7, "embedding": True}
BOXES = {"score": 0.5, "iou": 0.25, "max_boxes": 9, "classes": "dog,7", "agnostic": True, "image_size": "320x480"}


def request_of(body: bytes, content_type: str, query: str = "") -> Request:
    request = Request()
    request.method, request.target, request.body = "POST", f"/v1/models/m:predict?{query}".encode(), body
    request.headers["content-type"] = content_type
    request.split_target()
    return request


def in_query(given: dict[str, Any]) -> Request:
    return request_of(b"picture", "image/jpeg", urlencode(given))


def in_json(given: dict[str, Any]) -> Request:
    return request_of(json.dumps({"images": ["cGljdHVyZQ=="], **given}).encode(), "application/json")


def in_fields(given: dict[str, Any]) -> Request:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in given.items()
    ]
    image = '--b\r\nContent-Disposition: form-data; name="image"\r\n\r\npicture\r\n--b--\r\n'
    return request_of("".join([*parts, image]).encode(), "multipart/form-data; boundary=b")


FORMS = [in_query, in_json, in_fields]


@pytest.mark.parametrize("form", FORMS)
def test_options_are_read_alike(form: Any) -> None:
    found = read_form(form(GIVEN), ServerLimits())
    assert found.options == PredictOptions(**GIVEN)
    assert [bytes(image) for image in found.images] == [b"picture"]


@pytest.mark.parametrize("form", FORMS)
def test_options_of_boxes_have_ultralytics_names_too(form: Any) -> None:
    expected = PredictOptions(
        seed=0, score=0.5, iou=0.25, max_boxes=9, classes=("dog", "7"), agnostic=True, image_size=(320, 480)
    )
    assert read_form(form(BOXES | {"seed": 0}), ServerLimits()).options == expected
    other = {"conf": 0.5, "iou": 0.25, "max_det": 9, "classes": "dog,7", "agnostic_nms": True, "imgsz": "320x480"}
    other |= {"seed": 0}
    assert read_form(form(other), ServerLimits()).options == expected
    with pytest.raises(BadRequest, match="both score and another name of it are given: give one"):
        read_form(form({"conf": 0.5, "score": 0.5}), ServerLimits())


def test_classes_are_a_list_in_json() -> None:
    assert read_form(in_json({"classes": ["a, b", 7]}), ServerLimits()).options.classes == ("a, b", "7")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", 1.5),
        ("iou", -1),
        ("iou", "nan"),
        ("score", "half"),
        ("max_boxes", 0),
        ("agnostic", 2),
        ("image_size", "3x3x3"),
        ("image_size", 0),
        ("tiles", "few"),
        ("tile_overlap", 0.95),
    ],
)
def test_wrong_options_of_boxes_are_refused(form: Any, name: str, value: Any) -> None:
    with pytest.raises((BadRequest, WrongOption), match=f"{name} is .*, expected"):
        read_form(form({name: value}), ServerLimits())


@pytest.mark.parametrize("form", FORMS)
def test_defaults_are_those_of_the_library(form: Any) -> None:
    found = read_form(form({}), ServerLimits()).options
    assert found == PredictOptions(seed=found.seed)
    assert found.seed != read_form(form({}), ServerLimits()).options.seed  # a fresh one each time


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), [("top", 0), ("top", 1001), ("seed", 1 << 63), ("seed", -1)])
def test_what_is_out_of_range_is_a_wrong_option(form: Any, name: str, value: int) -> None:
    with pytest.raises(WrongOption, match=f"{name} is {value}, expected a whole number from"):
        read_form(form({name: value}), ServerLimits())


@pytest.mark.parametrize("form", [in_query, in_fields])
def test_text_of_any_size_is_a_number(form: Any) -> None:
    with pytest.raises(WrongOption, match=r"seed is .*, expected a whole number from 0 to"):
        read_form(form({"seed": 1 << 70}), ServerLimits())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), [("top", "two"), ("seed", "1.5"), ("embedding", "perhaps")])
def test_what_cannot_be_read_is_a_bad_request(form: Any, name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=f"{name} is '{value}', expected"):
        read_form(form({name: value}), ServerLimits())


def test_document_lists_every_option() -> None:
    schema = msgspec.json.decode(msgspec.json.encode(document(ROUTES)))
    route = schema["paths"]["/v1/models/{model}:predict"]["post"]
    queried = [found["name"] for found in route["parameters"] if found["in"] == "query"]
    properties = schema["components"]["schemas"]["PredictRequest"]["properties"]
    assert tuple(queried) == (*OPTION_NAMES, "stream")
    assert tuple(name for name in properties if name != "images") == (*OPTION_NAMES, "stream")
