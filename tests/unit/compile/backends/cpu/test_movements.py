"""Packing, unpacking and the exchange of two axes, by tiles transposed in registers, and maps along whole vectors."""

import pytest
import torch
import tvm
from torch import nn
from torch.nn import functional
from tvm import te, tirx

from ovenbird.backends.codegen_pipeline import codegen_pipeline
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.pipeline import lower_networks
from ovenbird.backends.cpu.schedules import schedule_function
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.operators import layout
from ovenbird.operators.movements.transposition import MOVEMENT
from support.codegen import Function

AVX512 = Machine(vector_bytes=64, registers=32, l1_bytes=48 << 10, l2_bytes=1 << 20, cores=2)


@pytest.mark.parametrize("shape", [(2, 32, 4, 4), (1, 40, 6, 7), (2, 3, 9, 9), (1, 17, 3, 3), (1, 64, 5, 21)])
def test_packing_and_unpacking(check, shape):
    check(nn.Conv2d(shape[1], shape[1], 3, padding=1, groups=shape[1]), torch.randn(shape))


@pytest.mark.parametrize("shape", [(32, 48), (37, 21), (5, 40), (40, 5), (3, 18, 33), (2, 3, 17, 16)], ids=str)
def test_exchange_of_the_last_axes(check, shape):
    check(Function(lambda x: x.transpose(-1, -2)), torch.randn(1, *shape))


@pytest.mark.parametrize("shape", [(2, 20, 6, 7), (1, 96, 5, 5), (1, 3, 8, 8)], ids=str)
@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1)], ids=str)
def test_channels_to_another_place(check, order, shape):
    check(Function(lambda x: x.permute(order)), torch.randn(shape))


@pytest.mark.parametrize("first", [(1, 0, 2), (2, 0, 1), (0, 2, 1)], ids=str)
@pytest.mark.parametrize("second", [(0, 2, 1), (2, 1, 0), (1, 0, 2), (1, 2, 0)], ids=str)
def test_two_permutations_in_a_row(check, first, second):
    check(Function(lambda x: x.permute(first).permute(second)), torch.randn(19, 6, 18))


def test_rows_to_heads_to_columns_is_one_exchange():
    """[19, 6, 18] to heads [6, 19, 18] and on to [6, 18, 19]: [19, 108] transposed, without the step between."""
    net = Function(lambda x: x.transpose(0, 1).transpose(1, 2))
    module = import_exported(torch.export.export(net, (torch.randn(19, 6, 18),)))
    lowered = lower_networks({EntryKey(): module}, AVX512)
    moving = [function for _, function in lowered.functions_items() if isinstance(function, tirx.PrimFunc)]
    assert [str(function.attrs[MOVEMENT]) for function in moving] == ["swap"]
    assert [int(extent) for extent in moving[0].params[0].shape] == [19, 108]


def test_whole_numbers_are_moved_as_they_are(check):
    check(Function(lambda x: x.permute(0, 2, 1)), torch.randint(-9, 9, (1, 20, 33), dtype=torch.int32))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_side_by_side(check, axis):
    part = torch.randn(2, 20, 6, 7)
    check(Function(lambda x: torch.cat([x, part, x * 2], axis)), torch.randn(2, 20, 6, 7))


def test_long_rows_side_by_side(check):
    check(Function(lambda x: torch.cat([x, x.flip(0)[:, :70]], 1)), torch.randn(3, 5000))


BORDERS = {
    "zeros": nn.ZeroPad2d((1, 0, 2, 3)),
    "zeros at the sides": nn.ZeroPad2d((2, 1, 0, 0)),
    "reflected": nn.ReflectionPad2d((1, 2, 3, 0)),
    "repeated": nn.ReplicationPad2d(2),
    "circular": nn.CircularPad2d((2, 1, 1, 3)),
    "rolled": Function(lambda x: torch.roll(x, (-3, 2), (2, 3))),
    "rolled images": Function(lambda x: torch.roll(x, 1, 0)),
    "flipped": Function(lambda x: x.flip(1, 3)),
    "many runs": Function(lambda x: x.flip(-1).repeat(1, 1, 1, 5).flip(-1)),
}


@pytest.mark.parametrize("name", BORDERS)
def test_places_that_are_known(check, name):
    check(BORDERS[name], torch.randn(2, 20, 6, 7))


@pytest.mark.parametrize("name", BORDERS)
def test_places_that_are_known_behind_a_convolution(check, name):
    check(nn.Sequential(nn.Conv2d(20, 20, 1, groups=20), BORDERS[name]), torch.randn(2, 20, 6, 7))


@pytest.mark.parametrize(("channels", "factor"), [(20, 2), (3, 3), (40, (1, 4))])
def test_pixels_repeated(check, channels, factor):
    check(nn.Upsample(scale_factor=factor), torch.randn(1, channels, 5, 7))


@pytest.mark.parametrize("channels", [3, 20])
def test_resizing_of_the_input(check, channels):
    check(nn.Upsample(size=(9, 13), mode="bilinear"), torch.randn(1, channels, 5, 7))


@pytest.mark.parametrize("size", [(2, 3), (5, 3), (1, 6), (7, 5)], ids=str)
def test_adaptive_averages_of_the_input(check, size):
    check(Function(lambda x: functional.adaptive_avg_pool2d(x, size)), torch.randn(1, 20, 10, 12))


def assembled(function: tirx.PrimFunc) -> str:
    """Return the assembly of a scheduled function."""
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64-v4", "mattr": ["-prefer-256-bit"]})
    module = tvm.IRModule({"main": schedule_function(function, AVX512)})
    return str(tvm.tirx.build(module, target, pipeline=codegen_pipeline()).inspect_source("asm"))


def test_a_map_neither_gathers_nor_scatters():
    """A strip of vectors that a row of 384 elements holds in whole numbers is a vector at a time."""
    data = te.placeholder((1, 50, 384), name="data")
    text = assembled(te.create_prim_func([data, te.compute((1, 50, 384), lambda *i: data[i] * 2.0 + 1.0)]))
    assert "vmovups" in text
    assert "gather" not in text
    assert "scatter" not in text


def test_packing_loads_vectors():
    """Sixteen loads, sixteen stores: not one for each of 256 elements."""
    data = te.placeholder((1, 32, 8, 8), name="data")
    function = te.create_prim_func([data, layout.pack(data, 16)]).with_attr({MOVEMENT: "pack"})
    body = assembled(function)
    assert sum("vmovss" in line or "vinsertps" in line for line in body.splitlines()) < 16


def test_rows_without_their_first_elements_are_moved_by_vectors():
    """As the background is left out of a detector's classes: a row of 90 from one of 91."""
    data = te.placeholder((1, 50, 91), name="data")
    body = assembled(te.create_prim_func([data, te.compute((1, 50, 90), lambda n, i, j: data[n, i, j + 1])]))
    assert "vmovups" in body
    assert "gather" not in body
    assert "vinsertps" not in body
