"""What a benchmark found, as plain data: made from the rounds, written as JSON, read by the report and the plot.

result = case_result(measured)
result.engines["ort"].ms.median, result.ratios["ort"].median, result.fastest_peer
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ovenbird.benchmarking.engines import OWN, OWN_TVM, OWN_UNTUNED
from ovenbird.benchmarking.jobs import Answer
from ovenbird.benchmarking.report.statistics import Spread, paired_ratio, percentile, quartiles, spread
from ovenbird.benchmarking.rounds import BenchCase, MeasuredCase

SCHEMA = 1
OWN_NAMES = (OWN, OWN_UNTUNED)
OWN_WAYS = (*OWN_NAMES, OWN_TVM)
"""Those and our other engine, which we are compared with as with a peer."""


@dataclass(frozen=True)
class EngineResult:
    """One engine in one case. `ms`: spread of the rounds' medians, milliseconds a run; `quartiles_ms`, and `p99_ms`,
    which 99 % of the runs are below: of all runs together.

    Seconds (`import_s`, `load_s`, `first_s`, `process_s`) are medians over the rounds' fresh processes, see `Answer`.
    """

    ms: Spread
    quartiles_ms: tuple[float, float]
    round_ms: tuple[float, ...]
    runs: int
    import_s: float
    load_s: float
    first_s: float
    process_s: float
    rss_bytes: int
    pss_bytes: int
    error: float
    version: str
    p99_ms: float | None = None


@dataclass(frozen=True)
class CaseResult:
    """One case: engines by name, and our time as a share of each peer's (below 1: we are faster), paired by round."""

    case: BenchCase
    engines: dict[str, EngineResult]
    ratios: dict[str, Spread]
    untuned_ratios: dict[str, Spread] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    refused: str = ""

    @property
    def fastest_peer(self) -> str:
        """The peer with the least median time; nothing where the case was refused."""
        peers = [name for name in self.engines if name not in OWN_WAYS]
        return min(peers, key=lambda name: self.engines[name].ms.median, default="")


def engine_result(answers: list[Answer], error: float) -> EngineResult:
    """Return one engine's figures from its rounds."""
    medians = tuple(statistics.median(answer.times_ms) for answer in answers)
    runs = [time for answer in answers for time in answer.times_ms]

    def middle(name: str) -> Any:
        return statistics.median(getattr(answer, name) for answer in answers)

    return EngineResult(
        ms=spread(medians),
        quartiles_ms=quartiles(runs),
        round_ms=medians,
        runs=len(runs),
        import_s=middle("import_s"),
        load_s=middle("load_s"),
        first_s=middle("first_s"),
        process_s=middle("process_s"),
        rss_bytes=int(middle("rss_bytes")),
        pss_bytes=int(middle("pss_bytes")),
        error=error,
        version=answers[0].version,
        p99_ms=percentile(runs, 99),
    )


def case_result(measured: MeasuredCase) -> CaseResult:
    """Return one case's figures from its rounds."""
    engines = {name: engine_result(answers, measured.errors[name]) for name, answers in measured.answers.items()}
    peers = [name for name in engines if name not in OWN_NAMES]

    def ratios(own: str) -> dict[str, Spread]:
        if own not in engines:
            return {}
        return {peer: paired_ratio(engines[own].round_ms, engines[peer].round_ms) for peer in peers}

    return CaseResult(measured.case, engines, ratios(OWN), ratios(OWN_UNTUNED), measured.skipped)


@dataclass
class Benchmark:
    """Everything one command found. `networks`: what was prepared, by model and size; `limits`: by threads."""

    command: str
    date: str
    machine: dict[str, Any]
    options: dict[str, Any]
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    limits: dict[str, dict[str, float]] = field(default_factory=dict)
    cases: list[CaseResult] = field(default_factory=list)
    footprints: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    estimates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the whole as JSON, each case's figures with its fastest peer."""
        document = dataclasses.asdict(self)
        for case, found in zip(document["cases"], self.cases, strict=True):
            case["fastest_peer"] = found.fastest_peer
        return json.dumps({"schema": SCHEMA, **document}, indent=2, sort_keys=False) + "\n"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: milliseconds by case and engine, and our time over the fastest peer's."""
        from ovenbird_runtime.console.html import element, joined, table

        names = list(dict.fromkeys(name for case in self.cases for name in case.engines))
        rows = []
        for case in self.cases:
            peer = case.fastest_peer
            ratio = f"{case.ratios[peer].median:.2f} of {peer}" if peer in case.ratios else case.refused
            times = [f"{case.engines[name].ms.median:.2f}" if name in case.engines else "" for name in names]
            rows.append((case.case.label, *times, ratio))
        where = f"{self.machine.get('processor', '')}, {self.date}: milliseconds, median of the rounds"
        return joined((element("div", where), table(("case", *names, "ours over the fastest peer's"), rows)))


def read_benchmark(path: Path) -> Benchmark:
    """Read what `to_json` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    document.pop("schema")
    document["cases"] = [_case(case) for case in document["cases"]]
    return Benchmark(**document)


def _case(document: Mapping[str, Any]) -> CaseResult:
    def spreads(found: Mapping[str, Any]) -> dict[str, Spread]:
        return {name: Spread(**values) for name, values in found.items()}

    engines = {
        name: EngineResult(
            **{
                **values,
                "ms": Spread(**values["ms"]),
                "quartiles_ms": tuple(values["quartiles_ms"]),
                "round_ms": tuple(values["round_ms"]),
            }
        )
        for name, values in document["engines"].items()
    }
    return CaseResult(
        BenchCase(**document["case"]),
        engines,
        spreads(document["ratios"]),
        spreads(document["untuned_ratios"]),
        document["skipped"],
        document["refused"],
    )
