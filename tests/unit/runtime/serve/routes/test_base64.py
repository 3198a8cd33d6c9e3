"""Pictures in JSON as clients write them: base64 in lines, of either alphabet, padded or not, in data: URLs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird_runtime.serve.http.errors import BadRequest
from ovenbird_runtime.serve.http.messages import Request
from ovenbird_runtime.serve.routes.forms import PredictForm, read_form
from ovenbird_runtime.serve.settings import ServerLimits

DATA = bytes(range(256)) + b"\xfb\xff\xfe>?"


def read(image: Any, before: bytes = b"") -> PredictForm:
    request = Request()
    request.body = before + json.dumps({"image": image}).encode()
    request.headers = {"content-type": "application/json"}
    return read_form(request, ServerLimits())


@given(
    st.binary(min_size=1, max_size=300),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "\n", "\r\n", " "]),
    st.sampled_from(
        ["", "data:image/jpeg;base64,", "DATA:image/png;n=a.png;BASE64,", " data:;base64,", "data:;base64,\n"]
    ),
)
def test_every_way_of_writing_it(data: bytes, url_safe: bool, padded: bool, between: str, head: str) -> None:
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    lines = between.join(text[i : i + 76] for i in range(0, len(text), 76)) + between
    assert read(head + lines).images == (data,)


@pytest.mark.parametrize(
    "text", ["A", "AA=", "AA===", "AAAA====", "A*AA", "AAé=", "=AAA", "AA=A", "A=", "data:image/png,AAAA"]
)
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(BadRequest, match="image 0 is not base64"):
        read(text)


def test_urls_are_not_fetched() -> None:
    with pytest.raises(BadRequest, match="this server fetches nothing"):
        read("https://example.org/cat.jpg")


def test_byte_order_mark_is_ignored() -> None:
    assert read(base64.b64encode(DATA).decode(), b"\xef\xbb\xbf").images == (DATA,)


def test_what_is_made_of_a_body_is_counted() -> None:
    assert read(base64.b64encode(DATA).decode()).made_bytes == len(DATA)
    request = Request()
    request.body = DATA
    assert read_form(request, ServerLimits()).made_bytes == 0
