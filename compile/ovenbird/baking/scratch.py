"""An image that holds one executable and nothing else: `FROM scratch`, the C++ runtime with the model behind it.

bake_scratch(artifact, "x86-64-v3", Path("ovenbird-run"), ScratchOptions("ovenbird/resnet50:scratch"))
# docker run -v ./photo.jpg:/photo.jpg ovenbird/resnet50:scratch run /photo.jpg
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ovenbird.baking.bake import check_variant
from ovenbird.baking.builders import Build, find_builder
from ovenbird.baking.containerfile import PLATFORMS
from ovenbird.baking.context import find_sources
from ovenbird.baking.executable import write_executable
from ovenbird.baking.labels import SourceRevision, describe_source, image_labels
from ovenbird.baking.measuring import image_bytes
from ovenbird.errors import output_error
from ovenbird.targets import load_target
from ovenbird_runtime.artifact.artifact import Artifact

RECIPE = """FROM --platform={platform} scratch AS embedded
COPY model /model
USER 65532:65532
ENTRYPOINT ["/model"]
CMD ["--help"]
"""


@dataclass(frozen=True)
class ScratchOptions:
    """How the image is built; `archive` is where it is written as well, as docker save. Without `evidence` it is
    smaller, and selftest refuses.
    """

    tag: str
    builder: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    archive: Path | None = None
    show: bool = False
    evidence: bool = True


@dataclass(frozen=True)
class ScratchReport:
    """What was built. Sizes in bytes; `runtime_bytes` is the program without the model."""

    image: str
    image_id: str
    builder: str
    platform: str
    size_bytes: int
    runtime_bytes: int


def bake_scratch(artifact: Artifact, target: str, runtime: Path, options: ScratchOptions) -> ScratchReport:
    """Build the image of an artifact's code for a target, by a static `ovenbird-run` for its processor.

    Raises BakeError, UsageError, ArtifactError, OutputError.
    """
    check_variant(artifact, target)
    builder, platform = find_builder(options.builder), PLATFORMS[load_target(target).arch]
    source = describe_source(find_sources())
    with tempfile.TemporaryDirectory(prefix="ovenbird-bake-") as temporary:
        folder = Path(temporary) / "context"
        recipe = Path(temporary) / "Containerfile"
        try:
            folder.mkdir()
            recipe.write_text(RECIPE.format(platform=platform), encoding="utf-8")
        except OSError as error:
            raise output_error(error, f"into {temporary} (TMPDIR)") from None
        made = write_executable(artifact, target, runtime, folder / "model", evidence=options.evidence)
        build = Build(
            containerfile=recipe,
            context=folder,
            tag=options.tag,
            platform=platform,
            labels={**_labels(artifact, target, source), **options.labels},
            created=source.created,
        )
        builder.build(build, options.show)
    if options.archive:
        builder.save(options.tag, options.archive)
    found = builder.inspect(options.tag)
    size = image_bytes(builder, options.tag)
    return ScratchReport(options.tag, str(found["Id"]), builder.name, platform, size, made.runtime_bytes)


def _labels(artifact: Artifact, target: str, source: SourceRevision) -> dict[str, str]:
    """Return an image's labels, but for those of a base and of an SBOM in it: there is neither."""
    found = image_labels(artifact, target, "scratch", source)
    return {name: value for name, value in found.items() if not name.endswith((".base.name", ".sbom"))}
