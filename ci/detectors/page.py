"""The pages of detectors: docs/benchmarks/detectors.md, what they take; docs/reference/detectors.md, what was verified.

PAGE.write_text(page(results, ["EfficientDet-D0"]))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, VERIFIED_PAGE = DOCS / "benchmarks/detectors.md", DOCS / "reference/detectors.md"
NAMES = {
    "ovenbird": "Ovenbird", "ovenbird-native": "in C++",
    "ort": "ONNX Runtime", "openvino": "OpenVINO", "torch-eager": "torch", "cv2.dnn": "cv2.dnn",
}  # fmt: skip
NETWORKS = [name for name in NAMES if name not in ("cv2.dnn", "ovenbird-native")]
INTRODUCTION = """\
`make detectors`: compile each, verify it against its framework, and time it against other engines in one process, in
blocks of calls in turn. {chip}; {threads}.
Milliseconds are medians of the blocks' shortest calls{clock}.

- *From a JPEG*: bytes of a photograph in, boxes with labels in its own pixels out, {photos} photographs of {data}.
- Peers run the same network, its decoding with it, as an ONNX file (torch: the network as it is). Around it OpenCV
  decodes, resizes and suppresses (`imdecode`, `resize`, `blobFromImage`, `NMSBoxesBatched`), the fastest Python has.
  `cv2.dnn` reads darknet's own files.
- *Ovenbird* is `ovenbird_runtime.load(...).predict(jpeg)`, by the engine of `ovenbird-native` where that is installed.
- *In C++* is `ovenbird_native.load(...).predict(jpeg)`: decoding, network and suppression in C++.
- With random weights the score asked for is such that some 300 candidates are suppressed, on all sides.
- Besides an artifact a target needs the runtime: some 20 MB, numpy and Pillow ([containers](../how-to/containers.md)).
  The *image* is `FROM scratch` and needs neither: the C++ runtime with the model behind it, one file.
- A ratio is our time by the peer's, with its quartiles over the blocks: below 1 we are faster.
"""
VERIFIED = """\
# Detectors that were compiled whole

`make detectors DETECTORS="--no-bench --batch-sizes 1"`: each is compiled by one `ovenbird compile`, and verified on
photographs and random inputs against its framework: of the boxes above the model's own score, those that the artifact
gives with the same class, an intersection over union of 0.99 at least, and a score within 0.001. Then it is held to the
framework's whole detector, its own decoding and suppression (torchvision, transformers, effdet; `cv2.dnn` of darknet's
files), on the photographs of a row: boxes of both sides above 0.3, or above the model's score with random weights,
and then but for *ties*: boxes that suppress each other as rounding falls, of equal scores to 1e-5.
Seconds are of the whole command `compile`, by the clock of a machine with other work, and of all processors; rows are
of the day that each was last tried.
"""


def page(results: Sequence[dict[str, Any]], untried: Sequence[str] = ()) -> str:
    """Return the page as Markdown; it names those of the list that were not tried."""
    right = [one for one in results if one["outcome"] == "right"]
    timed = [one for one in right if "end_to_end" in one]
    lines = ["<!-- Written by ci/detectors; do not edit. -->", "# Detectors: size and latency", ""]
    if timed:
        lines += _introduction(timed).splitlines() + [*_means(timed), "", "## From a JPEG to boxes", ""]
        lines += _table(("detector", "image", "weights", *(f"{NAMES[name]}, ms" for name in NAMES), "images/s",
                         "by ONNX Runtime", "quartiles", "in C++ by it"), [_whole(one) for one in timed])  # fmt: skip
        batches = [batch for batch in (1, 8) if any(f"batch_{batch}" in one for one in timed)]
        lines += ["", f"## The network with its decoding, batch {' and '.join(map(str, batches))}", ""]
        columns = [f"{NAMES[name]} at {batch}, ms" for batch in batches for name in NETWORKS]
        lines += _table(("detector", *columns), [_network(one, batches) for one in timed])
        lines += ["", "## Sizes", ""]
        head = ("detector", "parameters, M", "ONNX file, MB", "artifact, MB", "image, MB")
        lines += _table(head, [_sizes(one) for one in timed])
    left = [f"- {one['title']}: {one['why']}" for one in results if one["outcome"] != "right"]
    left += [
        f"- {one['title']}: batch {batch} has no ONNX file: {why}"
        for one in timed
        for batch, why in one["onnx"].items()
    ]
    left += [f"- {one['title']}: {name}: {why}" for one in timed for name, why in _missing(one).items()]
    untimed = [one["title"] for one in right if one not in timed] + [*untried]
    left += [f"- Not timed: {', '.join(untimed)}."] if untimed else []
    if left:
        lines += ["", "## Left out", "", *left]
    return "\n".join(lines) + "\n"


def verified(results: Sequence[dict[str, Any]], titles: Sequence[str], before: str = "") -> str:
    """Return the page of what was verified, as Markdown, in the order of `titles`; those that have no result keep the
    row that the page had `before`.
    """
    right = [one for one in results if one["outcome"] == "right"]
    lines = ["<!-- Written by ci/detectors; do not edit. -->", *VERIFIED.splitlines(), ""]
    head = (
        "detector",
        "network",
        "weights",
        "image",
        "boxes that agree",
        "of",
        "photographs",
        "as its framework's",
        "of",
        "compiled in, s",
        "processors, s",
        "artifact, MB",
        "machine",
    )
    kept = {row[0]: row for row in map(_cells, before.splitlines()) if len(row) == len(head)}
    kept |= {
        one["title"]: [
            one["title"], f"`{one['network']}`", one["weights"], "x".join(map(str, one["size"])),
            "" if one["agreed"] is None else f"{one['agreed'] * 100:.1f} %", str(one["compared"] or ""),
            str(one.get("photographs", "")),
            _held(one), str(one.get("held", "")),
            _whole_seconds(one.get("compile_seconds")), _whole_seconds(one.get("processor_seconds")),
            f"{one['artifact_bytes'] / 1e6:.1f}", one["chip"].rpartition(", ")[0],
        ]
        for one in right
    }  # fmt: skip
    failed = {one["title"]: one["why"] for one in results if one["outcome"] != "right"}
    lines += _table(head, [kept[title] for title in titles if title in kept and title not in failed])
    left = [f"- {title}: {why}" for title, why in failed.items()]
    untried = [title for title in titles if title not in kept and title not in failed]
    left += [f"- Not tried: {', '.join(untried)}."] if untried else []
    return "\n".join([*lines, *(["", *left] if left else [])]) + "\n"


def _cells(line: str) -> list[str]:
    """Return the cells of a table's row."""
    return line.removeprefix("| ").removesuffix(" |").split(" | ")


def _held(one: dict[str, Any]) -> str:
    """Return the share of boxes that are the framework's, and how many tied."""
    if not one.get("held"):
        return ""
    tied = f", {one['tied']} ties" if one.get("tied") else ""
    return f"{one['held_agreed'] / one['held'] * 100:.1f} %{tied}"


def _missing(one: dict[str, Any]) -> dict[str, str]:
    return {name: why for key, found in one.items() if key.startswith("missing") for name, why in found.items()}


def _whole_seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}"


def _introduction(right: Sequence[dict[str, Any]]) -> str:
    threads = sorted({one["threads"] for one in right})
    words = " and ".join(f"{count} thread{'s' if count > 1 else ''}" for count in threads)
    clock = (
        "; with one thread they are the processor's, and may be of a machine with other work" if 1 in threads else ""
    )
    return INTRODUCTION.format(
        chip=", ".join(sorted({one["chip"] for one in right})), threads=words, clock=clock,
        photos=max(one["photos"] for one in right), data="0.3 to 0.5 megapixels",
    )  # fmt: skip


def _means(right: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    kinds = [(name, whose) for whose in ("ratio", "native") for name in ("ort", "openvino", "torch-eager", "cv2.dnn")]
    for name, whose in kinds:
        ratios = {one["title"]: one["end_to_end"].get(name, {}).get(whose) for one in right}
        ratios = {title: ratio for title, ratio in ratios.items() if ratio is not None}
        if ratios:
            time = "time from a JPEG" if whose == "ratio" else "time in C++ from a JPEG"
            mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
            above = ", ".join(title for title, ratio in ratios.items() if ratio > 1) or "none"
            lines.append(
                f"- **Our {time} by that of {NAMES[name]}: {mean:.2f}**, geometric mean of {len(ratios)}, "
                f"largest {max(ratios.values()):.2f}; above 1: {above}."
            )
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _whole(one: dict[str, Any]) -> list[str]:
    times = one["end_to_end"]
    against = times.get("ort")
    return [
        one["title"], "x".join(map(str, one["size"])), one["weights"],
        *(_ms(times, name) for name in NAMES), f"{1e3 / times['ovenbird']['ms']:.0f}",
        f"**{against['ratio']:.2f}**" if against else "",
        f"{against['low']:.2f}–{against['high']:.2f}" if against else "",
        f"**{against['native']:.2f}**" if against and "native" in against else "",
    ]  # fmt: skip


def _network(one: dict[str, Any], batches: Sequence[int]) -> list[str]:
    return [one["title"], *(_ms(one.get(f"batch_{batch}", {}), name) for batch in batches for name in NETWORKS)]


def _ms(times: dict[str, Any], name: str) -> str:
    return f"{times[name]['ms']:.1f}" if name in times else ""


def _sizes(one: dict[str, Any]) -> list[str]:
    return [
        one["title"],
        f"{one['parameters'] / 1e6:.1f}" if "parameters" in one else "",
        f"{one['weights_bytes'] / 1e6:.1f}" if "weights_bytes" in one else "",
        f"{one['artifact_bytes'] / 1e6:.1f}",
        f"{one['image_bytes'] / 1e6:.1f}" if "image_bytes" in one else "",
    ]
