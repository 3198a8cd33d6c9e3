"""Make a tuning log small enough to commit: of each function only its fastest schedule, where it beats the default.

    .venv/bin/python ci/steps/compact_log.py tuning_logs/host/resnet50        # megabytes of trials to what compile uses

Prints what was kept. `ovenbird tune` goes on from a compacted log, but measures again what was dropped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ovenbird.errors import OvenbirdError
from ovenbird.records.provenance import read_provenance
from ovenbird.records.tuning_log import RECORDS, WORKLOADS, fastest_records, json_lines
from ovenbird.replacing import replacing

LEAST_GAIN = 1.05
"""A gain below this is within what two measurements of one schedule differ by."""


def main() -> int:
    """Compact the log in the folder that is given."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    try:
        made_by = read_provenance(folder)
    except OvenbirdError as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if made_by is None:
        print(f"error: NoLog: {folder} holds no tuning log with a provenance.json", file=sys.stderr)
        return 1
    gains = {task["workload"]: task["default_ms"] / task["best_ms"] for task in made_by.tasks if task["best_ms"]}
    fastest = fastest_records(folder / RECORDS)
    workloads, records = [], []
    for index, workload in enumerate(json_lines(folder / WORKLOADS)):
        if index in fastest and gains.get(str(workload[0]), 0.0) >= LEAST_GAIN:
            records.append([len(workloads), fastest[index][1]])
            workloads.append(workload)
    for name, lines in ((WORKLOADS, workloads), (RECORDS, records)):
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    print(f"kept: the fastest schedules of {len(workloads)} of {len(gains)} functions, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
