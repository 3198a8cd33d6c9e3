"""Forms, encodings and metrics: pure functions on bytes."""

from __future__ import annotations

import contextlib
import gzip
import random
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird_runtime.serve.errors import STATUSES, status_of
from ovenbird_runtime.serve.http.encoding import compress, decompress
from ovenbird_runtime.serve.http.errors import BadRequest, BodyTooLarge, ServeError, UnsupportedContent
from ovenbird_runtime.serve.http.messages import Request, Response
from ovenbird_runtime.serve.http.multipart import parse_multipart
from ovenbird_runtime.serve.settings import ServerLimits
from ovenbird_runtime.serve.telemetry import metric_names
from ovenbird_runtime.serve.telemetry.metrics import Metrics

KIND = "multipart/form-data; boundary=mark"


def form(*parts: tuple[str, bytes]) -> bytes:
    return (
        b"".join(b"--mark\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + b"--mark--\r\n"
    )


def test_parts_come_in_their_order() -> None:
    body = form(
        (
            'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg',
            b"\r\n--mar\r\n\0",
        ),
        ('content-disposition: form-data; name="top"', b"3"),
    )
    first, second = parse_multipart(body, KIND, ServerLimits())
    assert (first.name, first.filename, bytes(first.content)) == ("image", "a.jpg", b"\r\n--mar\r\n\0")
    assert (second.name, second.filename, bytes(second.content)) == ("top", None, b"3")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--mark", b"--mark\r\n", b"--markX\r\n", b"--mark\r\nContent-Disposition: form-data\r\n\r\nx\r\n--mark--",
        b"--mark\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\nx\r\n--mark--", b"no boundary at all",
        b"--mark\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ntruncated",
        b"--mark\r\nContent-Disposition: form-data; name=\"a\"\r\n--mark--",
        b"--mark\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--mark--",
    ],
)  # fmt: skip
def test_damaged_forms_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_multipart(body, KIND, ServerLimits())


@pytest.mark.parametrize("kind", ["multipart/form-data", 'multipart/form-data; boundary=""', "x; boundary=" + "a" * 71])
def test_boundary_is_checked(kind: str) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        parse_multipart(b"--a--", kind, ServerLimits())


def test_forms_beyond_the_limits_are_refused() -> None:
    many = form(*[('Content-Disposition: form-data; name="a"', b"")] * 65)
    with pytest.raises(BadRequest, match="more than 64 parts"):
        parse_multipart(many, KIND, ServerLimits())
    with pytest.raises(BadRequest, match="5000 bytes, limit 4096"):
        parse_multipart(form(('Content-Disposition: form-data; name="a"', b"x" * 5000)), KIND, ServerLimits())


@pytest.mark.alone
def test_hostile_form_takes_linear_time() -> None:
    body = b"--mark\r\n" + b'Content-Disposition: form-data; name="a' + b"\r\n--mar" * 1_000_000
    start = time.monotonic()
    with pytest.raises(BadRequest):
        parse_multipart(body, KIND, ServerLimits())
    assert time.monotonic() - start < 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_form_crashes(data: bytes) -> None:
    for body in (
        data,
        b"--mark\r\n" + data + b"\r\n--mark--",
        form(('Content-Disposition: form-data; name="a"', data)),
    ):
        with contextlib.suppress(BadRequest):
            parse_multipart(body, KIND, ServerLimits())


def bare(data: bytes) -> bytes:
    """Deflate without zlib's wrapper, as some clients send it."""
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


PLAIN = b"abc" * 100
EMPTY = gzip.compress(b"")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(PLAIN), "gzip"),
        (gzip.compress(PLAIN), " X-GZIP "),
        (zlib.compress(PLAIN), "deflate"),
        (zlib.compress(PLAIN, 0), "deflate"),
        (bare(PLAIN), "deflate"),
        (PLAIN, ""),
        (PLAIN, "identity"),
        (gzip.compress(PLAIN[:7]) + gzip.compress(PLAIN[7:200]) + gzip.compress(PLAIN[200:]), "gzip"),
        (EMPTY + gzip.compress(PLAIN) + EMPTY + EMPTY, "gzip"),
        (b"".join(gzip.compress(PLAIN[i : i + 1]) for i in range(300)), "gzip"),
    ],
)
def test_every_encoding_is_unpacked(body: bytes, encoding: str) -> None:
    assert decompress(body, encoding, 300) == PLAIN


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bare])
def test_a_body_larger_than_a_piece(pack: Callable[[bytes], bytes]) -> None:
    noise = random.Random(0).randbytes(200_000)
    encoding = "gzip" if pack is gzip.compress else "deflate"
    assert decompress(pack(noise), encoding, 200_000) == noise
    with pytest.raises(BodyTooLarge):
        decompress(pack(noise), encoding, 199_999)


def test_nothing_in_a_member() -> None:
    assert decompress(EMPTY, "gzip", 300) == b""
    assert decompress(EMPTY + EMPTY, "gzip", 0) == b""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40_000), min_size=1, max_size=6))
def test_members_are_read_as_gzip_does(parts: list[bytes]) -> None:
    body = b"".join(map(gzip.compress, parts))
    assert decompress(body, "gzip", 1 << 20) == gzip.decompress(body) == b"".join(parts)


BOMB = gzip.compress(b"\0" * 50_000_000)


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (gzip.compress(b"a" * 301), "gzip", BodyTooLarge),
        (BOMB, "gzip", BodyTooLarge),
        (gzip.compress(b"abc") + BOMB, "gzip", BodyTooLarge),
        (gzip.compress(b"a" * 300) + gzip.compress(b"a"), "gzip", BodyTooLarge),
        (zlib.compress(b"a" * 301), "deflate", BodyTooLarge),
        (bare(b"\0" * 50_000_000), "deflate", BodyTooLarge),
        (gzip.compress(b"abc")[:-3], "gzip", BadRequest),
        (gzip.compress(b"abc") + b"x", "gzip", BadRequest),
        (gzip.compress(b"abc") + bytes(8), "gzip", BadRequest),
        (gzip.compress(b"abc") + zlib.compress(b"abc"), "gzip", BadRequest),
        (gzip.compress(b"abc") + EMPTY[:1], "gzip", BadRequest),
        (gzip.compress(b"abc") + EMPTY[:9], "gzip", BadRequest),
        (gzip.compress(b"abc") + EMPTY[:-1], "gzip", BadRequest),
        (gzip.compress(b"abc")[:-8] + bytes(8), "gzip", BadRequest),
        (EMPTY * 5000, "gzip", BadRequest),
        (EMPTY * 500_000, "gzip", BadRequest),
        (b"abc", "gzip", BadRequest),
        (b"", "gzip", BadRequest),
        (zlib.compress(b"abc"), "gzip", BadRequest),
        (gzip.compress(b"abc"), "deflate", BadRequest),
        (zlib.compress(b"abc")[:-1], "deflate", BadRequest),
        (zlib.compress(b"abc") * 2, "deflate", BadRequest),
        (bare(b"abc") + b"x", "deflate", BadRequest),
        (bare(b"abc")[:-1], "deflate", BadRequest),
        (b"", "deflate", BadRequest),
        (b"abc", "br", UnsupportedContent),
        (b"abc", "gzip, gzip", UnsupportedContent),
    ],
)
def test_damaged_encodings_are_refused(body: bytes, encoding: str, error: type[ServeError]) -> None:
    with pytest.raises(error):
        decompress(body, encoding, 300)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("GZIP ; Q=0.001", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0.0", None),
        ("gzip; q=0.000", None),
        ("gzip;q=0., deflate;q=1.0", "deflate"),
        ("gzip;q=00, deflate;q=0.0", None),
        ("gzip;q=none", None),
        ("br", None),
        ("", None),
    ],
)
def test_an_answer_is_packed_as_accepted(accept: str, chosen: str | None) -> None:
    response = compress(Response(200, b"a" * 5000), accept)
    assert dict(response.headers).get("Content-Encoding") == chosen
    if chosen:
        assert decompress(response.body, chosen, 5000) == b"a" * 5000


@pytest.mark.parametrize(
    "target", [b"*", b"ftp://a/", b"http://", b"http:///v2", b"http://u@a/", b"/\xff", b"/%ff", b"", b"//a"]
)
def test_a_target_is_split_into_path_and_query(target: bytes) -> None:
    request = Request()
    request.target = target
    if target == b"//a":
        request.split_target()
        assert request.path == "//a"
        return
    with pytest.raises(BadRequest):
        request.split_target()


def test_every_error_has_a_status() -> None:
    def families(kind: type[ServeError]) -> list[type[ServeError]]:
        return [kind, *(found for sub in kind.__subclasses__() for found in families(sub))]

    missing = [
        kind.__name__ for kind in families(ServeError)[1:] if kind not in STATUSES and kind.__name__ != "StartFailed"
    ]
    assert missing == []
    assert status_of(ValueError()).http == 500


def test_metrics_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.add(metric_names.REQUESTS, 2, "predict", '20"0\n')
    for value in (0.00005, 0.3, 100.0):
        metrics.observe(metric_names.COMPUTE, value, "m")
    text = metrics.expose()
    assert 'ovenbird_requests_total{route="predict",status="20\\"0\\n"} 2\n' in text
    assert 'ovenbird_compute_seconds_bucket{model="m",le="0.0001"} 1\n' in text
    assert 'ovenbird_compute_seconds_bucket{model="m",le="0.5"} 2\n' in text
    assert 'ovenbird_compute_seconds_bucket{model="m",le="+Inf"} 3\n' in text
    assert metrics.total(metric_names.COMPUTE, "m") == pytest.approx(100.30005)
    assert len({name.name for name in metric_names.ALL}) == len(metric_names.ALL)
