"""What users of other tools type first, as a session: it works, or one line says what is meant."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from ovenbird.backends.precisions import check_precision, parse_precision
from ovenbird.cli import main as compiler
from ovenbird.errors import UsageError
from ovenbird.targets import load_target
from ovenbird_runtime.cli import main as runtime
from ovenbird_runtime.console.spellings import _ADVICE, _COMMANDS, advice_on_option

MAINS: dict[str, click.Group] = {"ovenbird": compiler, "ovenbird-rt": runtime}


@dataclass(frozen=True)
class Done:
    """What a command printed on stderr, and how it ended."""

    code: object
    err: str


@pytest.fixture
def session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Done]:
    """Type a line, `ovenbird compile resnet18 --int8`, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def typed(line: str) -> Done:
        program, *words = line.split()
        with pytest.raises(SystemExit) as ended:
            MAINS[program].main(words, prog_name=program)
        return Done(ended.value.code, capsys.readouterr().err)

    return typed


REFUSED = [
    (
        "ovenbird compile net.onnx --int8",
        "No such option '--int8': arithmetic is f32, f16, bf16, int8 or auto",
    ),
    (
        "ovenbird compile net.onnx --best",
        "No such option '--best': arithmetic is f32, f16, bf16, int8 or auto",
    ),
    ("ovenbird compile --onnx=net.onnx", "No such option '--onnx': what to work on is an argument"),
    ("ovenbird compile -m net.onnx", "No such option '-m': what to work on is an argument"),
    ("ovenbird compile resnet18 --device cpu", "No such option '--device': --target says what to compile for"),
    ("ovenbird bench resnet18 --device CPU", "No such option '--device': --target says what to compile for"),
    ("ovenbird compile resnet18 --imgsz 320", "No such option '--imgsz': one shape for each input, --input-shapes"),
    ("ovenbird compile resnet18 --minShapes=x:1x3", "No such option '--minShapes'"),
    ("ovenbird compile resnet18 --force", "No such option '--force': an artifact in the way is replaced"),
    ("ovenbird compile resnet18 -v", "No such option '-v': progress is shown unless --quiet"),
    ("ovenbird compile resnet18 -O3", "No such option '-O': there is one level of optimisation"),
    ("ovenbird compile resnet18 --tagret host", "No such option '--tagret'; did you mean --target?"),
    ("ovenbird compile resnet18 --batch_sizes 1", "No such option '--batch_sizes'; did you mean --batch-sizes?"),
    ("ovenbird compile resnet18 --frobnicate", "No such option '--frobnicate'"),
    (
        "ovenbird compile resnet18 --target cuda-sm90 --precision W8A8",
        "UsageError: --precision int8: target cuda-sm90 computes in f32; int8 is for",
    ),
    (
        "ovenbird compile resnet18 --precision int4",
        "UsageError: --precision 'int4': there are f32, int8 and bf16 on targets of",
    ),
    ("ovenbird tune resnet18 --precision int8", "UsageError: --precision int8: there is no search for int8"),
    ("ovenbird tune resnet18 --fp16", "UsageError: --precision f16: on host it takes the records of f32"),
    ("ovenbird bench resnet18 --precision int4", "UsageError: --precision 'int4': there are f32, int8 and bf16 on"),
    ("ovenbird compile a:b --name a/b", "UsageError: --name: 'a/b' is no model's name"),
    ("ovenbird export net.onnx", "No such command 'export': here it is `ovenbird compile`"),
    ("ovenbird benchmark net.onnx", "No such command 'benchmark': here it is `ovenbird bench`"),
    ("ovenbird selftest artifacts/net", "No such command 'selftest': the runtime has it, `ovenbird-rt selftest`"),
    ("ovenbird help", "No such command 'help': ask `ovenbird --help` or `ovenbird COMMAND --help`"),
    ("ovenbird frobnicate", "No such command 'frobnicate'; known are bake, bench, compile,"),
    ("ovenbird-rt predict artifacts/net", "No such command 'predict': here it is `ovenbird-rt run`"),
    ("ovenbird-rt compile net.onnx", "No such command 'compile': that is done on the compiling machine"),
    ("ovenbird-rt run net a.jpg --fp16", "No such option '--fp16': an artifact's precision was chosen when"),
    ("ovenbird-rt run net a.jpg --top-k 5", "No such option '--top-k': how many classes to print is --top"),
    ("ovenbird-rt bench net --provider cuda", "No such option '--provider': where to run is --device cpu"),
    (
        "ovenbird-rt bench net -b 0",
        "Invalid value for '-b' / '--batch' / '--batch-size' / '--batch-sizes': '0': expected sizes of 1 to",
    ),
    ("ovenbird-rt bench net --iterations 0", "Invalid value for '--iterations'"),
    ("ovenbird-rt serve net --model-repository x", "No such option '--model-repository': artifacts are arguments"),
]


@pytest.mark.parametrize(("line", "answer"), REFUSED, ids=[line for line, _ in REFUSED])
def test_what_there_is_not_is_said_in_one_line(
    session: Callable[[str], Done], tmp_path: Path, line: str, answer: str
) -> None:
    done = session(line)
    assert done.code == 2
    assert re.sub(r"^error: |^Error: ", "", done.err.splitlines()[-1]).startswith(answer), done.err
    assert "did you mean --quiet" not in done.err
    assert not list(tmp_path.iterdir())


def test_targets_that_stay_in_f32_are_noted() -> None:
    both = [load_target("x86-64-v3"), load_target("cuda-sm80")]
    assert check_precision("int8", both) == "note: cuda-sm80 computes in f32"
    assert check_precision("f32", both) == ""
    assert check_precision("f16", both) == ""


def test_bf16_is_refused_where_no_instruction_multiplies_it() -> None:
    able = [load_target("x86-64-cooperlake"), load_target("aarch64-neoverse-v1")]
    assert check_precision("bf16", able) == ""
    with pytest.raises(
        UsageError, match=r"target x86-64-v4 has no instruction that multiplies bfloat16; .*x86-64-cooperlake"
    ):
        check_precision("bf16", [*able, load_target("x86-64-v4")])
    with pytest.raises(UsageError, match="target cuda-sm80 computes in f32; bf16 is for targets of kind llvm"):
        check_precision("bf16", [load_target("cuda-sm80")])


@pytest.mark.parametrize("text", ["f16", "F16", "fp16", "FP16", "half", "float16"])
def test_every_spelling_of_f16_is_read(text: str) -> None:
    assert parse_precision(text) == "f16"


def options_of(group: click.Group) -> set[str]:
    context = click.Context(group)
    commands = [group.get_command(context, name) for name in group.list_commands(context)]
    return {
        word
        for command in commands
        if command
        for param in command.params
        for word in (*param.opts, *param.secondary_opts)
    }


def test_advice_names_only_what_there_is() -> None:
    known = options_of(compiler) | options_of(runtime)
    names = {name for group in MAINS.values() for name in group.list_commands(click.Context(group))}
    for words, command, text in _ADVICE:
        assert set(re.findall(r"(?<!\S)-{1,2}[a-z][a-z0-9-]*", text)) <= known, text
        assert set(command.split()) <= names
        assert words == words.lower()
    assert set(_COMMANDS.values()) <= names


def test_no_advice_hides_an_option() -> None:
    for group in MAINS.values():
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            assert name not in _COMMANDS
    assert advice_on_option("compile", "--frobnicate") == ""


@pytest.mark.parametrize(
    ("program", "variable"), [("ovenbird", "_OVENBIRD_COMPLETE"), ("ovenbird_runtime", "_OVENBIRD_RT_COMPLETE")]
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(program: str, variable: str, shell: str) -> None:
    """By click; bash itself is asked for its version first."""
    words = {"bash": "x comp", "zsh": "x comp", "fish": "x comp"}[shell] if program == "ovenbird" else "x sel"
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        variable: f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": words.split()[1] if shell == "fish" else "1",
    }  # fmt: skip
    name = {"ovenbird": "ovenbird", "ovenbird_runtime": "ovenbird-rt"}[program]
    code = f"import sys; sys.argv[0] = '{name}'; from {program}.cli import main; main(prog_name='{name}')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert {"ovenbird": "compile", "ovenbird_runtime": "selftest"}[program] in done.stdout, done.stderr
