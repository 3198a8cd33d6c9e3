"""A real registry on loopback, Debian's docker-registry: pushed, pulled, refused; what its disk lies about is found."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ovenbird.cli import main
from support.signing import Signer
from support.tiny_artifact import copy_tiny

pytest.importorskip("oras")
REGISTRY = shutil.which("docker-registry") or "/usr/bin/docker-registry"
CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}
"""


def start(folder: Path, auth: str = "") -> tuple[subprocess.Popen[bytes], int]:
    if not Path(REGISTRY).exists():
        pytest.skip("no docker-registry here: apt-get install docker-registry")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    folder.mkdir()
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port, auth=auth))
    process = subprocess.Popen([REGISTRY, "serve", folder / "config.yml"], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address, and the folder of its files."""
    folder = tmp_path_factory.mktemp("registry") / "served"
    process, port = start(folder)
    yield f"127.0.0.1:{port}", folder / "data"
    process.kill()
    process.wait()


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return copy_tiny(tmp_path)


def run(*arguments: object) -> tuple[int, str, str]:
    """Run a command of `ovenbird` here."""
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    return done.exit_code, done.stdout, done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pushed_and_pulled(registry: tuple[str, Path], artifact: Path, tmp_path: Path) -> None:
    host, _ = registry
    Signer(1).sign(artifact)
    code, out, err = run("push", artifact, f"{host}/models/tiny:1", "--plain-http", "-q", "--json")
    assert code == 0, err
    pushed = json.loads(out)
    assert pushed["moved"] == pushed["bytes"] > 0
    code, out, err = run("push", artifact, f"{host}/models/tiny:2", "--plain-http", "-q", "--json")
    assert (code, json.loads(out)["moved"]) == (0, 0), err
    key = Signer(1).public_file(tmp_path)
    address = f"{host}/models/tiny@{pushed['digest']}"
    code, out, err = run("pull", address, "-o", tmp_path / "again", "--plain-http", "-q", "--public-key", key)
    assert code == 0, err
    assert pushed["digest"] in out
    assert Signer(1).public.id in out
    assert contents(tmp_path / "again") == contents(artifact)


def test_an_artifact_is_found_by_no_wrong_name(registry: tuple[str, Path], artifact: Path, tmp_path: Path) -> None:
    host, _ = registry
    assert run("push", artifact, f"{host}/tiny:1", "--plain-http", "-q")[0] == 0
    for name in ("tiny:2", "other:1", f"tiny@sha256:{'0' * 64}"):
        code, _, err = run("pull", f"{host}/{name}", "-o", tmp_path / "x", "--plain-http", "-q")
        assert code == 1
        assert err.startswith("error: RegistryFailed: ")
        assert len(err.splitlines()) == 1
        assert "404" in err


def test_a_changed_blob_on_the_registrys_disk(registry: tuple[str, Path], artifact: Path, tmp_path: Path) -> None:
    host, data = registry
    assert run("push", artifact, f"{host}/spoilt:1", "--plain-http", "-q")[0] == 0
    labels = (artifact / "labels.txt").read_bytes()
    (stored,) = (path for path in data.rglob("data") if path.is_file() and path.read_bytes() == labels)
    stored.write_bytes(labels.swapcase())
    try:
        code, _, err = run("pull", f"{host}/spoilt:1", "-o", tmp_path / "x", "--plain-http", "-q")
    finally:
        stored.write_bytes(labels)
    assert code == 1
    assert "RegistryFailed" in err
    assert "labels.txt" in err
    assert not (tmp_path / "x").exists()


def test_a_signature_may_be_required(registry: tuple[str, Path], artifact: Path, tmp_path: Path) -> None:
    host, _ = registry
    assert run("push", artifact, f"{host}/unsigned:1", "--plain-http", "-q")[0] == 0
    key = Signer(1).public_file(tmp_path)
    code, _, err = run("pull", f"{host}/unsigned:1", "-o", tmp_path / "x", "--plain-http", "-q", "--public-key", key)
    assert code == 1
    assert "SignatureMissing" in err


def test_nobody_listens(artifact: Path) -> None:
    code, _, err = run("push", artifact, "127.0.0.1:9/tiny:1", "--plain-http", "-q")
    assert code == 1
    assert err.startswith("error: RegistryFailed: 127.0.0.1:9")
    assert len(err.splitlines()) == 1


def test_dockers_credentials_are_used(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that wants a password: refused without, taken with what `docker login` wrote."""
    # bcrypt of "secret", cost 4: htpasswd's only kind that docker-registry reads
    (tmp_path / "htpasswd").write_text("user:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
    auth = f"auth: {{htpasswd: {{realm: test, path: {tmp_path / 'htpasswd'}}}}}"
    process, port = start(tmp_path / "served", auth)
    try:
        monkeypatch.setenv("HOME", str(tmp_path))
        code, _, err = run("push", artifact, f"127.0.0.1:{port}/tiny:1", "--plain-http", "-q")
        assert code == 1
        assert "docker login" in err
        (tmp_path / ".docker").mkdir()
        entry = {"auth": base64.b64encode(b"user:secret").decode()}
        (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {f"127.0.0.1:{port}": entry}}))
        code, _, err = run("push", artifact, f"127.0.0.1:{port}/tiny:1", "--plain-http", "-q")
        assert code == 0, err
    finally:
        process.kill()
        process.wait()
