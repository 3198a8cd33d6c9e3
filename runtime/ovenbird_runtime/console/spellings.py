"""What users of other tools type first, and what says the same here: a line of advice instead of a wrong guess.

    @click.group(cls=GuidedGroup)
    def main() -> None: ...

    $ ovenbird compile net.onnx --int8
    Error: No such option '--int8': arithmetic is f32, f16, bf16, int8 or auto, ...

Options that mean the same are aliases where they are declared. Here are those that do not, of tvmc, trtexec, ovc,
benchmark_app, polygraphy, ONNX Runtime's tools, optimum-cli, ultralytics, Triton and perf_analyzer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

import click

CLOSE = 0.8
"""How alike two words are, of 1, before one is offered for the other."""

ANY = ""
_PRECISION = "arithmetic is f32, f16, bf16, int8 or auto, as the target can (ovenbird compile --precision)"
_COMPILED = "an artifact's precision was chosen when it was compiled (ovenbird compile --precision)"
_ARGUMENT = "what to work on is an argument without an option"
_ONE_LEVEL = "there is one level of optimisation; `ovenbird tune` searches for faster schedules"
_SHAPES = 'one shape for each input, --input-shapes "image:[1,3,224,224]"; sizes of batches are --batch-sizes 1,8'

# options, the commands (any where empty), the advice
_ADVICE: tuple[tuple[str, str, str], ...] = (
    ("--int8 --int4 --fp8 --bf16 --best --quantize --quantise --weight-format", ANY, _PRECISION),
    ("--calib --calibration --calibration-data --dataset", ANY, "ovenbird compile --precision int8 --calibrate FOLDER"),
    ("--fp16 --half --fp32 --precision --dtype --compress-to-fp16", ANY, _COMPILED),
    ("--model -m --onnx --model-path --input-model --path --load-engine", ANY, _ARGUMENT),
    ("--model-repository --model-store --model-dir", ANY, "artifacts are arguments: serve DIR, or serve NAME=DIR"),
    ("--min-shapes --opt-shapes --max-shapes --dynamic-shapes --dynamic-axes --dynamic", ANY, _SHAPES),
    ("--imgsz --img-size --image-size --input", "compile", _SHAPES),
    ("--opset --simplify --optimize-onnx", "compile", "files are read as they are, of any opset that TVM imports"),
    ("--optimize --opt-level --optimization-level --builder-optimization-level --workspace -o", ANY, _ONE_LEVEL),
    ("--save-engine --engine --saveengine", ANY, "the artifact's folder is -o DIR"),
    ("--device --gpu --cuda", "compile tune bake bench verify",
     "--target says what to compile for: host, cuda-sm90 ... (`ovenbird targets`)"),
    ("--provider --providers --execution-provider --backend -e", ANY, "where to run is --device cpu or --device cuda"),
    ("--gpu --cuda --use-gpu", ANY, "where to run is --device cuda"),
    ("--force --overwrite --yes -f -y", ANY, "an artifact in the way is replaced without asking, and nothing else is"),
    ("--verbose -v --log-level --loglevel", ANY, "progress is shown unless --quiet, an error's traceback with --debug"),
    ("--http-port --listen", ANY, "HTTP is on --port, gRPC on --grpc-port"),
    ("--concurrency --concurrency-range --streams --nstreams --num-streams", ANY,
     "calls at one time are --workers of `ovenbird-rt bench`, clients are `ovenbird-rt load`'s"),
    ("--num-threads --nthreads --intra-op --intra-op-threads", ANY, "threads of one call are --threads"),
    ("--shape --hint --infer-precision", ANY, "sizes of batches are --batch; shapes and precision are the artifact's"),
    ("--top-k --topk -k", ANY, "how many classes to print is --top"),
    ("--confidence --conf --iou", ANY, "outputs are not filtered; how many classes to print is --top"),
)  # fmt: skip

_COMMANDS = {
    "export": "compile", "build": "compile", "convert": "compile", "optimize": "compile", "trace": "compile",
    "predict": "run", "infer": "run", "inference": "run", "test": "verify", "check": "verify", "validate": "verify",
    "benchmark": "bench", "perf": "bench", "profile": "bench", "info": "inspect", "show": "inspect", "list": "models",
    "package": "bake", "docker": "bake", "container": "bake", "server": "serve", "start": "serve", "tuning": "tune",
    "autotune": "tune", "autotvm": "tune", "micro": "targets",
}  # fmt: skip
"""Commands of other tools, and ours that does the work."""


def advice_on_option(command: str, name: str) -> str:
    """Return the advice on an option that `command` does not have, or nothing."""
    plain = name.lower().replace("_", "-")
    found = [(of, text) for words, of, text in _ADVICE if plain in words.split()]
    special = [text for of, text in found if command in of.split()]
    return next(iter([*special, *(text for of, text in found if of == ANY)]), "")


def close_to(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean --target?` for an option or a command that is close to a known one, or nothing."""
    close = get_close_matches(name.lower().replace("_", "-"), list(known), n=1, cutoff=CLOSE)
    return f"; did you mean {close[0]}?" if close else ""


class GuidedGroup(click.Group):
    """A group that answers an unknown option or command with the one that is meant, where that is known."""

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Commands that another program has, and what to say to who types them here."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an option it does not have is explained."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _explained(error) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and say which is meant by one that there is not."""
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}{self._meant(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str:
        known, program = self.list_commands(ctx), ctx.info_name
        ours = _COMMANDS.get(name.lower(), name)
        if name == "help":
            return f": ask `{program} --help` or `{program} COMMAND --help`"
        if ours in known:
            return f": here it is `{program} {ours}`"
        return f": {self.elsewhere[ours]}" if ours in self.elsewhere else close_to(name, known) or _listed(known)


def _listed(known: Iterable[str]) -> str:
    return f"; known are {', '.join(known)}"


def _explained(error: click.NoSuchOption) -> click.UsageError:
    name, context = error.option_name, error.ctx
    command = (context.info_name if context is not None else "") or ""
    params = context.command.params if context is not None else []
    known = [spelling for param in params for spelling in (*param.opts, *param.secondary_opts)]
    advice = advice_on_option(command, name)
    text = f": {advice}" if advice else close_to(name, known) if len(name) > len("-x") else ""
    return click.UsageError(f"No such option {name!r}{text}", ctx=context)
