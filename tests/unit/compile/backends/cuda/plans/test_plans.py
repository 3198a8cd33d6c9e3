"""Every kind of plan computes what the default computes, on an emulated GPU, and its trace applies again."""

from pathlib import Path

import pytest
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms

from ovenbird.backends.cuda.dtypes import FloatDtype
from ovenbird.measure.tasks import Task
from ovenbird.records.tuning_log import RECORDS, json_lines, record_json, trace_key
from ovenbird.records.workload import same_workload
from ovenbird.targets import load_target
from support.cuda_emulation import Emulation, build_driver
from support.gpu_plans import EmulatedCompiler, build_plans, run_plans

SPEC = load_target("cuda-sm90")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_plans_agree_with_the_default(tmp_path: Path, dtype: FloatDtype) -> None:
    emulation = Emulation(build_driver(tmp_path).folder, "kernels")
    (tmp_path / "kernels").mkdir()
    built = build_plans(tmp_path, SPEC, dtype, EmulatedCompiler(tmp_path / "kernels"), most=3)
    for task, sch in built.schedules:
        replays(tmp_path, task, sch)
    wrong = run_plans(built, emulation.environment())
    assert wrong.keys() == built.plans.keys()
    assert {built.plans[name]: why for name, why in wrong.items() if why} == {}
    names = " ".join(built.plans.values())
    assert all(kind in names for kind in ("4 parts", "vectors of", "groups of", "threads, one an output"))


def replays(folder: Path, task: Task, sch: Schedule) -> None:
    """The trace, written to a database and read back, is known again and gives the same schedule."""
    database = ms.database.JSONDatabase(work_dir=str(folder))
    workload = database.commit_workload(task.module)
    arguments = ms.arg_info.ArgInfo.from_entry_func(task.module)
    given = ms.database.TuningRecord(sch.trace, workload, [1.0], None, arguments)
    database.commit_tuning_record(given)
    *_, (_, written) = json_lines(folder / RECORDS)
    assert trace_key(record_json(given)) == trace_key(written)
    again = Schedule(task.module)
    record = ms.database.TuningRecord.from_json(written, workload)
    record.trace.apply_to_schedule(again, remove_postproc=False)
    assert same_workload(again.mod, sch.mod)
