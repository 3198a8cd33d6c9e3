"""A model's counts, as Triton writes them."""

from __future__ import annotations

from ovenbird_runtime.serve.telemetry.statistics import Statistics


def test_requests_batches_and_stages() -> None:
    statistics = Statistics()
    assert statistics.to_json()["batch_stats"] == []
    stages = {"decode": 0.25, "preprocess": 0.5, "queue": 1.0, "compute": 2.0}
    statistics.ran(1, 0.5)
    statistics.ran(4, 2.0)
    statistics.ran(4, 4.0)
    statistics.answered(stages, 5.0, ok=True)
    statistics.answered(stages, 7.0, ok=False)
    found = statistics.to_json()
    assert (found["inference_count"], found["execution_count"]) == (9, 3)
    assert found["inference_stats"] == {
        "success": {"count": 1, "ns": 5_000_000_000},
        "fail": {"count": 1, "ns": 7_000_000_000},
        "queue": {"count": 1, "ns": 1_000_000_000},
        "compute_input": {"count": 1, "ns": 750_000_000},
        "compute_infer": {"count": 1, "ns": 2_000_000_000},
        "compute_output": {"count": 1, "ns": 0},
    }
    nothing = {"count": 0, "ns": 0}
    assert found["batch_stats"] == [
        {"batch_size": size, "compute_input": nothing, "compute_infer": infer, "compute_output": nothing}
        for size, infer in ((1, {"count": 1, "ns": 500_000_000}), (4, {"count": 2, "ns": 6_000_000_000}))
    ]
    assert found["last_inference"] > 1_600_000_000_000
