"""Functions of a small network by many of their plans, in one library, and a process that compares what they compute.

    built = build_plans(folder, "float16", find_nvcc())
    run_plans(built, os.environ)          # {"task0_0": "", "task0_1": "wrong numbers: ...", ...}

On a GPU, or on the emulated one with `EmulatedCompiler` in nvcc's place.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tvm
from tvm.s_tir import Schedule

from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.device_module import compiling_with, load_device_module
from ovenbird.backends.cuda.dtypes import FloatDtype
from ovenbird.backends.cuda.pipeline import lower_networks
from ovenbird.backends.cuda.plans.plan import KernelPlan
from ovenbird.backends.cuda.plans.space import plan_space
from ovenbird.backends.cuda.schedules import apply_schedule
from ovenbird.linking.library import link_library
from ovenbird.loading.load import load_network
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.measure.tasks import Task, extract_tasks
from ovenbird.targets import TargetSpec
from support.cuda_emulation import add_kernels

RUN = """
import json, sys, numpy as np, tvm
from ovenbird.backends.cuda.device_module import load_cuda_runtime
from ovenbird.measure.jobs import difference, make_arrays, no_answer
load_cuda_runtime()
library, device, wrong = tvm.runtime.load_module(sys.argv[1]), tvm.runtime.device("cuda", 0), {}
for task in json.load(open(sys.argv[2])):
    given, right = [tvm.runtime.tensor(array, device) for array in make_arrays(task["arguments"], 7)], None
    for name in task["functions"]:
        outputs = [tvm.runtime.tensor(no_answer(np.zeros(*output)), device) for output in task["outputs"]]
        library[name](*given, *outputs)
        found = [output.numpy() for output in outputs]
        right = right or found
        assert all(np.isfinite(array.astype("float64")).all() for array in right), name
        wrong[name] = "".join(difference(one, other) for one, other in zip(found, right, strict=True))
print(json.dumps(wrong))
"""


@dataclass
class BuiltPlans:
    """A library of functions, each by one plan; the first of each task by its default."""

    library: Path
    tasks: list[dict[str, Any]] = field(default_factory=list)
    plans: dict[str, str] = field(default_factory=dict)
    schedules: list[tuple[Task, Schedule]] = field(default_factory=list)


class EmulatedCompiler:
    """In nvcc's place: a fat binary of nothing, whose kernels the emulated driver finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compile(self, source: str, arch: str, fast_math: bool = False) -> bytes:
        payload = f"{arch} {len(source)}".encode()
        fatbin = b"\x50\xed\x55\xba\x01\x00\x10\x00" + len(payload).to_bytes(8, "little") + payload
        add_kernels(self.folder, fatbin, source, "-O1")
        return fatbin


def build_plans(folder: Path, spec: TargetSpec, dtype: FloatDtype, compiler: Any, most: int) -> BuiltPlans:
    """At most `most` plans of each function of `support.gpu_networks:plans`, and two of sums in parts."""
    network, chip = load_network("support.gpu_networks:plans"), chip_of(spec)
    built, functions = BuiltPlans(folder / "plans.so"), {}
    for task in extract_tasks(lower_networks({EntryKey(batch=2): network.relax(2)}, dtype), [EntryKey(batch=2)]):
        names = []
        for plan in spread(plan_space(Schedule(task.module), chip), most):
            name = f"task{task.index}_{len(names)}"
            sch = apply_schedule(Schedule(task.module), chip, plan)
            functions[name] = sch.mod["main"].with_attr("global_symbol", name)
            built.plans[name] = f"{task.title}: {plan}"
            built.schedules.append((task, sch))
            names.append(name)
        arguments = [[list(one.shape), one.dtype, one.constant] for one in task.arguments]
        outputs = [[list(one.shape), one.dtype] for one in task.outputs]
        built.tasks.append({"functions": names, "arguments": arguments, "outputs": outputs})
    load_device_module()
    apart = tvm.transform.PassContext(config={"tirx.disable_storage_rewrite": True})
    with apart, compiling_with(compiler, chip.arch):
        library = tvm.compile(tvm.IRModule(functions), spec.tvm_target(), tir_pipeline="s_tir")
        link_library(library, built.library, spec)
    return built


def spread(plans: list[KernelPlan], most: int) -> list[KernelPlan]:
    """The default and a few others, from the whole of the space; two at least whose sums are in parts, if any are."""
    step = max(1, (len(plans) - 1) // (most - 1))
    parts = [plan for plan in plans if getattr(plan, "splits", 1) > 1]
    return list(dict.fromkeys([*plans[::step][:most], *parts[:: max(1, len(parts) // 2)][:2]]))


def run_plans(built: BuiltPlans, environment: dict[str, str]) -> dict[str, str]:
    """What is wrong with each function's numbers, compared with its task's default; nothing where nothing is."""
    jobs = built.library.with_suffix(".json")
    jobs.write_text(json.dumps(built.tasks))
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(built.library), str(jobs)],
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found
