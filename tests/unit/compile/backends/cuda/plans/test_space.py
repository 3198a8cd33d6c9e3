"""What tuning may choose for GPU code: within every chip's limits, the default first, and enough to choose from."""

from pathlib import Path

import pytest
import tvm
from tvm import te
from tvm.s_tir import Schedule

from ovenbird.backends.cuda.chip import Chip, chip_of
from ovenbird.backends.cuda.device_module import compiling_with, load_device_module
from ovenbird.backends.cuda.plans.plan import ChainPlan, GroupPlan, ThreadPlan, VectorPlan
from ovenbird.backends.cuda.plans.space import default_plan, plan_space, product_plans
from ovenbird.backends.cuda.plans.tiling import BlockTile, ProductShape, Tiling, shared_bytes
from ovenbird.backends.cuda.plans.wide_tiles import wide_tiles
from ovenbird.backends.cuda.schedules import apply_schedule
from ovenbird.backends.cuda.toolchain import find_nvcc
from ovenbird.backends.cuda.usage import Usage, launch_bounds, over_limits, read_usage
from ovenbird.errors import NoCudaCompiler
from ovenbird.operators import channels_last
from ovenbird.operators.conv2d import Window
from ovenbird.targets import load_target, target_folders

CHIPS = {name: chip_of(load_target(name)) for name in target_folders() if name.startswith("cuda-")}
SHAPES = [
    ProductShape(1, 12544, 64, 147),
    ProductShape(1, 3136, 64, 576),
    ProductShape(1, 49, 2048, 512),
    ProductShape(1, 392, 512, 4608),
    ProductShape(12, 197, 64, 197),
    ProductShape(1, 8, 1000, 2048),
]
"""Of ResNet50 at batch 1 and 8, and of attention."""


def convolution(channels: int, filters: int, pixels: int, dtype: str) -> tvm.IRModule:
    """A 3x3 convolution with bias, unscheduled."""
    data = te.placeholder((1, pixels, pixels, channels), dtype, name="data")
    weight = te.placeholder((1, filters, 9 * channels), dtype, name="weight")
    bias = te.placeholder((filters,), "float32", name="bias")
    result = channels_last.conv2d(data, weight, bias, Window((3, 3), padding=(1, 1, 1, 1)), dtype)
    return tvm.IRModule({"main": te.create_prim_func([data, weight, bias, result])})


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_every_plan_of_a_product_is_within_the_chip(chip: Chip, shape: ProductShape, dtype: str) -> None:
    plans = product_plans(shape, dtype, chip)
    assert len(plans) == len(set(plans)) >= 24
    for plan in plans:
        if isinstance(plan, VectorPlan):
            assert shape.rows <= 16
            assert plan.warps * plan.lanes <= chip.max_threads
            continue
        assert isinstance(plan, Tiling)
        assert plan.tile.threads <= chip.max_threads
        assert shared_bytes(plan.tile, dtype) <= chip.shared_bytes
        assert shape.inner % plan.splits == 0
        assert plan.splits == 1 or shape.inner // plan.splits >= 64
        assert plan.tile.rows * plan.tile.columns >= 8 * plan.tile.threads
    assert len({str(plan) for plan in plans}) == len(plans)


def test_the_default_comes_first() -> None:
    chip = CHIPS["cuda-sm90"]
    for dtype in ("float32", "float16"):
        module = convolution(256, 64, 7, dtype)
        plans = plan_space(Schedule(module), chip)
        assert plans[0] == default_plan(Schedule(module), chip)
        assert plans.count(plans[0]) == 1


def test_each_kind_of_function_has_its_plans() -> None:
    chip = CHIPS["cuda-sm80"]
    data = te.placeholder((1, 14, 14, 48), name="data")
    doubled = te.compute(data.shape, lambda *at: data[at] * 2.0, name="doubled")
    y, x = te.reduce_axis((0, 14), name="y"), te.reduce_axis((0, 14), name="x")
    summed = te.compute((1, 48), lambda n, c: te.sum(data[n, y, x, c], [y, x]), name="summed")
    k = te.reduce_axis((0, 48), name="k")
    largest = te.compute((1, 14, 14), lambda n, i, j: te.max(data[n, i, j, k], k), name="largest")
    apart = te.compute(data.shape, lambda n, i, j, c: data[n, i, j, c] - largest[n, i, j], name="apart")

    def space(*tensors: te.Tensor) -> list[object]:
        return list(plan_space(Schedule(te.create_prim_func(tensors)), chip))

    assert {type(plan) for plan in space(data, doubled)} == {ThreadPlan}
    assert {type(plan) for plan in space(data, summed)} == {ThreadPlan, GroupPlan}
    assert space(data, summed)[0] == GroupPlan()
    assert space(data, apart) == [ChainPlan()]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("target", ["cuda-sm75", "cuda-sm90"])
def test_the_largest_tiles_fit_as_ptxas_counts(target: str, dtype: str) -> None:
    """Registers and shared memory of the tiles that take most, threads as the plan says."""
    try:
        nvcc = find_nvcc()
    except NoCudaCompiler as error:
        pytest.skip(str(error))
    chip = CHIPS[target]

    def outputs(tile: BlockTile) -> tuple[float, int]:
        return tile.rows * tile.columns / tile.threads, shared_bytes(tile, dtype)

    tiles = sorted(wide_tiles(chip, dtype), key=outputs)[-3:]
    functions = {}
    for index, tile in enumerate(tiles):
        sch = apply_schedule(Schedule(convolution(64, 128, 16, dtype)), chip, Tiling(tile, 1))
        functions[f"tile{index}"] = sch.mod["main"].with_attr("global_symbol", f"tile{index}")
    load_device_module()
    apart = tvm.transform.PassContext(config={"tirx.disable_storage_rewrite": True})
    with apart, compiling_with(nvcc, chip.arch, report=True) as sources:
        tvm.compile(tvm.IRModule(functions), load_target(target).tvm_target(), tir_pipeline="s_tir")
    usage, threads = read_usage(sources.reports[0]), launch_bounds(sources.texts[0])
    assert {threads[f"tile{index}_kernel"] for index in range(3)} == {tile.threads for tile in tiles}
    assert over_limits(usage, threads, chip) == ""
    assert all(kernel.spilled_bytes == 0 for kernel in usage.values()), usage


def test_what_a_chip_has_no_room_for_is_said(tmp_path: Path) -> None:
    chip = CHIPS["cuda-sm75"]
    assert over_limits({"k": Usage(64, 48 << 10, 0)}, {"k": 1024}, chip) == ""
    assert "65 registers x 1024 threads, the chip has 65536" in over_limits({"k": Usage(65, 0, 0)}, {"k": 1024}, chip)
    assert "49156 bytes of shared memory" in over_limits({"k": Usage(8, (48 << 10) + 4, 0)}, {"k": 64}, chip)
    assert "2048 threads a block, the chip has 1024" in over_limits({"k": Usage(8, 0, 0)}, {"k": 2048}, chip)
