"""`ovenbird tune` for a GPU, as a user meets it: a whole session on the emulated GPU, its log, the compile after it.

The driver and the kernels are emulated; the tuner, nvcc, the worker processes and TVM's CUDA runtime are the real ones.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tvm.s_tir import Schedule

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.backends.cuda.chip import chip_of
from ovenbird.backends.cuda.dtypes import DTYPES
from ovenbird.backends.cuda.pipeline import lower_networks
from ovenbird.backends.cuda.plans.space import plan_space
from ovenbird.backends.cuda.schedules import apply_schedule
from ovenbird.backends.table import BACKENDS
from ovenbird.errors import NoCudaCompiler
from ovenbird.loading.load import load_network
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.measure.log_writer import LogWriter
from ovenbird.measure.measuring import Outcome
from ovenbird.measure.tasks import Task, extract_tasks
from ovenbird.records.provenance import Provenance, read_provenance
from ovenbird.records.tuning_log import TuningLog
from ovenbird.records.tuning_records import own_folder
from ovenbird.targets import load_target
from ovenbird.tuning.run import why_begin_anew
from ovenbird_runtime.manifest.agreement import LIMITS, Precision
from support.cuda_emulation import Emulation, build_driver, build_toolkit
from support.warm import Warm

SPEC = load_target("cuda-sm90")
NETWORK = "support.gpu_networks:tiny"
Command = Callable[..., subprocess.CompletedProcess[str]]
TUNE = ("tune", NETWORK, "--target", "cuda-sm90", "--batch-sizes", "1")


@pytest.fixture(scope="module")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    try:
        return build_toolkit(tmp_path_factory.mktemp("toolkit"))
    except NoCudaCompiler as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    return build_driver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def warm(driver: Emulation) -> Iterator[Warm]:
    with Warm(driver.environment()) as process:
        yield process


@pytest.fixture
def ovenbird(warm: Warm, tmp_path: Path) -> Command:
    """Run `ovenbird` in an environment that has the emulated driver."""

    def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
        return warm.run(list(map(str, arguments)), tmp_path, whole(environment))

    return run


def whole(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_session_and_the_compile_after_it(
    toolkit: Emulation, ovenbird: Command, tmp_path: Path, precision: str
) -> None:
    environment, log, kept = toolkit.environment(), tmp_path / "log", b""
    options = ("--precision", precision, "-o", log)
    if precision == "fp32":  # a run goes on in every precision alike
        begun = ovenbird(environment, *TUNE, *options, "--trials", 6)
        assert begun.returncode == 0, begun.stderr
        assert f"{log}: 6 trials" in begun.stdout
        assert "GFLOP/s" not in begun.stdout.splitlines()[-2]  # no limit was measured, none is printed
        kept = (log / "database_tuning_record.json").read_bytes()

    done = ovenbird(environment, *TUNE, *options, "--trials", 7, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 7
    assert (log / "database_tuning_record.json").read_bytes().startswith(kept)
    made_by = json.loads((log / "provenance.json").read_text())
    assert made_by["gpu"] == {"name": "emulated", "compute": "sm_90", "cuda": "13.0"} | (
        {"driver": made_by["gpu"]["driver"]} if "driver" in made_by["gpu"] else {}
    )
    assert made_by["devices"] == {"emulated": 7}
    assert sum(task["failed"] for task in made_by["tasks"]) == 0, (log / "failures.jsonl").read_text()
    times = made_by["latency_ms"]["main_b1"]
    assert min(times["tuned"], times["default"]) > 0

    artifact = tmp_path / "artifact"
    use = ("--precision", precision, "--batch-sizes", "1", "--tuning-records", log, "-o", artifact)
    compiled = ovenbird(environment, "compile", NETWORK, "--target", "cuda-sm90", *use)
    assert compiled.returncode == 0, compiled.stderr
    name = "cuda-sm90-f16" if precision == "fp16" else "cuda-sm90"
    assert f"verified for {name} against torch" in compiled.stdout
    assert "0 by default schedules" in compiled.stdout
    assert "stale" not in compiled.stdout
    parity = json.loads((artifact / "evidence" / "parity.json").read_text())
    assert (parity["verified"], parity["not_verified"]) == ([name], [])
    assert parity["programs"]["main"]["tolerance"] == LIMITS["f16" if precision == "fp16" else "f32"].rms
    facts = json.loads((artifact / "manifest.json").read_text())["tuning"][name]
    assert facts["tuned"] >= 4
    assert facts["records"]["gpu"]["name"] == "emulated"


def test_an_artifact_is_compiled_without_a_gpu_and_says_so(
    tmp_path: Path, toolkit: Emulation, ovenbird: Command
) -> None:
    environment = toolkit.environment(gpus=0)
    done = ovenbird(
        environment, "compile", NETWORK, "--target", "cuda-sm90", "--target", "x86-64-v2", "--batch-sizes", "1",
        "-o", tmp_path / "artifact",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "verified for x86-64-v2 against torch" in done.stdout
    assert "not verified for cuda-sm90: cuda:0 is not on this machine: the driver sees no GPU" in done.stdout
    parity = json.loads((tmp_path / "artifact" / "evidence" / "parity.json").read_text())
    assert (parity["verified"], parity["not_verified"]) == (["x86-64-v2"], ["cuda-sm90"])


OTHER = "error: WrongChip: --target cuda-sm90 is tuned on its own chip, sm_90; cuda:0 is emulated, "
REFUSED = [
    ({"gpus": 0}, (), "error: GpuMissing: cuda:0 is not on this machine", "compile --target cuda-sm90` needs none"),
    ({"driver": 12040}, (), "error: DriverTooOld: the NVIDIA driver is for CUDA 12.4", "needs none"),
    ({"compute": 89}, (), f"{OTHER}sm_89", "choose the target for it"),
    ({"compute": 100}, (), f"{OTHER}sm_100", "CUDA_VISIBLE_DEVICES"),
    ({}, ("--rpc-tracker", "h:9190"), "error: UsageError: --rpc-tracker: its devices measure code for processors", ""),
]


@pytest.mark.parametrize(("claims", "options", "begins", "holds"), REFUSED)
def test_refused_before_anything_is_built(
    driver: Emulation,
    ovenbird: Command,
    tmp_path: Path,
    claims: dict[str, int],
    options: tuple[str, ...],
    begins: str,
    holds: str,
) -> None:
    done = ovenbird(driver.environment(**claims), *TUNE, *options, "-o", tmp_path / "log")
    assert done.returncode == (2 if options else 1)
    assert done.stderr.startswith(begins)
    assert holds in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_tuning_without_a_driver_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ovenbird", *TUNE, "-o", str(tmp_path / "log")]
    environment = whole({**os.environ, "LD_LIBRARY_PATH": ""})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "DriverMissing" not in done.stderr:
        pytest.skip("this machine has a driver")
    assert done.stderr.startswith("error: DriverMissing: no NVIDIA driver on this machine")
    assert "tuning measures on the GPU (`ovenbird compile --target cuda-sm90` needs none)" in done.stderr
    assert done.stderr.count("\n") == 1


# -- records ---------------------------------------------------------------------------------------------------


def forced(folder: Path, precision: Precision, index: int) -> tuple[Task, str]:
    """A log that says of the convolution: the plan of this index is the fastest. Gives the task and the plan."""
    network = load_network(NETWORK)
    tasks = extract_tasks(lower_networks({EntryKey(): network.relax(1)}, DTYPES[precision]), [EntryKey()])
    task = max(tasks, key=lambda one: one.layer.flops)
    chip = chip_of(SPEC)
    provenance = Provenance.of(SPEC, network.name, {}, gpu={"name": "emulated"})
    with LogWriter.open(folder, provenance, SPEC.tvm_target(), resume=True) as log:
        log.register(tasks)
        plans = plan_space(Schedule(task.module), chip)
        for seconds, plan in ((2e-3, plans[0]), (1e-3, plans[index])):
            sch = apply_schedule(Schedule(task.module), chip, plan)
            log.add(task, sch.trace, Outcome(seconds), str(plan))
        log.save()
    return task, str(plans[index])


@pytest.mark.parametrize("precision", ["f32", pytest.param("f16", marks=pytest.mark.slow)])
def test_a_record_changes_the_kernel(toolkit: Emulation, tmp_path: Path, precision: Precision) -> None:
    forced(tmp_path / "log", precision, index=9)
    network = {EntryKey(): load_network(NETWORK).relax(1)}
    plain = build_module(network, SPEC, BuildOptions(precision), dump=tmp_path / "plain")
    log = TuningLog.open(tmp_path / "log")
    tuned = build_module(network, SPEC, BuildOptions(precision, records=log), dump=tmp_path / "tuned")
    sources = {layer.name: layer.source for layer in tuned.layers if layer.kind == "product"}
    assert set(sources.values()) == {"tuned", "default"}  # the classifier has no record
    assert {layer.source for layer in plain.layers} == {"default"}
    before, after = ((tmp_path / name / "model.cu").read_text() for name in ("plain", "tuned"))
    (changed,) = (name for name, source in sources.items() if source == "tuned")
    assert kernels(before, changed) != kernels(after, changed)
    others = {layer.name for layer in tuned.layers} - {changed}
    assert all(kernels(before, name) == kernels(after, name) for name in others)


def kernels(source: str, name: str) -> list[str]:
    """The bodies of a function's kernels."""
    parts = source.split('extern "C" __global__')
    return [part for part in parts if f" {name}_kernel" in part and part.rstrip().endswith("}")]


def test_records_of_another_chip_are_stale(tmp_path: Path, toolkit: Emulation) -> None:
    task, _ = forced(tmp_path / "log", "f32", index=3)
    other = load_target("cuda-sm89")
    found = TuningLog.open(tmp_path / "log").for_target(other).lookup(task.module["main"])
    assert (found.source, found.function) == ("stale", None)
    assert found.reason.startswith("made for ")
    assert TuningLog.open(tmp_path / "log").for_target(SPEC).lookup(task.module["main"]).source == "tuned"


def test_logs_that_name_the_chip_as_before_go_on(tmp_path: Path) -> None:
    provenance = Provenance.of(SPEC, "net", {"precision": "float16"}, gpu={"name": "a GPU"})
    provenance.target["cuda_arch"] = provenance.target.pop("chip")
    provenance.write(tmp_path)
    kept = read_provenance(tmp_path)
    assert kept is not None
    assert kept.mismatch(SPEC) == ""
    assert why_begin_anew(kept, SPEC, {"name": "a GPU"}, "f16") == ""
    assert why_begin_anew(kept, SPEC, {"name": "a GPU"}, "f32") == "made in f16, this is f32"
    assert why_begin_anew(kept, SPEC, {"name": "another"}, "f16") == "made on a GPU, this is another"


def test_each_precision_has_a_log_of_its_own() -> None:
    assert own_folder("resnet50", SPEC).parts[-2:] == ("cuda-sm90", "resnet50")
    assert own_folder("resnet50", SPEC, "f16").name == "resnet50+fp16"
    assert BACKENDS["llvm"].recorded("f16") == "f32"  # which has the log without a suffix
    assert BACKENDS["cuda"].recorded("f16") == "f16"
