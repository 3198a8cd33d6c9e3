"""What float32 alone does to a network: how far its framework is from the same network in float64.

    limits = allowing_for_rounding(network, cases, references, limits)

A network that takes differences of large numbers answers with their rounding: any other order of the same sums is as
far off, and usual limits would call right code wrong. Looked at only where answers disagree, since float64 costs as
much again. Code of low precision has limits of its own, which its rounding does not reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ovenbird.networks.network import ExactSource, Network
from ovenbird.verify.cases import Case
from ovenbird.verify.stored import LARGE_ROW, Answers, Joined, stored
from ovenbird_runtime.manifest.agreement import Limits
from ovenbird_runtime.manifest.candidates import compare_output
from ovenbird_runtime.tensors.arrays import Arrays

ORDERS = 3.0
"""How many times the framework's own rounding is allowed: another order of the sums may round the other way."""
MOST = 10.0
"""How many times looser limits become at most; float32 does not do for a network that asks for more."""


def allowing_for_rounding(network: Network, cases: Sequence[Case], references: Answers, limits: Limits) -> Limits:
    """Return limits as loose as the framework's own rounding asks for; the given ones where they are loose enough, or
    where the framework does not compute the network in float64.
    """
    source = network.source
    if not isinstance(source, ExactSource):
        return limits
    run = partial(network.by_names, source.exact)
    exact = {case.name: stored(case.name, in_pieces(network, case, run)) for case in cases}
    share = 0.0
    for spec in network.outputs:
        given, right = (
            Joined.of([some[case.name] for case in cases], spec.name, network.batched) for some in (references, exact)
        )
        own = compare_output(network.postprocess, spec.name, given, right, limits)
        share = max(share, own.rms / limits.rms, own.peak / limits.peak)
    return limits.loosened(min(max(1.0, ORDERS * share), MOST))


def in_pieces(network: Network, case: Case, run: Callable[[Arrays], Arrays]) -> Iterator[Arrays]:
    """Run a case, and yield its answers: large rows one at a time, as what lies between layers is larger still."""
    rows = [array for array in case.inputs.values() if array.ndim]
    apart = network.batched and all(spec.batched for spec in network.inputs)
    if not apart or sum(array[:1].nbytes for array in rows) < LARGE_ROW:
        yield run(case.inputs)
        return
    for row in range(rows[0].shape[0]):
        yield run({name: array[row : row + 1] for name, array in case.inputs.items()})
