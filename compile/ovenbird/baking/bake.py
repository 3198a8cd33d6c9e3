"""From an artifact to an image: context, build, labels, the image's own SBOM, and what it weighs.

report = bake(open_artifact("artifacts/resnet50"), BakeOptions(target="x86-64-v3"))
report.image, report.own_bytes       # without base and weights
"""

from __future__ import annotations

import dataclasses
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ovenbird.baking.builders import Build, ImageBuilder, find_builder
from ovenbird.baking.containerfile import PLATFORMS, Container, read_container, render
from ovenbird.baking.context import find_sources, prepared
from ovenbird.baking.labels import SBOM_PATH, describe_source, image_labels
from ovenbird.baking.measuring import image_bytes
from ovenbird.baking.sbom import merge_sbom
from ovenbird.errors import UsageError
from ovenbird.process.progress import Progress
from ovenbird.targets import find_target
from ovenbird_runtime.artifact.artifact import Artifact

DPKG_STATUS = "/var/lib/dpkg/status"


@dataclass(frozen=True)
class BakeOptions:
    """Options of `ovenbird bake`. `embed` False: the runtime alone, and the model in an image of its own."""

    target: str
    embed: bool = True
    tag: str | None = None
    builder: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    sbom: Path | None = None
    archive: Path | None = None
    show: bool = False


@dataclass(frozen=True)
class BakeReport:
    """What was built. Sizes in bytes, unpacked; `model_image` is None where the model is embedded."""

    image: str
    image_id: str
    model_image: str | None
    builder: str
    platform: str
    size_bytes: int
    base_bytes: int
    weights_bytes: int
    manifest_digest: str
    labels: Mapping[str, str]

    @property
    def own_bytes(self) -> int:
        """The image without its base and without weights."""
        return self.size_bytes - self.base_bytes - self.weights_bytes


def default_tag(artifact: Artifact, target: str) -> str:
    """Return `ovenbird/resnet50:x86-64-v3`."""
    return f"ovenbird/{repository_name(artifact.manifest.model.name)}:{target}"


def repository_name(model: str) -> str:
    """Return a model's name as OCI's distribution specification spells names: lower case,
    separators alone and within.
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", model.lower()).strip("._-") or "model"
    return re.sub(r"[._-]+", lambda found: found[0] if re.fullmatch(r"\.|__?|-+", found[0]) else "-", plain)


def bake(artifact: Artifact, options: BakeOptions, progress: Progress | None = None) -> BakeReport:
    """Build the image of `artifact` for a target. Raises BakeError, UsageError, TargetInvalid, as `prepared`."""
    report = progress or Progress()
    container = read_container(find_target(options.target))
    check_variant(artifact, options.target)
    builder = find_builder(options.builder)
    sources = find_sources()
    base = options.build_args.get("BASE", container.base)
    source = describe_source(sources)
    labels = {**image_labels(artifact, options.target, base, source), **options.labels}
    tag = options.tag or default_tag(artifact, options.target)
    with prepared(sources, artifact, render(container)) as context:
        build = Build(
            containerfile=context.containerfile,
            context=context.folder,
            tag=tag,
            target="embedded" if options.embed else "mounted",
            platform=target_platform(container),
            arguments={"ARTIFACT": "given", **options.build_args},
            labels=labels,
            secrets=context.secrets,
            created=source.created,
        )
        report(f"building {tag} with {builder.name}")
        builder.build(build, options.show)
        model_image = None
        if not options.embed:
            model_image = f"{tag}-model"
            report(f"building {model_image}")
            only_model = {name: value for name, value in labels.items() if not name.endswith((".base.name", ".sbom"))}
            builder.build(dataclasses.replace(build, tag=model_image, target="model", labels=only_model), options.show)
    report(f"looking at {tag}")
    if options.sbom:
        write_sbom(builder, tag, artifact, options.sbom)
    if options.archive:
        report(f"writing {options.archive}")
        builder.save(tag, options.archive)
    return _report(builder, tag, base, artifact, build, model_image)


def check_variant(artifact: Artifact, target: str) -> None:
    """Refuse an artifact that has no code for the target. Raises UsageError."""
    targets = [variant.target for variant in artifact.manifest.variants]
    if target not in targets:
        raise UsageError(
            f"{artifact.root} has code for {', '.join(targets)}, not for {target}; "
            f"give one of them, or compile with --target {target}"
        )


def target_platform(container: Container) -> str:
    """Return the image's platform, as `linux/arm64`; a target that detects its machine has this machine's."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return container.platform or PLATFORMS.get(machine, f"linux/{machine}")


def write_sbom(builder: ImageBuilder, image: str, artifact: Artifact, output: Path) -> None:
    """Write the SBOM of the whole image: its base's packages, Python's, the artifact's. Raises OutputError."""
    from ovenbird.errors import output_error

    found = builder.read_files(image, (SBOM_PATH, DPKG_STATUS))
    text = merge_sbom(image, found.get(SBOM_PATH, b""), found.get(DPKG_STATUS, b""), artifact)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, str(output)) from None


def _report(
    builder: ImageBuilder, tag: str, base: str, artifact: Artifact, build: Build, model_image: str | None
) -> BakeReport:
    described = builder.inspect(tag)
    weights = sum(record.size for name, record in artifact.manifest.files.items() if name.startswith("weights/"))
    return BakeReport(
        image=tag,
        image_id=str(described["Id"]),
        model_image=model_image,
        builder=builder.name,
        platform=build.platform,
        size_bytes=image_bytes(builder, tag),
        base_bytes=image_bytes(builder, base),
        weights_bytes=weights if build.target == "embedded" else 0,
        manifest_digest=build.labels["ovenbird.manifest.digest"],
        labels=dict(described["Config"].get("Labels") or {}),
    )
