"""Clients that others wrote, with their defaults: Java's, curl, Node's, requests, aiohttp; and .NET's bytes."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.serving import Serving

CLIENTS = Path(__file__).resolve().parents[2] / "support" / "clients"
PATH = "/v1/models/tiny:predict"


def run(*command: object) -> list[str]:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory, jpeg: bytes) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "a.jpg"
    path.write_bytes(jpeg)
    return path


@pytest.fixture(scope="module")
def url(server: Serving) -> str:
    return f"http://127.0.0.1:{server.port}{PATH}"


def test_java_is_answered(server: Serving, picture: Path) -> None:
    lines = run("java", CLIENTS / "JavaClient.java", f"http://127.0.0.1:{server.port}", "tiny", picture)
    assert lines == [
        "get 200 HTTP_1_1 false", "file 200 HTTP_1_1 true", "continue 200 HTTP_1_1 true", "chunked 200 HTTP_1_1 true",
        "json 200 HTTP_1_1 true",
    ]  # fmt: skip


def test_node_is_answered(server: Serving, picture: Path) -> None:
    lines = run("node", CLIENTS / "fetch.mjs", f"http://127.0.0.1:{server.port}", "tiny", picture)
    assert lines == [f"{what} 200 true" for what in ("bytes", "stream", "blob", "file", "json")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--http2", "--data-binary", "@{}"),
        ("--http2", "--data-binary", "@{}", "-H", "Transfer-Encoding: chunked"),
        ("--http2", "-T", "{}", "-X", "POST"),
        ("--http2", "-H", "Expect: 100-continue", "--data-binary", "@{}"),
        ("--http2", "-F", "image=@{}"),
        ("-F", "image=<{}"),
        ("-F", "image=@{};filename=", "-F", "top=1"),
        ("-F", "image=@{};type=image/jpeg;filename=\"a;b\\\"c.jpg\"", "-F", "top=1", "-F", "seed=7"),
        ("-F", "image=@{};encoder=8bit"),
        ("-0", "--data-binary", "@{}"),
        ("--http1.0", "-F", "image=@{}"),
        ("--compressed", "--data-binary", "@{}"),
    ],
)  # fmt: skip
def test_curl_is_answered(picture: Path, url: str, arguments: tuple[str, ...]) -> None:
    (line,) = run("curl", "-sS", *(part.format(picture) for part in arguments), url)
    assert json.loads(line)["predictions"], line


def test_curl_upgrades_and_goes_on(server: Serving, url: str, picture: Path) -> None:
    """Three requests with Upgrade on one connection; curl says how many it opened."""
    out = "%{http_code} %{http_version} %{num_connects}\\n"
    one = ("-o", "/dev/null", "--data-binary", f"@{picture}", "-w", out, url)
    lines = run("curl", "-sS", "--http2", *one, "--next", "--http2", *one, "--next", "--http2", *one)
    assert lines == ["200 1.1 1", "200 1.1 0", "200 1.1 0"]


def test_curl_that_knows_better_gets_an_error_at_once(url: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--max-time", "5", "--http2-prior-knowledge", url]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode not in (0, 28)  # an error at once, not a timeout


def test_curl_through_a_proxy(server: Serving, picture: Path) -> None:
    """The server in a proxy's place gets whole URLs (RFC 9112 3.2.2), with another host in them."""
    proxy = f"http://127.0.0.1:{server.port}"
    (line,) = run("curl", "-sS", "-x", proxy, "--data-binary", f"@{picture}", f"http://models.example{PATH}?top=1")
    assert len(json.loads(line)["predictions"]) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"image": ("a.jpg", "DATA", "image/jpeg")},
        {"image": (None, "DATA")},
        {"image": ("é\u20ac\"'.jpg", "DATA")},
        [("images", ("a.jpg", "DATA")), ("images", ("b.jpg", "DATA"))],
    ],
)
def test_requests_is_answered(url: str, jpeg: bytes, files: Any) -> None:
    import requests

    def filled(value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(jpeg if part == "DATA" else part for part in value)

    pairs = files if isinstance(files, list) else list(files.items())
    answer = requests.post(url, files=[(name, filled(value)) for name, value in pairs], data={"top": "1"}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == len(pairs)
    answer = requests.post(url, data=iter([jpeg[:100], jpeg[100:]]), timeout=30)  # chunked
    assert answer.status_code == 200


def test_aiohttp_is_answered(url: str, jpeg: bytes) -> None:
    import aiohttp

    async def ask() -> list[int]:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", jpeg, filename="a b.jpg", content_type="image/jpeg")
        form.add_field("top", "1")
        plain = aiohttp.FormData({"image": io.BytesIO(jpeg)})
        async with aiohttp.ClientSession() as session:
            found = []
            for body in (form, plain, jpeg):
                async with session.post(url, data=body) as answer:
                    found.append(answer.status)
            async with session.post(url, data=jpeg, expect100=True) as answer:
                found.append(answer.status)
            async with session.post(url, data=jpeg, compress="gzip") as answer:
                found.append(answer.status)
        return found

    assert asyncio.run(ask()) == [200] * 5


def test_the_standard_library_is_answered(server: Serving, jpeg: bytes) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for body in (jpeg, io.BytesIO(jpeg), [jpeg[:10], b"", jpeg[10:]]):
        chunked = not isinstance(body, bytes)
        client.request(
            "POST", PATH, body, encode_chunked=chunked, headers={"Transfer-Encoding": "chunked"} if chunked else {}
        )
        answer = client.getresponse()
        assert (answer.status, b"predictions" in answer.read()) == (200, True)
    client.close()


def test_dotnet_is_answered(server: Serving, jpeg: bytes) -> None:
    """`MultipartFormDataContent` quotes its boundary and, of the fields, nothing that is a token.

    As System.Net.Http writes it: `Content-Type` first where the content has one, `filename*` as well as `filename`.
    """
    mark = b"6f0d3a52-29d4-4f3e-9c8e-0d8f4a5b6c7d"
    parts = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=top\r\n\r\n1",
        b"Content-Disposition: form-data; name=image; filename=a.jpg; filename*=utf-8''a.jpg\r\n\r\n" + jpeg,
    )
    body = b"--" + mark + b"\r\n" + (b"\r\n--" + mark + b"\r\n").join(parts) + b"\r\n--" + mark + b"--\r\n"
    kind = f'multipart/form-data; boundary="{mark.decode()}"'
    status, _, answer = server.request("POST", PATH, body, {"Content-Type": kind})
    assert (status, len(json.loads(answer)["predictions"])) == (200, 1)
