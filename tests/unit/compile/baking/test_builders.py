"""Which builder is chosen, what it is asked, what its failures mean. The builders are programs in a PATH of ours."""

import stat
from pathlib import Path

import pytest

from ovenbird.baking.builders import Build, ImageBuilder, find_builder
from ovenbird.baking.failures import explain
from ovenbird.errors import BakeFailed, BaseUnavailable, ForeignArchitecture, ImageStorageFull, NoBuilder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


NO_ENGINE = "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1"


def test_a_client_without_an_engine_is_not_chosen(programs: Path) -> None:
    install(programs, "docker", NO_ENGINE)
    wanted = install(programs, "buildah", "exit 0")
    assert find_builder() == ImageBuilder("buildah", str(wanted))


def test_docker_needs_buildx(programs: Path) -> None:
    install(programs, "docker", '[ "$1" = info ] || { echo "docker: no command buildx" >&2; exit 1; }')
    podman = install(programs, "podman", "exit 0")
    assert find_builder() == ImageBuilder("podman", str(podman))


def test_nothing_works_and_each_reason_is_said(programs: Path) -> None:
    install(programs, "docker", NO_ENGINE)
    with pytest.raises(
        NoBuilder, match=r"docker: Cannot connect .*podman: not installed; buildah: not installed.*apt-get"
    ):
        find_builder()
    with pytest.raises(NoBuilder, match=r"\(podman: not installed\)"):
        find_builder("podman")


BUILD = Build(
    containerfile=Path("Containerfile"),
    context=Path("context"),
    tag="net:t",
    platform="linux/arm64",
    arguments={"BASE": "base:arm64"},
    labels={"ovenbird.model": "net"},
    secrets={"pip": Path("pip.conf")},
    created=1_700_000_000,
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docker", "buildx build --load --platform linux/arm64 --build-arg SOURCE_DATE_EPOCH=1700000000"),
        ("podman", "build --format docker --layers --timestamp 1700000000"),
        ("buildah", "build --format docker --layers --timestamp 1700000000"),
    ],
)
def test_every_builder_gets_the_same_words(name: str, words: str) -> None:
    command = ImageBuilder(name, f"/bin/{name}").command(BUILD)  # type: ignore[arg-type]
    shared = (
        "--file Containerfile --target embedded --tag net:t --build-arg BASE=base:arm64 "
        "--label ovenbird.model=net --secret id=pip,src=pip.conf"
    )
    assert command[0] == f"/bin/{name}"
    assert command[-1] == "context"
    line = " ".join(command)
    assert all(word in line for word in words.split())
    for option in shared.split(" --"):
        assert option.removeprefix("--") in line


def test_a_failed_build_is_explained(programs: Path) -> None:
    program = install(
        programs, "buildah", 'echo "Error: building at STEP COPY: write: no space left on device" >&2; exit 125'
    )
    with pytest.raises(ImageStorageFull, match=r"no room to build net:t: buildah's storage is full; remove"):
        ImageBuilder("buildah", str(program)).build(BUILD)


@pytest.mark.parametrize(
    ("log", "kind", "says"),
    [
        (
            "Error: creating build container: short-name resolution: no such host",
            BaseUnavailable,
            "--build-arg BASE=",
        ),
        (
            "ERROR: failed to resolve source metadata for docker.io/library/python:3.12-slim: no such host",
            BaseUnavailable,
            "log in to its registry",
        ),
        ("/bin/sh: exec format error", ForeignArchitecture, "qemu-user-static"),
        (
            "ERROR: No matching distribution found for numpy==2.4.6\nError: building: exit status 1",
            BakeFailed,
            "No matching distribution found for numpy==2.4.6; check the package index",
        ),
        ("step 1\nError: something else\nlast words", BakeFailed, "Error: something else"),
        ("", BakeFailed, "--show-build"),
    ],
)
def test_a_log_has_a_meaning(log: str, kind: type[Exception], says: str) -> None:
    error = explain(log, "net:t", "docker")
    assert type(error) is kind
    assert says in str(error)
    assert "\n" not in str(error)


def test_files_come_out_of_a_container(programs: Path, tmp_path: Path) -> None:
    """docker sends a tar archive; what the image lacks is left out; the container is removed."""
    import io
    import tarfile

    archive = tmp_path / "file.tar"
    with tarfile.open(archive, "w") as opened:
        member = tarfile.TarInfo("sbom.json")
        member.size = 2
        opened.addfile(member, io.BytesIO(b"{}"))
    log = tmp_path / "log"
    program = install(
        programs,
        "docker",
        f'echo "$@" >> {log}\ncase "$1 $2" in "create net:t") echo c0ffee ;; '
        f'"cp c0ffee:/opt/sbom.json") /bin/cat {archive} ;; cp*) exit 1 ;; esac',
    )
    found = ImageBuilder("docker", str(program)).read_files("net:t", ("/opt/sbom.json", "/absent"))
    assert found == {"/opt/sbom.json": b"{}"}
    assert log.read_text().splitlines()[-1] == "rm c0ffee"
