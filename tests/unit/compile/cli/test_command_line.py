"""The command line's own work: what is read, what is refused, how an error is shown. Compiling is in tests/e2e."""

import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ovenbird.cli import main
from ovenbird.console.shared_options import parse_batches, parse_shapes
from ovenbird.errors import UsageError
from ovenbird.lowering.dumping import keep_kinds, parse_kinds
from ovenbird.process.progress import PlainProgress, Progress, TerminalProgress
from ovenbird.records.tuning_records import records_folder


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


TORCH_S_POLICY = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ["OMP_WAIT_POLICY"], flush=True)
            os._exit(0)

sys.meta_path.insert(0, Finder())
from ovenbird.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "command",
    [
        ("compile", "resnet18"),
        ("verify", str(Path(__file__).parents[3] / "support/schema1/tensors"), "--model", "resnet18"),
    ],
    ids=lambda command: command[0],
)
def test_waiting_threads_sleep_unless_the_user_said_what_they_do(command: tuple[str, ...]) -> None:
    for given, wanted in ((None, "passive"), ("active", "active")):
        variables = {} if given is None else {"OMP_WAIT_POLICY": given}
        done = subprocess.run(
            [sys.executable, "-c", TORCH_S_POLICY, *command],
            env={"PYTHONPATH": ":".join(sys.path), **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [wanted], done.stderr


def test_modules_are_imported_with_few_searches_for_circles() -> None:
    code = "import atexit, gc, ovenbird.cli; atexit.register(lambda: print(gc.get_threshold()[0])); ovenbird.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split()[-1]) >= 50_000


def test_help_is_quick() -> None:
    program = (
        "import sys, ovenbird.cli; ovenbird.cli.main(['--help'], standalone_mode=False); print(sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("compile", "inspect", "models", "run", "serve", "targets", "verify"):
        assert f"  {command} " in done.stdout
    for heavy in ("'torch'", "'tvm'", "'numpy'", "'rich'", "'PIL'"):
        assert heavy not in done.stdout


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(main, click.Group)
    for name in main.list_commands(click.Context(main)):
        if name not in ("run", "serve"):  # they hand their options over, --help included
            assert run(name, "--help") == 0
            assert "Usage: ovenbird" in capsys.readouterr().out


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compille", "resnet50") == 2
    assert "did you mean compile?" in capsys.readouterr().err


def test_models_and_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "--json") == 0
    names = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert names["resnet50"]["outputs"] == {"logits": "classification", "embedding": "embedding"}
    assert run("targets", "--json") == 0
    assert "host" in {one["name"] for one in json.loads(capsys.readouterr().out)}
    assert run("models") == 0
    assert run("targets") == 0
    assert "resnet50" in capsys.readouterr().out


def test_an_error_is_one_line_and_a_traceback_only_with_debug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", str(tmp_path)) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ArtifactNotFound: ")
    assert shown.count("\n") == 1
    assert run("--debug", "inspect", str(tmp_path)) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_called_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr("ovenbird.models.recipes", broken)
    assert run("models") == 1
    assert capsys.readouterr().err == (
        "error: internal: ZeroDivisionError: division by zero (a bug; --debug shows where)\n"
    )


def test_the_end_of_a_file_is_no_interruption(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click takes an EOFError for Ctrl-D at a prompt."""

    def broken() -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr("ovenbird.models.recipes", broken)
    assert run("models") == 1
    assert capsys.readouterr().err == (
        "error: internal: RuntimeError: EOFError: Ran out of input (a bug; --debug shows where)\n"
    )


def test_shapes_are_read_as_tvmc_writes_them() -> None:
    assert parse_shapes("image:[1,3,224,224]") == {"image": (1, 3, 224, 224)}
    assert parse_shapes("image:1x3x224x224") == {"image": (1, 3, 224, 224)}
    assert parse_shapes("a:1x2 b:[3,4] c:5") == {"a": (1, 2), "b": (3, 4), "c": (5,)}
    assert parse_shapes("a:[1, 2] b.1:[3], c:[]") == {"a": (1, 2), "b.1": (3,), "c": ()}
    for wrong in ("", "image", "image:1,2", "image:[1,x]", "image:[1,-2]", "image:[1", "image:1x", "image:x3"):
        with pytest.raises(UsageError, match="--input-shapes"):
            parse_shapes(wrong)


def test_batch_sizes_are_read() -> None:
    assert parse_batches("8,1,8") == (1, 8)
    for wrong in ("", "0", "1,", "-1", "1;8", "100000"):
        with pytest.raises(UsageError, match="--batch-sizes"):
            parse_batches(wrong)


def test_kinds_of_code_are_read_and_kept(tmp_path: Path) -> None:
    assert parse_kinds("relax, asm,relax") == ("relax", "asm")
    assert parse_kinds(None) == ()
    with pytest.raises(UsageError, match=r"did you mean relax\?"):
        parse_kinds("relay")
    for name in ("lowered.relax", "scheduled.tir", "model.ll", "model.asm", "mine.tir"):
        (tmp_path / name).write_text(name)
    keep_kinds(tmp_path, ("relax", "asm"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lowered.relax", "mine.tir", "model.asm"]


def test_records_that_are_not_there_are_wrong_usage(tmp_path: Path) -> None:
    from ovenbird.targets import load_target

    spec = load_target("host")
    assert records_folder("none", "resnet50", spec) is None
    assert records_folder(None, "no-such-network", spec) is None
    assert records_folder(str(tmp_path), "resnet50", spec) == tmp_path
    with pytest.raises(UsageError, match="no such folder"):
        records_folder(str(tmp_path / "none"), "resnet50", spec)


def test_an_installed_compiler_tunes_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ovenbird import resources
    from ovenbird.records.provenance import Provenance
    from ovenbird.records.tuning_records import own_folder
    from ovenbird.targets import load_target

    spec = load_target("host")
    package = tmp_path / "site-packages" / "ovenbird"
    brought = package / "_tuning_logs/host/resnet50"
    brought.mkdir(parents=True)
    made = Provenance.of(spec, "resnet50", {})
    made.write(brought)
    monkeypatch.setattr(resources, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    own = Path("tuning_logs/host/resnet50")
    assert own_folder("resnet50", spec) == own
    assert records_folder(None, "resnet50", spec) == brought
    own.mkdir(parents=True)
    assert records_folder(None, "resnet50", spec) == own

    # What another processor measured is passed over in silence, unless it is asked for.
    dataclasses.replace(made, target=made.target | {"mcpu": "i8086"}).write(own)
    assert records_folder(None, "resnet50", spec) == brought
    assert records_folder(str(own), "resnet50", spec) == own
    # What another TVM measured on this one is taken, and said to be stale.
    dataclasses.replace(made, versions=made.versions | {"tvm": "0.1"}).write(own)
    assert records_folder(None, "resnet50", spec) == own


def test_plain_progress_is_a_line_a_step() -> None:
    stream = io.StringIO()
    with PlainProgress(stream) as progress:
        progress("loading")
        for done in range(101):
            progress("tuning", done, 100)
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("] loading")
    assert len(lines) == 12
    assert lines[-1].endswith("tuning 100/100")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        progress("loading [bracketed]")
        progress("building", 1, 2)
    assert "building" in capsys.readouterr().err
    assert type(Progress.choose(quiet=True)) is Progress
