"""From answers to figures, JSON and back, Markdown and a picture."""

from pathlib import Path

import pytest

from ovenbird.benchmarking.jobs import Answer, Job, Runs, read_answer, read_job, write_answer, write_job
from ovenbird.benchmarking.report import machine, plot
from ovenbird.benchmarking.report.markdown import markdown, mean_lines, summary_lines
from ovenbird.benchmarking.report.plot import draw
from ovenbird.benchmarking.report.results import Benchmark, CaseResult, case_result, read_benchmark
from ovenbird.benchmarking.report.statistics import Spread
from ovenbird.benchmarking.rounds import BenchCase, MeasuredCase
from ovenbird.benchmarking.running import BenchPlan, batches_at


def answer(*times: float) -> Answer:
    return Answer(times, import_s=0.1, load_s=0.2, first_s=0.3, process_s=0.7, rss_bytes=2, pss_bytes=1, version="1.0")


def measured(case: BenchCase, ours: float = 9.0, theirs: float = 10.0) -> MeasuredCase:
    answers = {
        "ovenbird": [answer(ours, ours + 2, ours), answer(ours * 2)],
        "ort": [answer(theirs), answer(theirs * 2)],
        "openvino": [answer(theirs * 3), answer(theirs * 6)],
    }
    return MeasuredCase(case, answers, dict.fromkeys(answers, 1e-6), {"torch-jit": "not installed"})


@pytest.fixture
def benchmark() -> Benchmark:
    cases = [case_result(measured(BenchCase("resnet50", batch, 2))) for batch in (1, 2, 4)]
    cases.append(CaseResult(BenchCase("resnet50", 8, 2), {}, {}, refused="ort differs"))
    network = {"tuned": {"tuned": 3, "default": 50, "stale": 0}, "random": True, "weights_detail": "seed 0"}
    return Benchmark(
        "ovenbird bench resnet50",
        "2026-11-21 04:00 UTC",
        machine.describe(),
        {"rounds": 2},
        networks={"resnet50": network},
        limits={"2": {"gflops": 540.0, "gbytes_per_s": 40.0}},
        cases=cases,
    )


def test_case_is_measured_by_rounds() -> None:
    result = case_result(measured(BenchCase("resnet50", 1, 2)))
    assert result.engines["ovenbird"].round_ms == (9.0, 18.0)
    assert result.engines["ovenbird"].runs == 4
    assert result.engines["ovenbird"].p99_ms == pytest.approx(18 - 0.03 * 7)  # of 9, 9, 11, 18
    assert result.ratios["ort"].median == pytest.approx(0.9)
    assert result.ratios["ort"].high == pytest.approx(0.9)
    assert result.fastest_peer == "ort"


def test_ratios_are_of_the_same_round() -> None:
    times = {"ovenbird": (9.0, 40.0, 12.0), "ovenbird-untuned": (20.0, 10.0, 30.0), "ort": (10.0, 20.0, 30.0)}
    answers = {name: [answer(one) for one in rounds] for name, rounds in times.items()}
    result = case_result(MeasuredCase(BenchCase("resnet50", 1, 2), answers, dict.fromkeys(answers, 0.0)))
    assert result.ratios["ort"] == Spread(0.9, 0.4, 2.0)
    assert result.untuned_ratios["ort"] == Spread(1.0, 0.5, 2.0)


def test_json_is_read_back_as_it_was(benchmark: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for case in benchmark.cases:  # what JSON does not tell apart from stored values is computed again
        assert "fastest_peer" not in vars(case)
    path.write_text(benchmark.to_json(), encoding="utf-8")
    assert read_benchmark(path).cases == benchmark.cases


def test_markdown_names_everything(benchmark: Benchmark) -> None:
    text = markdown(benchmark)
    for part in (
        "`ovenbird bench resnet50`",
        "540 GFLOP/s",
        "3 layers tuned, 50 by default schedules",
        "RANDOM WEIGHTS",
        "0.900 (0.900–0.900)",
        "Refused: ort differs",
        "left out: torch, jit.freeze: not installed",
    ):
        assert part in text


def test_summary_has_a_row_a_case(benchmark: Benchmark) -> None:
    lines = summary_lines(benchmark)
    assert len(lines) == 2 + len(benchmark.cases)
    assert lines[-1].endswith("refused: ort differs |")


def test_mean_is_over_the_cases_that_were_compared(benchmark: Benchmark) -> None:
    assert "geometric mean of 3 ratios **0.900**, largest 0.90" in mean_lines(benchmark)[0]


def test_plot_is_a_picture(benchmark: Benchmark, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install '.[peers]')")
    assert draw(benchmark, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_bars_are_named_in_milliseconds(benchmark: Benchmark) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed (pip install '.[peers]')")
    figure, place = pyplot.subplots()
    plot._bars(place, benchmark.cases[:1], {"ovenbird": "red", "ort": "blue", "openvino": "grey"})
    medians = [found.ms.median for found in benchmark.cases[0].engines.values()]
    assert [text.get_text() for text in place.texts] == [f"{median:.3g} ms" for median in medians]
    pyplot.close(figure)


def test_a_notebook_shows_the_cases(benchmark: Benchmark) -> None:
    page = benchmark._repr_html_()
    assert page.count("<tr>") == 1 + len(benchmark.cases)
    assert "0.90 of ort" in page
    assert "ort differs" in page
    benchmark.machine["processor"] = "<script>"
    assert "<script>" not in benchmark._repr_html_()


def test_nothing_is_drawn_without_figures(benchmark: Benchmark, tmp_path: Path) -> None:
    benchmark.cases = benchmark.cases[-1:]
    assert not draw(benchmark, tmp_path / "bench.png")


def test_jobs_and_answers_travel_as_json(tmp_path: Path) -> None:
    job = Job("ort", str(tmp_path), batch=8, threads=2, runs=Runs(repeat=3, warmup=0))
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job
    write_answer(tmp_path / "answer.json", answer(1.0, 2.0))
    assert read_answer(tmp_path / "answer.json") == answer(1.0, 2.0)


@pytest.mark.parametrize(
    ("sizes", "size", "batches"),
    [(None, None, (1, 8)), ((128, 224), 224, (1, 8)), ((128, 224), 128, (1,)), ((128, 192), 128, (1, 8))],
)
def test_batches_are_timed_at_one_image_size(
    sizes: tuple[int, ...] | None, size: int | None, batches: tuple[int, ...]
) -> None:
    assert batches_at(BenchPlan(("resnet50",), batch_sizes=(1, 8), image_sizes=sizes), size) == batches


def test_processor_without_a_name(tmp_path: Path) -> None:
    assert machine.processor_name(tmp_path / "absent")
    (tmp_path / "cpuinfo").write_text("model name\t: Some CPU\ncpu family\t: 6\nmodel\t: 9\n", encoding="utf-8")
    assert machine.processor_name(tmp_path / "cpuinfo") == "Some CPU (family 6, model 9)"
