"""Linkers are found, or missed with what to install; a library that breaks its target's promises is refused."""

import dataclasses
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from ovenbird.errors import BuildFailed, LinkerMissing
from ovenbird.linking.library import check_library, examine_library
from ovenbird.linking.linkers import find_linker, try_linker
from ovenbird.targets import load_target

HERE = load_target("x86-64-v2" if platform.machine() == "x86_64" else "aarch64-generic")
OTHER = load_target("aarch64-generic" if platform.machine() == "x86_64" else "x86-64-v2")


def library(folder: Path, code: str) -> Path:
    source, path = folder / "code.c", folder / "code.so"
    source.write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


def test_the_machines_own_compiler_links_for_its_own_architecture_only() -> None:
    own = dataclasses.replace(HERE, linker=("c++",))
    assert Path(find_linker(own)[0]).name == "c++"
    with pytest.raises(LinkerMissing, match=rf"c\+\+ \(makes code for {HERE.arch}\)"):
        find_linker(dataclasses.replace(OTHER, linker=("c++",)))


def test_a_missing_linker_says_what_was_tried_and_what_to_install() -> None:
    spec = dataclasses.replace(OTHER, linker=("no-such-g++", "python -m no_such_module c++"))
    with pytest.raises(LinkerMissing, match=r"no-such-g\+\+ \(not found\), .*\(not installed\).*apt-get install"):
        find_linker(spec)


def test_a_python_module_is_a_linker_where_it_is_installed() -> None:
    command, why_not = try_linker("python -m platform --terse", "aarch64")
    assert command[1:] == ("-m", "platform", "--terse")
    assert not why_not


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_library_says_its_processor_and_the_glibc_it_needs(tmp_path: Path) -> None:
    path = library(tmp_path, '#include <stdio.h>\nint f(void) { return puts(""); }\n')
    arch, glibc = examine_library(path)
    assert arch == HERE.arch
    assert glibc.startswith("2.")
    check_library(path, HERE, "cc")
    with pytest.raises(BuildFailed, match=rf"needs glibc {glibc}, target x promises 2\.1"):
        check_library(path, dataclasses.replace(HERE, name="x", glibc="2.1"), "cc")
    with pytest.raises(BuildFailed, match=f"is for {HERE.arch}, target {OTHER.name} is {OTHER.arch}"):
        check_library(path, OTHER, "cc")


def test_what_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.so"
    path.write_bytes(b"not an ELF file")
    with pytest.raises(BuildFailed, match=r"model\.so is not a library"):
        examine_library(path)
