"""`ovenbird bake`: a container image with the runtime and a model, or a model as one executable file, for one target.

ovenbird bake resnet50 --target x86-64-v3
ovenbird bake artifacts/resnet50 --format executable -o resnet50
ovenbird bake artifacts/resnet50 --target aarch64-generic --mount --builder buildah
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ovenbird.console import shared_options

if TYPE_CHECKING:
    from ovenbird.baking.bake import BakeReport
    from ovenbird_runtime.artifact.artifact import Artifact


@click.command("bake", short_help="Build a container image with a model in it, or one executable file.")
@click.argument("model")
@click.option(
    "--target", default="host", show_default=True, help="Whose Containerfile, and which code of the artifact."
)
@click.option(
    "--format", "kind", type=click.Choice(["image", "executable", "scratch", "c"]), default="image", show_default=True,
    help="A container image; one static file, the C++ runtime with the model behind it; an image of that file alone; "
    "an object file and a header for a program of your own.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write the executable, or what .o and .h follow. [default: the model's name]")  # fmt: skip
@click.option(
    "--weights-apart", is_flag=True, help="Of an executable: the weights in a folder next to it, FILE.weights."
)
@click.option(
    "--no-evidence",
    is_flag=True,
    help="Of an executable: smaller by golden rows and reports, without which selftest refuses.",
)
@click.option("--musl", is_flag=True, help="Of an executable: built by ziglang against musl, half as large.")
@click.option("--runtime", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="Of an executable: a static ovenbird-run for the target, instead of building one.")  # fmt: skip
@click.option("--embed/--mount", default=True, show_default=True,
              help="The model in the image, or the runtime alone and the model in an image TAG-model.")  # fmt: skip
@click.option("--tag", metavar="NAME[:TAG]", help="The image's name. [default: ovenbird/MODEL:TARGET]")
@click.option("--builder", type=click.Choice(["docker", "podman", "buildah"]), help="[default: the first that works]")
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE",
              help="BASE, TOOLS_BASE: images to build on; may be repeated.")  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="One more label; may be repeated.")
@click.option("--sbom", type=click.Path(path_type=Path, dir_okay=False), help="Write the image's CycloneDX SBOM here.")
@click.option(
    "--archive", type=click.Path(path_type=Path, dir_okay=False), help="Write the image here, as docker save."
)
@click.option("--artifact", type=click.Path(path_type=Path, file_okay=False),
              help="Where to write the artifact of a MODEL that is compiled first. [default: nowhere]")  # fmt: skip
@shared_options.name
@shared_options.batch_sizes("1,8", "Batch sizes of a MODEL that is compiled first.")
@shared_options.network_options
@click.option("--show-build", is_flag=True, help="Print the builder's log.")
@shared_options.quiet
@shared_options.as_json
def command(model: str, **options: Any) -> None:
    """Build the image of MODEL, or one executable: of the folder of an artifact, or of what `ovenbird compile` takes,
    which is compiled first.

    docker, podman or buildah does the work, whichever works here. No emulation is needed for another processor.
    """
    import tempfile

    from ovenbird.baking.bake import BakeOptions, bake, check_variant
    from ovenbird.baking.builders import find_builder
    from ovenbird.errors import UsageError
    from ovenbird.process.progress import Progress
    from ovenbird.targets import find_target, load_target
    from ovenbird_runtime.artifact.artifact import open_artifact
    from ovenbird_runtime.machine.devices import CPU

    bake_options = BakeOptions(
        target=options["target"],
        embed=options["embed"],
        tag=options["tag"],
        builder=options["builder"],
        build_args=read_pairs("--build-arg", options["build_args"]),
        labels=read_pairs("--label", options["labels"]),
        sbom=options["sbom"],
        archive=options["archive"],
        show=options["show_build"],
    )
    # what is wrong with the command or the machine is said before anything is compiled
    find_target(bake_options.target)
    executable = load_target(bake_options.target) if options["kind"] != "image" else None
    if executable and executable.kind != CPU.kind.code:
        raise UsageError(f"an executable is for a processor; target {executable.name} is of kind {executable.kind}")
    if options["kind"] in ("image", "scratch"):
        find_builder(bake_options.builder)
    with Progress.choose(options["quiet"]) as progress, tempfile.TemporaryDirectory(prefix="ovenbird-") as temporary:
        if (Path(model) / "manifest.json").is_file():
            if options["name"] is not None:
                raise UsageError(f"--name is for a MODEL that is compiled first; {model} has a name")
            artifact = open_artifact(model)
            check_variant(artifact, bake_options.target)
        else:
            artifact = _compile(model, options["artifact"] or Path(temporary) / "artifact", options, progress)
        if options["kind"] == "c":
            _bake_embedded(artifact, options, progress)
            return
        if executable:
            _bake_executable(artifact, executable.arch, options, progress)
            return
        report = bake(artifact, bake_options, progress)
    if options["as_json"]:
        _print_json(report)
    else:
        _print_report(report, artifact)


def _bake_executable(artifact: Artifact, arch: str, options: dict[str, Any], progress: Any) -> None:

    from ovenbird.baking.bake import repository_name
    from ovenbird.baking.executable import write_executable
    from ovenbird.baking.native_runtime import find_runtime
    from ovenbird.console.describe import random_warning

    runtime = options["runtime"]
    if runtime is None:
        progress(f"building the C++ runtime for {arch}, unless it is in the cache")
        runtime = find_runtime(arch, options["musl"])
    warning = random_warning(artifact.manifest)
    if options["kind"] == "scratch":
        _bake_scratch(artifact, runtime, options, progress, warning)
        return
    output = options["output"] or Path(repository_name(artifact.manifest.model.name))
    progress(f"writing {output}")
    inside, evidence = not options["weights_apart"], not options["no_evidence"]
    report = write_executable(artifact, options["target"], runtime, output, weights_inside=inside, evidence=evidence)
    _report_native(report, f"{report.path}: {report.arch}", options["as_json"], warning)
    if report.weights_folder and not options["as_json"]:
        click.echo(f"{report.weights_folder}: the weights, which stay next to it")


def _bake_embedded(artifact: Artifact, options: dict[str, Any], progress: Any) -> None:

    import dataclasses
    import json

    from ovenbird.baking.bake import repository_name
    from ovenbird.baking.embedded import write_embedded
    from ovenbird.console.describe import random_warning

    output = options["output"] or Path(repository_name(artifact.manifest.model.name))
    progress(f"writing {output}.o")
    report = write_embedded(artifact, options["target"], output.name, output.parent)
    if options["as_json"]:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    if warning := random_warning(artifact.manifest):
        click.echo(warning)
    click.echo(f"{report.object_file}: {report.arch}, {report.size_bytes / 1e6:.1f} MB")
    click.echo(f"{report.header}: include it, and link both with the C++ runtime")


def _bake_scratch(artifact: Artifact, runtime: Path, options: dict[str, Any], progress: Any, warning: str) -> None:

    from ovenbird.baking.bake import repository_name
    from ovenbird.baking.scratch import ScratchOptions, bake_scratch

    tag = options["tag"] or f"ovenbird/{repository_name(artifact.manifest.model.name)}:{options['target']}-scratch"
    labels = read_pairs("--label", options["labels"])
    evidence = not options["no_evidence"]
    asked = ScratchOptions(tag, options["builder"], labels, options["archive"], options["show_build"], evidence)
    progress(f"building {tag}")
    report = bake_scratch(artifact, options["target"], runtime, asked)
    _report_native(report, f"{report.image}: {report.platform}", options["as_json"], warning)


def _report_native(report: Any, what: str, as_json: bool, warning: str) -> None:
    import dataclasses
    import json

    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report), indent=2))
        return
    if warning:
        click.echo(warning)
    program, size = report.runtime_bytes / 1e6, report.size_bytes / 1e6
    click.echo(f"{what}, {size:.1f} MB, of which the program {program:.1f} MB")


def _compile(model: str, output: Path, options: dict[str, Any], progress: Any) -> Artifact:
    from ovenbird.compiling import compile_network
    from ovenbird.loading.load import load_network
    from ovenbird.loading.request import check_request
    from ovenbird.options import CompileOptions
    from ovenbird_runtime.artifact.artifact import open_artifact

    network_options = shared_options.read_network_options(options)
    check_request(model, network_options)
    progress(f"loading {model}")
    network = load_network(model, network_options)
    batches = shared_options.parse_batches(options["batch_sizes"])
    compile_network(network, output, CompileOptions((options["target"],), batches), progress)
    return open_artifact(output)


def read_pairs(option: str, values: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE options. Raises UsageError."""
    from ovenbird.errors import UsageError

    pairs = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            raise UsageError(f"{option} {value!r}: expected NAME=VALUE")
        pairs[name] = text
    return pairs


def _print_json(report: BakeReport) -> None:
    import dataclasses
    import json

    click.echo(json.dumps({**dataclasses.asdict(report), "own_bytes": report.own_bytes}, indent=2))


def _print_report(report: BakeReport, artifact: Artifact) -> None:
    from ovenbird.console.describe import random_warning

    warning = random_warning(artifact.manifest)
    if warning:
        click.echo(warning)
    click.echo(f"{report.image}: {report.platform}, {report.size_bytes / 1e6:.1f} MB, built by {report.builder}")
    weights = f", weights {report.weights_bytes / 1e6:.1f} MB" if report.weights_bytes else ""
    click.echo(f"base {report.base_bytes / 1e6:.1f} MB{weights}, the rest {report.own_bytes / 1e6:.1f} MB")
    if report.model_image:
        click.echo(f"{report.model_image}: the artifact, to be mounted at /artifact")
    click.echo(f"manifest {report.manifest_digest}")
