"""The C++ runtime's command for a processor: built once from its sources, then kept in the user's cache.

    find_runtime("aarch64", musl=False)      # .../ovenbird/runtimes/0c5e.../ovenbird-run, static

A compiler of this machine that makes code for the processor comes first, then ziglang, which makes it for every one and
links musl: about half the size. libjpeg-turbo is the system's where the code is for this machine, or built from the
sources that $OVENBIRD_JPEG_SOURCE names (a clone has them in build/ after ci/steps/jpeg_source.sh).
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ovenbird.baking.builders import last_line
from ovenbird.errors import BakeFailed
from ovenbird.linking.linkers import try_linker
from ovenbird.replacing import replacing
from ovenbird.resources import cache_folder, sources_folder

SOURCE_VARIABLE = "OVENBIRD_JPEG_SOURCE"
COMMAND = "ovenbird-run"
NOT_BUILT = ("example", "tests")
"""Folders of the sources that the command has nothing of."""
SMALL = ("-Os", "-flto", "-static", "-s")
"""What zig is always given, by CMake's own trials too: for each choice it builds its libraries, minutes of work. CMake
does not know that it optimises at link time, too: a fifteenth smaller."""
_HINT = "give one that is built by --runtime FILE"


def find_runtime(arch: str, musl: bool = False) -> Path:
    """Return a static `ovenbird-run` for `arch`, built where it is not in the cache. Raises BakeFailed."""
    sources = sources_folder() / "runtime" / "cpp"
    if not (sources / "CMakeLists.txt").is_file():
        raise BakeFailed(f"the C++ runtime is built from its sources, and {sources} has none; {_HINT}")
    compiler, jpeg = _find_compiler(arch, musl), _jpeg_source()
    foreign = arch != platform.machine() or compiler[0] == sys.executable
    if foreign and jpeg is None:
        raise BakeFailed(
            f"libjpeg-turbo for {arch} is built from its sources: name their folder in ${SOURCE_VARIABLE} "
            f"(in a clone ci/steps/jpeg_source.sh fetches them), or {_HINT}"
        )
    options, commands = _options(arch, jpeg), _commands(compiler)
    key = _digest(sources, [*options, *(word for name, words in commands.items() for word in (name, *words))])
    cache = cache_folder() / "runtimes" / key
    if not (cache / COMMAND).is_file():
        with tempfile.TemporaryDirectory(prefix="ovenbird-runtime-") as work:
            built = _build(sources, Path(work), options, commands)
            cache.mkdir(parents=True, exist_ok=True)
            with replacing(cache / COMMAND) as partial:
                shutil.copy(built, partial)
    return cache / COMMAND


def _find_compiler(arch: str, musl: bool) -> tuple[str, ...]:
    """Return the command of a C++ compiler. Raises BakeFailed with what was tried."""
    refused = []
    zig = f"python -m ziglang c++ -target {arch}-linux-musl"
    for candidate in (zig,) if musl else ("c++", f"{arch}-linux-gnu-g++", zig):
        command, why_not = try_linker(candidate, arch)
        if command:
            return command
        refused.append(f"{candidate} ({why_not})")
    raise BakeFailed(f"no C++ compiler for {arch}: tried {', '.join(refused)}; pip install ziglang, or {_HINT}")


def _jpeg_source() -> Path | None:
    given = os.environ.get(SOURCE_VARIABLE)
    for folder in (Path(given),) if given else (sources_folder() / "build" / "libjpeg-turbo",):
        if (folder / "jpeglib.h").is_file():
            return folder.resolve()
    return None


def _options(arch: str, jpeg: Path | None) -> list[str]:
    """Return CMake's options besides the compiler."""
    options = ["-DCMAKE_BUILD_TYPE=MinSizeRel", "-DOVENBIRD_STATIC_CLI=ON", "-DOVENBIRD_UNITY=ON"]
    if jpeg is not None:
        options.append(f"-DOVENBIRD_JPEG_SOURCE={jpeg}")
    if arch != platform.machine():
        options += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={arch}"]
    return options


def _commands(compiler: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the command of each tool by CMake's name for it."""
    if len(compiler) == 1:
        c_compiler = compiler[0].removesuffix("g++") + "gcc" if compiler[0].endswith("g++") else "cc"
        return {"CXX_COMPILER": [compiler[0]], "C_COMPILER": [c_compiler]}
    python, module, name, _, *rest = compiler
    tools = {
        "CXX_COMPILER": ["c++", *rest, *SMALL],
        "C_COMPILER": ["cc", *rest, *SMALL],
        "AR": ["ar"],
        "RANLIB": ["ranlib"],
    }
    return {tool: [python, module, name, *words] for tool, words in tools.items()}


def _digest(sources: Path, words: list[str]) -> str:
    """Return a name for what is built: of the sources' bytes, and of every word that builds them."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        if path.relative_to(sources).parts[0] in NOT_BUILT:
            continue
        digest.update(f"\0{path.relative_to(sources)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def _build(sources: Path, work: Path, options: list[str], commands: dict[str, list[str]]) -> Path:
    """Build the command in `work`. Raises BakeFailed with the compiler's last line."""
    missing = [tool for tool in ("cmake", "ninja") if shutil.which(tool) is None]
    if missing:
        raise BakeFailed(f"the C++ runtime is built by cmake and ninja; missing: {', '.join(missing)}; {_HINT}")
    tools = [f"-DCMAKE_{name}={_program(work / name.lower(), words)}" for name, words in commands.items()]
    folder = work / "build"
    for command in (
        ["cmake", "-S", str(sources), "-B", str(folder), "-G", "Ninja", *options, *tools],
        ["cmake", "--build", str(folder), "--target", COMMAND],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if "error" in line.lower()] or [done.stdout]
            compiler = shlex.join(commands["CXX_COMPILER"])
            raise BakeFailed(f"the C++ runtime does not build by {compiler}: {last_line(lines[0])}; {_HINT}")
    return folder / COMMAND


def _program(script: Path, words: list[str]) -> Path | str:
    """Return one program that is the command: itself, or a script where it has several words."""
    if len(words) == 1:
        return words[0]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script
