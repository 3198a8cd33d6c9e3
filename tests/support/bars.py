"""The server's reliability bars: what each demands, how its figure reads, and which tests hold it.

    BARS["smuggling"].figure({"refused": 20, "of": 20})       # "20 of 20 refused"

A test tells its figures with `report("smuggling", refused=1, of=1)` (support/reporting.py); ci/load/reliability.py runs
the tests and makes the table of docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HTTP = "tests/security/serve/test_http.py::"
IMAGES = "tests/security/serve/test_images.py::"
ROOTLESS = "tests/security/serve/test_unprivileged.py::"
LIFE = "tests/e2e/serve/test_lifecycle.py::"
SCARCE = "tests/e2e/serve/test_scarcity.py::"
SLOW = "tests/load/test_slow_clients.py::"
MANY = "tests/load/test_clients.py::"
FUZZ = "tests/load/test_fuzzing.py::"
OVER = "tests/load/test_overload.py::"


@dataclass(frozen=True)
class Bar:
    """One bar: its demand, a template for its figure, its tests; a run under `seconds` does not count as whole."""

    demand: str
    template: str
    tests: tuple[str, ...]
    seconds: float = 0.0

    def figure(self, figures: Mapping[str, Any]) -> str:
        """Return the figure as a reader sees it."""
        return self.template.format_map(figures)


def combine(found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the figures of several tests of a bar together: counts (int) add up, measures (float) keep the largest, texts
    are listed.
    """
    whole: dict[str, Any] = {}
    for figures in found:
        for name, value in figures.items():
            if name not in whole:
                whole[name] = value
            elif isinstance(value, str):
                whole[name] = ", ".join(dict.fromkeys([*whole[name].split(", "), value]))
            else:
                whole[name] = whole[name] + value if isinstance(value, int) else max(whole[name], value)
    return whole


_CLIENT = "a healthy client's p99 {before_ms:.1f} -> {during_ms:.1f} ms (x {ratio:.2f})"
BARS: dict[str, Bar] = {
    "exact-limit": Bar(
        "bodies of exactly the limit are read, one byte more is refused; plain and chunked",
        "{right} of {of} right, up to {mib:.0f} MiB",
        (f"{HTTP}test_body_of_exactly_the_limit", f"{HTTP}test_picture_of_exactly_the_default_limit"),
    ),
    "slow": Bar(
        "200 slow headers and 200 slow bodies are all cut off, a healthy client's p99 at most doubles",
        f"{{cut}} of {{of}} cut off; {_CLIENT}",
        (f"{SLOW}test_slow_headers_and_bodies",),
    ),
    "idle": Bar(
        "1,000 idle connections: a healthy client's p99 at most doubles, under 30 MiB more memory",
        f"{{connections}} open; {_CLIENT}, {{more_mib:.1f}} MiB more",
        (f"{SLOW}test_thousand_idle_connections_leave_the_server_answering",),
    ),
    "huge-image": Bar(
        "a 20,000x20,000 PNG under 1 MB is refused in 50 ms with under 10 MB more memory",
        "{refused} of {of} refused, slowest in {slowest_ms:.1f} ms, at its peak {more_mb:.1f} MB more",
        (f"{IMAGES}test_huge_picture_is_refused_at_once_in_little_memory",),
    ),
    "odd-images": Bar(
        "every odd image kind gives 200 or 4xx, never 5xx",
        "{kinds} kinds: {good} x 200, {refused} x 4xx, {failed} x 5xx",
        (f"{IMAGES}test_odd_bytes_are_read_or_refused", f"{IMAGES}test_every_mode_of_every_kind"),
    ),
    "fuzzing": Bar(
        "5,000 fuzzed requests a route without a crash or 5xx, and the next good one succeeds",
        "{requests} requests on {routes} routes: {failed} x 5xx, {good} of {routes} good ones after them",
        (f"{FUZZ}test_five_thousand_fuzzed_requests", f"{FUZZ}test_fuzzed_bytes_on_the_socket"),
    ),
    "smuggling": Bar(
        "smuggling attempts are refused and their connection is closed",
        "{refused} of {of} refused",
        (f"{HTTP}test_smuggling_is_refused_and_the_connection_closed", f"{HTTP}test_damaged_chunks_are_refused"),
    ),
    "goodput": Bar(
        "4 x capacity for 60 s keeps 90 % of the peak goodput",
        "{network}, {seconds:.0f} s at {offered:.0f}/s: {good:.1f}/s of {peak:.1f}/s ({ratio:.0%})",
        (f"{OVER}test_four_times_the_capacity",),
        seconds=60,
    ),
    "rejections": Bar(
        "under that load, rejections are answered in 50 ms at p99",
        "{network}, {seconds:.0f} s: {rejections} seen by an observer, p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms",
        (f"{OVER}test_four_times_the_capacity",),
        seconds=60,
    ),
    "deadlines": Bar(
        "under that load, no accepted request is answered past its deadline (2 s, and 100 ms for its way)",
        "{network}, {seconds:.0f} s: slowest of {answers} answers {slowest_ms:.0f} ms; {expired} were told 504 instead",
        (f"{OVER}test_four_times_the_capacity",),
        seconds=60,
    ),
    "disconnects": Bar(
        "1,000 client disconnects leak nothing",
        "{disconnects}: {permits} permits, {descriptors:+} descriptors, {threads:+} threads, {more_mib:+.1f} MiB",
        (f"{MANY}test_thousand_disconnects_are_survived",),
    ),
    "own-answers": Bar(
        "10,000 distinct inputs at concurrency 64 come back each with its own answer",
        "{wrong} of {of} wrong, in {batches} batches",
        (f"{MANY}test_ten_thousand_inputs_get_their_own_answers",),
    ),
    "sigterm": Bar(
        "SIGTERM under load loses no request",
        "{answered} answered, {lost} lost, exit code {code}",
        (f"{LIFE}test_sigterm_under_load_loses_nothing",),
    ),
    "kill": Bar(
        "kill -9 under load, and a restart on the same port",
        "answers again {seconds:.1f} s after the restart",
        (f"{LIFE}test_kill_and_restart_on_the_same_port",),
    ),
    "soak": Bar(
        "30 minutes at 70 % load: no growth in memory, threads or descriptors",
        "{network}, {seconds:.0f} s at {rate:.1f}/s: {good} of {requests} answered; memory {more_mib:+.1f} MiB, "
        "{threads:+} threads, {descriptors:+} descriptors",
        (f"{OVER}test_long_run_does_not_grow",),
        seconds=1800,
    ),
    "descriptors": Bar(
        "`ulimit -n 64` is survived",
        "{connections} connections came, the next request got {status}",
        (f"{SCARCE}test_few_descriptors_are_survived",),
    ),
    "full-disk": Bar(
        "a full disk under the log is survived",
        "{answered} of {of} answered, exit code {code}",
        (f"{SCARCE}test_full_disk_under_the_log_is_survived",),
    ),
    "unprivileged": Bar(
        "runs as nobody, without capabilities, on a read-only root",
        "uid {uid}, capabilities {capabilities}, {writable} writable places, {answered} of {of} answered",
        (f"{ROOTLESS}test_runs_as_nobody_on_a_read_only_root",),
    ),
}
