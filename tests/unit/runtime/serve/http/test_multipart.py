"""Forms as clients write them: names as tokens, in any case, padded, folded; pictures without a filename."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird_runtime.serve.http.errors import BadRequest
from ovenbird_runtime.serve.http.messages import Request
from ovenbird_runtime.serve.http.multipart import parse_multipart
from ovenbird_runtime.serve.routes.forms import read_form
from ovenbird_runtime.serve.settings import ServerLimits

PICTURE = b"\xff\xd8\r\n--mar\r\n\0" * 1000
KIND = "multipart/form-data; boundary=mark"


def one(head: str) -> bytes:
    return b"--mark\r\n" + head.encode() + b"\r\n\r\n" + PICTURE + b"\r\n--mark--\r\n"


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="image"; filename="a.jpg"',
        "Content-Disposition: form-data; name=image; filename=a.jpg; filename*=utf-8''a.jpg",
        "content-disposition:form-data;name=image;filename=a.jpg",
        "CONTENT-DISPOSITION: FORM-DATA; NAME=image; FILENAME=a.jpg",
        'Content-Disposition: form-data ; name = "image" ; filename = "a.jpg"',
        'Content-Disposition: form-data;\r\n name="image";\r\n\tfilename="a.jpg"',
        'Content-Disposition: form-data; filename="a.jpg"; name="image"',
        'Content-Disposition: form-data; filename="a;name=top;.jpg"; name="image"',
        r'Content-Disposition: form-data; filename="a\"; name=\"top.jpg"; name="image"',
        'Content-Disposition: form-data; name="image"; filename="é; ü.jpg"',
        "Content-Disposition: form-data; name=image; filename*=UTF-8''%e2%82%ac%20rates.jpg",
        'Content-Disposition: form-data; name=image; filename="=?utf-8?B?4oKsLmpwZw==?="',
        r'Content-Disposition: form-data; name="image"; filename="C:\pictures\a.jpg"',
        'Content-Disposition: form-data; name="image"; filename="' + "a" * 1000 + '"',
        'Content-Type: image/jpeg\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Length: 9',
        'Content-Transfer-Encoding: binary\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"',
        'content-transfer-encoding:  8BIT \r\nContent-Disposition: form-data; name="image"; filename="a.jpg"',
    ],
)
def test_one_picture_as_clients_send_it(head: str) -> None:
    (part,) = parse_multipart(one(head), KIND, ServerLimits())
    assert (part.name, bytes(part.content)) == ("image", PICTURE)
    assert part.filename


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/form-data; boundary="mark"',
        "multipart/form-data;boundary=mark",
        "Multipart/Form-Data; Boundary=mark",
        "multipart/form-data; BOUNDARY=mark",
        "multipart/form-data; charset=utf-8; boundary=mark",
        "multipart/form-data; boundary=mark; charset=utf-8",
        "multipart/form-data ; boundary = mark ",
        r'multipart/form-data; boundary="m\ark"',
    ],
)
def test_boundary_as_clients_write_it(kind: str) -> None:
    (part,) = parse_multipart(one('Content-Disposition: form-data; name="image"; filename="a"'), kind, ServerLimits())
    assert part.content == PICTURE


def test_preamble_padding_and_epilogue() -> None:
    body = (
        b"This is a message of many parts.\r\n--mark \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
        b"--mark\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--mark--  \r\nand after it\r\n--mark\r\n"
    )
    assert [(part.name, bytes(part.content)) for part in parse_multipart(body, KIND, ServerLimits())] == [
        ("a", b"1"),
        ("b", b""),
    ]


def request(body: bytes, kind: str = KIND) -> Request:
    made = Request()
    made.body, made.headers = body, {"content-type": kind}
    return made


@pytest.mark.parametrize("name", ["image", "images", "file", "files"])
def test_picture_without_a_filename(name: str) -> None:
    """`curl -F 'image=<a.jpg'`, requests' `files={"image": (None, data)}`."""
    form = read_form(request(one(f"Content-Disposition: form-data; name={name}")), ServerLimits())
    assert [bytes(image) for image in form.images] == [PICTURE]
    assert len(PICTURE) > ServerLimits().field_bytes


def test_other_fields_keep_their_limit() -> None:
    with pytest.raises(BadRequest, match=r"'top' has \d+ bytes, limit 4096 \(--max-field-bytes\)"):
        read_form(request(one("Content-Disposition: form-data; name=top")), ServerLimits())


def test_file_field_that_nobody_filled() -> None:
    empty = 'Content-Disposition: form-data; name="file"; filename=""\r\nContent-Type: application/octet-stream'
    body = b"--mark\r\n" + empty.encode() + b"\r\n\r\n\r\n" + one("Content-Disposition: form-data; name=image")
    assert [bytes(image) for image in read_form(request(body), ServerLimits()).images] == [PICTURE]


@pytest.mark.parametrize(
    "head",
    [
        "Content-Disposition: form-data", "Content-Type: image/jpeg", "name=image", "",
        "Content-Disposition: form-data; filename=a", 'Content-Disposition: form-data; name="image',
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=a",
    ],
)  # fmt: skip
def test_parts_that_are_none(head: str) -> None:
    with pytest.raises(BadRequest):
        parse_multipart(one(head), KIND, ServerLimits())


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="' + ";" * 3900, 'Content-Disposition: form-data; name="' + '\\"' * 1900,
        "Content-Disposition: form-data;" + " " * 3900 + "x", "Content-Disposition: form-data" + ";" * 3900,
        "Content-Disposition: form-data; name" + " " * 3900 + "x", "Content-Disposition: x; name=" + " " * 3900 + '"',
        "Content-Disposition: x\r\n" + " " * 3900 + "x", 'Content-Disposition: x; name="a"' + " " * 3900 + "x",
        "Content-Disposition: form-data; name=a; " + "filename*0*=a; " * 60, "A:\r\n" * 900,
    ],
)  # fmt: skip
@pytest.mark.alone
def test_hostile_headers_take_little_time(head: str) -> None:
    body = (b"--mark\r\n" + head.encode() + b"\r\n\r\n\r\n") * 64 + b"--mark--"
    start = time.monotonic()
    with contextlib.suppress(BadRequest):
        parse_multipart(body, KIND, ServerLimits())
    assert time.monotonic() - start < 2


PARAMETER = st.tuples(
    st.sampled_from(["name", "NAME", "name*", "name*0", "name*1*", "filename", "filename*", "filename*99", "", "x"]),
    st.sampled_from(["=", " = ", "", "=="]),
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(['"a"', "utf-8''a", "x'y'z", "'", '"', '\\"', "\0''a"]),
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PARAMETER, max_size=6))
def test_no_header_crashes(parameters: list[str]) -> None:
    with contextlib.suppress(BadRequest):
        parse_multipart(one("Content-Disposition: form-data; " + ";".join(parameters)), KIND, ServerLimits())
    with contextlib.suppress(BadRequest):
        parse_multipart(one("a: b"), "multipart/form-data; " + ";".join(parameters), ServerLimits())
