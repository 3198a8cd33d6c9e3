"""Every target has a Containerfile, printed by a command, and it keeps what an image is promised to be."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ovenbird.baking import containerfile
from ovenbird.baking.bake import target_platform
from ovenbird.baking.containerfile import read_container
from ovenbird.cli import main
from ovenbird.errors import TargetInvalid
from ovenbird.targets import target_folders

TARGETS = list(target_folders().values())


def write(folder: Path, text: str) -> Path:
    (folder / "target.toml").write_text(text)
    return folder


def render(folder: Path) -> str:
    return containerfile.render(read_container(folder))


@pytest.mark.parametrize("folder", TARGETS, ids=lambda folder: folder.name)
def test_a_command_prints_it(folder: Path) -> None:
    done = CliRunner().invoke(main, ["targets", folder.name, "--containerfile"], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, render(folder))
    assert f'compile "$MODEL" --target {folder.name} ' in done.stdout


def test_one_target_is_printed_at_a_time() -> None:
    done = CliRunner().invoke(main, ["targets", "--containerfile"])
    assert done.exit_code == 2
    assert "ovenbird targets NAME --containerfile" in done.stderr


@pytest.mark.parametrize("folder", TARGETS, ids=lambda folder: folder.name)
def test_every_containerfile_keeps_its_promises(folder: Path) -> None:
    text = render(folder)
    assert "@" not in re.sub(r'"\$@"', "", text), "a field of the template was not filled"
    stages = dict(
        re.findall(r"^FROM (.*?) AS (\w+)$", text, re.M)[i][::-1] for i in range(len(re.findall(r"^FROM", text, re.M)))
    )
    assert list(stages) == [
        "compiler",
        "compiled",
        "given",
        "artifact",
        "tools",
        "runtime",
        "model",
        "mounted",
        "embedded",
    ]
    for stage in ("compiler", "tools", "runtime"):
        assert re.search(r"\$\{\w*BASE\}$", stages[stage]), f"the base of {stage} is no build argument"
    runtime = text[text.index(" AS runtime") :]
    assert "RUN" not in runtime, "a stage of the target's architecture runs a command"
    assert "USER 65532:65532" in runtime
    assert "/v2/health/ready" in runtime
    for instruction in ("ENTRYPOINT", "CMD"):
        exec_form = re.search(rf"^{instruction} (\[.*\])$", runtime, re.M)
        assert exec_form, f"{instruction} would need a shell"
        assert isinstance(json.loads(exec_form[1]), list)


def test_a_target_chooses_its_base(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        'kind = "cuda"\narch = "aarch64"\n[container]\nbase = "cuda-base:13"\n',
    )
    text = render(folder)
    assert "ARG BASE=cuda-base:13" in text
    assert "FROM --platform=linux/arm64 ${BASE} AS runtime" in text
    assert "[serve,cuda]" in text
    assert './runtime ".[cuda]" $(test "$(uname -m)" = aarch64 || echo ziglang)' in text
    assert "NVIDIA_VISIBLE_DEVICES=all" in text
    assert '"--device", "cuda"]' in text


def test_a_target_may_say_how_it_serves(tmp_path: Path) -> None:
    assert '"--port", "8000", "--workers", "2"]' in render(write(tmp_path, '[container]\nserve = ["--workers", "2"]\n'))


def test_a_target_that_detects_its_machine_has_one_file(tmp_path: Path) -> None:
    container = read_container(write(tmp_path, 'summary = "this"\ndetect = true\n'))
    assert container.platform == ""
    assert "$(uname -m)" in render(tmp_path)
    assert target_platform(container) in ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('bose = "x"', r"unknown field 'bose'; did you mean base"),
        ("base = 3", r"container\.base is 3, expected a string"),
        ('serve = "x"', r"container\.serve is 'x', expected a list"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(TargetInvalid, match=says):
        read_container(write(tmp_path, f"[container]\n{table}\n"))


def test_the_package_has_the_template(tmp_path: Path) -> None:
    """The template is data of the package: it must be found beside the module, not in the checkout."""
    assert containerfile.TEMPLATE.is_file()
    assert shutil.copy(containerfile.TEMPLATE, tmp_path)
