"""The command `ovenbird-rt serve`: one option for each setting.

ovenbird-rt serve artifacts/resnet50 detector=artifacts/tiny-yolov2-voc --port 8000
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import click

from ..console.installing import install_hint
from ..console.signals import CAUGHT
from ..errors import OvenbirdError, WrongModelName
from ..limits import MAX_THREADS, MAX_WORKERS
from ..manifest.agreement import Precision
from .settings import ModelSource, ServerLimits, Settings

_DEFAULT = Settings(artifacts=())
_PORT = click.IntRange(0, 65535)
_COUNT = click.IntRange(1)
_SECONDS = click.FloatRange(0.01)

# option, the field of ServerLimits, its type, its help
_LIMITS: tuple[tuple[str, str, Any, str], ...] = (
    ("--max-body-bytes", "body_bytes", _COUNT, "Largest body, also after unpacking."),
    ("--max-buffered-bytes", "buffered_bytes", _COUNT, "Requests and answers in memory at one time."),
    ("--max-header-bytes", "header_bytes", _COUNT, "Target and headers together; trailers too."),
    ("--max-headers", "headers", _COUNT, "Header fields, repeated ones and trailers too."),
    ("--max-megapixels", "megapixels", click.FloatRange(0.0001), "Largest image."),
    ("--header-seconds", "header_seconds", _SECONDS, "Time for the headers."),
    ("--body-seconds", "body_seconds", _SECONDS, "Time for the body."),
    ("--write-seconds", "write_seconds", _SECONDS, "Time for a client to read its answer."),
    ("--keep-alive-seconds", "keep_alive_seconds", _SECONDS, "Time between requests of one connection."),
    ("--max-connections", "connections", _COUNT, "Open connections."),
    ("--max-parts", "parts", _COUNT, "Fields and files of a multipart body."),
    ("--max-field-bytes", "field_bytes", _COUNT, "One field of a multipart body."),
    ("--max-images", "images", _COUNT, "Images of one request."),
    (
        "--timeout-ms",
        "timeout_ms",
        _COUNT,
        "A request's time where it does not say its own [2000, more for slow models].",
    ),
    ("--max-timeout-ms", "max_timeout_ms", _COUNT, "The most that a request gets, whatever it asks for."),
)


def _with_limits(command: Any) -> Any:
    defaults = ServerLimits()
    for option, name, kind, text in reversed(_LIMITS):
        default = getattr(defaults, name)
        shown = default is not None
        command = click.option(option, name, type=kind, default=default, show_default=shown, help=text)(command)
    return command


def _sources(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[ModelSource, ...]:
    """Read DIR or NAME=DIR; a folder that is there, or was meant to be, may have '=' in its path."""
    sources = []
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or Path(value).exists() or ("/" in name and not Path(path).exists()):
            sources.append(ModelSource(None, Path(value)))
            continue
        try:
            sources.append(ModelSource(name, Path(path)))
        except WrongModelName as error:
            raise click.BadParameter(f"{type(error).__name__}: {error}") from None
    return tuple(sources)


@click.command("serve")
@click.argument("artifacts", metavar="[NAME=]DIR...", nargs=-1, required=True, callback=_sources)
@click.option("--host", default=_DEFAULT.host, show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=_PORT, default=_DEFAULT.port, show_default=True, help="HTTP port; 0 for a free one.")
@click.option("--grpc-port", type=_PORT, help="Serve gRPC too, on this port (extra [grpc]).")
@click.option(
    "--device",
    default=_DEFAULT.device,
    show_default=True,
    metavar="cpu|cuda[:N]",
    help="Where to run; cuda,cpu is a GPU if it can be used.",
)
@click.option("--precision", type=click.Choice(get_args(Precision)), help="Of the arithmetic [the most exact here].")
@click.option(
    "--workers", type=click.IntRange(1, MAX_WORKERS), default=1, show_default=True, help="Batches at one time."
)
@click.option(
    "--threads", type=click.IntRange(1, MAX_THREADS), help="Threads a batch [the CPUs that are ours / workers]."
)
@click.option(
    "--decoders", type=click.IntRange(1, MAX_THREADS), help="Threads that decode images [the CPUs that are ours]."
)
@click.option(
    "--batch-wait-ms",
    type=click.FloatRange(0, 1000),
    default=_DEFAULT.batch_wait_ms,
    show_default=True,
    help="How long a request waits for others that are on their way.",
)
@click.option("--max-batch", type=_COUNT, default=_DEFAULT.max_batch, show_default=True, help="Largest batch.")
@click.option(
    "--queue",
    "queue_images",
    type=_COUNT,
    default=_DEFAULT.queue_images,
    show_default=True,
    help="Images that may wait for one model.",
)
@click.option(
    "--drain-seconds",
    type=_SECONDS,
    default=_DEFAULT.drain_seconds,
    show_default=True,
    help="Time for accepted requests after SIGTERM.",
)
@click.option(
    "--hang-seconds",
    type=_SECONDS,
    default=_DEFAULT.hang_seconds,
    show_default=True,
    help="A batch that takes longer means a hung engine.",
)
@click.option(
    "--require-signature",
    "public_key",
    type=click.Path(path_type=Path),
    metavar="KEY.pub",
    help="Load only what one of these Ed25519 keys signed, new versions too [$OVENBIRD_REQUIRE_SIGNATURE].",
)
@click.option("--watch", is_flag=True, help="Load an artifact again when its manifest changes (SIGHUP does it once).")
@click.option("--access-log/--no-access-log", default=True, show_default=True, help="A log line for each request.")
@click.option("--nv-metrics", is_flag=True, help="Triton's metric names as well as our own.")
@click.option(
    "--nan",
    type=click.Choice(["refuse", "allow"]),
    default=_DEFAULT.nan,
    show_default=True,
    help="What to do with NaN and infinity in a request's tensors.",
)
@click.option(
    "--backend-url",
    envvar="OVENBIRD_BACKEND_URL",
    show_envvar=True,
    metavar="URL",
    help="Have the networks run by a server of the Open Inference Protocol, http://HOST:PORT; pixels and answers here.",
)
@_with_limits
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def serve(artifacts: tuple[ModelSource, ...], debug: bool, **options: Any) -> None:
    """Serve artifacts over HTTP: predictions, the Open Inference Protocol, metrics, a page to try them.

    SIGTERM finishes what was accepted and stops; SIGHUP loads the artifacts again.
    """
    CAUGHT.catch()  # again, for who did not come by the program's entry
    try:
        from .process import serve as run
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: {install_hint('serve')}") from None
    limits = ServerLimits(**{field.name: options.pop(field.name) for field in dataclasses.fields(ServerLimits)})
    try:
        code = run(Settings(artifacts=artifacts, limits=limits, **options))
    except OvenbirdError as error:
        if debug:
            raise
        click.echo(f"error: {type(error).__name__}: {error}", err=True)
        code = 1
    raise SystemExit(code)
