"""Compile small networks as torch's exporters and others' converters write them, and print which come out right.

    .venv/bin/python ci/onnx_nodes/exporters.py                     all: half an hour on two quiet cores
    .venv/bin/python ci/onnx_nodes/exporters.py yolo_head crnn --why
    .venv/bin/python ci/onnx_nodes/exporters.py --part 2/6          every sixth network from the second on

Right: dtype, shape and values of every output are ONNX Runtime's. Refused: one line that names the operator. The exit
code is 1 where one is wrong or ends the process. torch's newer exporter needs the package onnxscript.
"""

from __future__ import annotations

import argparse
import importlib.util
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from converted import converted
from exported import DYNAMO, FORMS, exported
from networks import NETWORKS
from trying import table, try_all
from worker import REFUSED, RIGHT


def main(arguments: Sequence[str]) -> int:
    """Try the files and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks, or beginnings of files' names")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every Nth network, from the Ith on")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at once (2)")
    parser.add_argument("--why", action="store_true", help="a line for each that is not right, or was not exported")
    options = parser.parse_args(arguments)
    forms = [form for form in FORMS if form.exporter != DYNAMO or importlib.util.find_spec("onnxscript")]
    first, step = map(int, options.part.split("/"))
    names = tuple(options.names) or ("",)
    left_out: list[str] = []
    cases = list(exported(NETWORKS[first - 1 :: step], forms, left_out, names))
    cases += [case for case in converted() if case.name.startswith(names) and first == 1]
    if options.why:
        print("\n".join(f"not exported {line}" for line in left_out))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cases.pickle")
        file.write_bytes(pickle.dumps(cases))
        outcomes = try_all(cases, file, options.jobs, options.why)
    print(table(outcomes, {case.operator for case in cases}))
    print(f"{len(left_out)} were refused by the exporter, or by ONNX Runtime")
    return int(any(each.result not in (RIGHT, REFUSED) for each in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
