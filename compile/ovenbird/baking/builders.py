"""The programs that build images: which of them works here, and the same request in the words of each.

    builder = find_builder()              # docker, podman or buildah: the first that works
    builder.build(Build(containerfile, context, tag="resnet50:x86-64-v3"))
    builder.read_files("resnet50:x86-64-v3", ["/opt/ovenbird/sbom.cdx.json"])

A client without an engine (`docker` alone) is found by asking it, not by its name.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ovenbird.baking.failures import explain
from ovenbird.errors import BakeFailed, NoBuilder
from ovenbird_runtime.errors import one_line

BuilderName = Literal["docker", "podman", "buildah"]
NAMES: tuple[BuilderName, ...] = ("docker", "podman", "buildah")
PROBES: dict[BuilderName, tuple[tuple[str, ...], ...]] = {
    "docker": (("info", "--format", "{{.ServerVersion}}"), ("buildx", "version")),
    "podman": (("info", "--format", "{{.Version.Version}}"),),
    "buildah": (("info",),),
}
PROBE_SECONDS = 30
INSTALL_HINT = "Debian: apt-get install buildah"


@dataclass(frozen=True)
class Build:
    """One image to build. `target` is the Containerfile's stage, `created` seconds since 1970 for all times in it."""

    containerfile: Path
    context: Path
    tag: str
    target: str = "embedded"
    platform: str = "linux/amd64"
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    created: int | None = None
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageBuilder:
    """A builder that answered."""

    name: BuilderName
    program: str

    def command(self, build: Build) -> list[str]:
        """Return the command line that builds."""
        start = {"docker": ["buildx", "build", "--load"], "podman": ["build"], "buildah": ["build"]}[self.name]
        command = [self.program, *start, "--file", str(build.containerfile), "--target", build.target]
        command += ["--tag", build.tag]
        if self.name == "docker":
            command += ["--platform", build.platform]
        else:
            # The Containerfile names each stage's platform; with --platform, older buildahs overrule it in every stage.
            # HEALTHCHECK exists in Docker's format only; layers are kept for the next build, as docker does.
            command += ["--format", "docker", "--layers"]
        if build.created is not None:
            if self.name == "docker":
                command += ["--build-arg", f"SOURCE_DATE_EPOCH={build.created}"]
            else:
                command += ["--timestamp", str(build.created)]
        for name, value in build.arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        for name, value in build.labels.items():
            command += ["--label", f"{name}={value}"]
        for name, path in build.secrets.items():
            command += ["--secret", f"id={name},src={path}"]
        return [*command, *build.extra, str(build.context)]

    def build(self, build: Build, show: bool = False) -> None:
        """Build, with the builder's own output on stderr where `show`. Raises the BakeError that its log explains."""
        log: list[str] = []
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        command = self.command(build)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                log.append(line)
                if show:
                    click_echo(line)
        if process.returncode != 0:
            raise explain("".join(log), build.tag, self.name)

    def run(self, *arguments: str) -> bytes:
        """Run the builder; return what it printed. Raises BakeFailed with its last line."""
        done = subprocess.run([self.program, *arguments], capture_output=True, check=False)
        if done.returncode != 0:
            raise BakeFailed(f"{self.name} {arguments[0]} failed: {last_line(done.stderr.decode(errors='replace'))}")
        return done.stdout

    def inspect(self, image: str) -> dict[str, Any]:
        """Return an image's configuration in Docker's words: `Id`, `Architecture`,
        `Config` with `Labels`, `User` ...
        """
        if self.name == "buildah":
            described = json.loads(self.run("inspect", "--type", "image", image))
            docker = described["Docker"]
            return {
                "Id": f"sha256:{described['FromImageID']}",
                "Digest": described["FromImageDigest"],
                "Architecture": docker["architecture"],
                "Config": docker["config"],
            }
        found = json.loads(self.run("image", "inspect", image))[0]
        assert isinstance(found, dict)
        return found

    def has_image(self, image: str) -> bool:
        """Return whether the builder has an image of this name."""
        command = [self.program, "inspect", "--type", "image", image]
        if self.name != "buildah":
            command = [self.program, "image", "inspect", image]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def save(self, image: str, output: Path) -> None:
        """Write an image as a docker-archive, which keeps its HEALTHCHECK. Raises BakeFailed."""
        if output.is_file() and not output.is_symlink():  # not a device: /dev/null would be gone
            output.unlink()
        arguments = {
            "docker": ["save", "--output", str(output), image],
            "podman": ["save", "--format", "docker-archive", "--output", str(output), image],
            "buildah": ["push", "--quiet", image, f"docker-archive:{output}:{image}"],
        }[self.name]
        self.run(*arguments)

    def read_files(self, image: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Read files out of an image without running it; what is absent there is absent here. Raises BakeFailed."""
        if self.name == "buildah":
            return self._read_mounted(image, paths)
        container = self.run("create", image).decode().strip()
        try:
            found = {}
            for path in paths:
                command = [self.program, "cp", f"{container}:{path}", "-"]
                done = subprocess.run(command, capture_output=True, check=False)
                if done.returncode == 0:
                    found[path] = _only_member(done.stdout)
            return found
        finally:
            self.run("rm", container)

    def _read_mounted(self, image: str, paths: Sequence[str]) -> dict[str, bytes]:
        container = self.run("from", "--pull-never", image).decode().strip()
        try:
            root = Path(self.run("mount", container).decode().strip())
            files = {path: root / path.lstrip("/") for path in paths}
            return {path: file.read_bytes() for path, file in files.items() if file.is_file()}
        finally:
            self.run("rm", container)


def click_echo(line: str) -> None:
    """Show a line of a builder's log where progress goes."""
    import click

    click.echo(line, nl=False, err=True)


def find_builder(wanted: str | None = None) -> ImageBuilder:
    """Return the builder `wanted`, or the first of docker, podman, buildah that answers.

    Raises NoBuilder saying why.
    """
    reasons = []
    for name in NAMES if wanted is None else (name for name in NAMES if name == wanted):
        program = shutil.which(name)
        if program is None:
            reasons.append(f"{name}: not installed")
            continue
        why = _why_not(program, name)
        if not why:
            return ImageBuilder(name, program)
        reasons.append(f"{name}: {why}")
    found = "; ".join(reasons) or f"no builder is called {wanted!r}"
    raise NoBuilder(f"nothing here builds images ({found}); install one and start its engine ({INSTALL_HINT})")


def _why_not(program: str, name: BuilderName) -> str:
    """Return the reason why a builder does not work, or nothing where it does."""
    for arguments in PROBES[name]:
        try:
            done = subprocess.run(
                [program, *arguments], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"`{name} {arguments[0]}` gave no answer in {PROBE_SECONDS} s"
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        if done.returncode != 0:
            return last_line(done.stderr) or f"`{name} {arguments[0]}` ended with {done.returncode}"
    return ""


def last_line(text: str) -> str:
    """Return the last line that says something, cut to a terminal's width or two."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return one_line(lines[-1])[:300] if lines else ""


def _only_member(archive: bytes) -> bytes:
    """Return the content of the one file in what `docker cp` sends."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        file = opened.extractfile(opened.getmembers()[0])
        return file.read() if file is not None else b""
