"""Tensors in the arena: apart while they live, together where they do not, in no more memory than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ovenbird.planning.place_tensors import aligned, find_lives, place_tensors
from ovenbird.planning.tensors import KernelCall, StraightLine, Tensor, TensorView
from ovenbird_runtime.limits import ALIGNMENT_BYTES


def arena(nbytes: int) -> TensorView:
    return TensorView(Tensor("arena", nbytes), "uint8", (nbytes,))


def chain(sizes: list[int]) -> tuple[StraightLine, list[TensorView]]:
    """Return a program in which each value is made of the one before."""
    views = [arena(size) for size in sizes]
    image = TensorView(Tensor("input", 4), "uint8", (4,))
    calls = [KernelCall("k", (source,), (view,)) for source, view in zip([image, *views], views, strict=False)]
    return StraightLine(calls, (views[-1],)), views


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    program, views = chain([64, 128, 256, 512, 64])
    offsets, nbytes = place_tensors(program)
    assert nbytes == 256 + 512
    assert offsets[views[3].tensor] == 0
    assert offsets[views[2].tensor] == 512
    assert [offsets[views[index].tensor] for index in (0, 1, 4)] == [128, 0, 512]


def test_an_output_is_kept_to_the_end() -> None:
    program, views = chain([64, 64, 64, 64])
    program.outputs = (views[3], views[0])
    offsets, nbytes = place_tensors(program)
    assert find_lives(program)[views[0].tensor] == (0, 4)
    assert nbytes == 3 * 64
    assert all(offsets[view.tensor] != offsets[views[0].tensor] for view in views[1:])


def test_what_a_kernel_writes_beside_its_output_has_a_place_of_its_own() -> None:
    first, unread, last = arena(64), arena(64), arena(64)
    calls = [KernelCall("split", (), (first, unread)), KernelCall("k", (first,), (last,))]
    offsets, _ = place_tensors(StraightLine(calls, (last,)))
    assert offsets[first.tensor] != offsets[unread.tensor]
    assert offsets[last.tensor] == offsets[unread.tensor]  # nobody waits for it


def test_inputs_and_weights_take_none_of_it() -> None:
    given = TensorView(Tensor("input", 4096), "uint8", (4096,))
    out = arena(10)
    offsets, nbytes = place_tensors(StraightLine([KernelCall("k", (given,), (out,))], (out, given)))
    assert offsets == {out.tensor: 0}
    assert nbytes == 64


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 8)), min_size=1, max_size=30))
def test_no_two_that_live_at_once_overlap(values: list[tuple[int, int]]) -> None:
    views = [arena(size) for size, _ in values]
    calls = []
    for index, (view, (_, back)) in enumerate(zip(views, values, strict=True)):
        calls.append(KernelCall("k", tuple(views[max(0, index - back) : index : 2]), (view,)))
    program = StraightLine(calls, (views[-1],))
    offsets, nbytes = place_tensors(program)
    lives = find_lives(program)
    assert set(offsets) == {view.tensor for view in views}
    for one, place in offsets.items():
        assert place % ALIGNMENT_BYTES == 0
        assert place + one.nbytes <= nbytes
        for other, there in offsets.items():
            together = lives[one][0] <= lives[other][1] and lives[other][0] <= lives[one][1]
            if one is not other and together:
                assert place + one.nbytes <= there or there + other.nbytes <= place
    assert nbytes <= sum(aligned(view.nbytes) for view in views)
    assert place_tensors(program) == (offsets, nbytes)
