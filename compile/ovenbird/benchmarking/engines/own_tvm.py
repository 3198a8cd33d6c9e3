"""Ovenbird on TVM's virtual machine, where the native engine would run the artifact: to compare the two.

run = ENGINE.start(job)
"""

from __future__ import annotations

import functools

from ovenbird.benchmarking.engines import OWN_TVM, BenchEngine, own

ENGINE = BenchEngine(
    name=OWN_TVM,
    title="Ovenbird, TVM's engine",
    package="ovenbird_runtime",
    distributions=("ovenbird-runtime",),
    needs="artifact",
    load=functools.partial(own.load, engine="tvm"),
    start=functools.partial(own.start, engine="tvm"),
)
