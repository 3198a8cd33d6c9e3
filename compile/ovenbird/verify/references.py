"""What a network itself answers, by the framework it came from: large rows one by one, on all cores where they may.

    references = References()
    references.right_answers(network, cases)["random0"]["logits"]       # asked for again, they are there

A framework computes on one thread, so that its sums do not depend on the number of cores; so rows share the cores.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

from ovenbird.networks.network import Network, NetworkSource
from ovenbird.verify.cases import Case
from ovenbird.verify.stored import LARGE_ROW, Answers, stored
from ovenbird_runtime.tensors.arrays import Array, Arrays

MOST_AT_ONCE = 4
"""Rows at most that are computed at once: what lies between the layers of each is larger than it."""


class References:
    """The right answers to all that was asked of networks: each variant of an artifact is held to the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], Mapping[str, Array]] = {}
        """By a network's source and a case's name and inputs."""
        self._sources: list[NetworkSource] = []
        """Those that answered: while they are held, no other has the number of one."""

    def right_answers(self, network: Network, cases: Sequence[Case]) -> Answers:
        """Run the network in its framework on the cases that it has not answered yet: small ones whole."""
        keys = {case.name: (id(network.source), _digest(case)) for case in cases}
        asked = [case for case in cases if keys[case.name] not in self._known]
        calls = {case.name: list(_rows_apart(network, case)) if _large(case) else [case.inputs] for case in asked}
        answers = run_all(network, [inputs for each in calls.values() for inputs in each])
        for name, each in calls.items():
            self._known[keys[name]] = stored(name, islice(answers, len(each)))
        self._sources.append(network.source)
        return {name: self._known[key] for name, key in keys.items()}


def _digest(case: Case) -> str:
    taken = hashlib.sha256(case.name.encode())
    for name, array in case.inputs.items():
        taken.update(f"\0{name} {array.dtype} {array.shape}\0".encode())
        taken.update(np.ascontiguousarray(array).data)
    return taken.hexdigest()


def run_all(network: Network, calls: Sequence[Arrays]) -> Iterator[Arrays]:
    """Yield the network's answers to each, in order; some are computed at once, in threads, where its source allows.

    Of those there are no more than `MOST_AT_ONCE`, answers that nobody has taken among them: they may be large.
    """
    at_once = min(len(os.sched_getaffinity(0)), MOST_AT_ONCE, len(calls)) if network.source.concurrent else 1
    if at_once < 2:
        yield from map(network.reference, calls)
        return
    begun: deque[Future[Arrays]] = deque()
    with ThreadPoolExecutor(at_once) as threads:
        for inputs in calls:
            if len(begun) == at_once:
                yield begun.popleft().result()
            begun.append(threads.submit(network.reference, inputs))
        while begun:
            yield begun.popleft().result()


def closer_answers(network: Network, cases: Sequence[Case]) -> Answers | None:
    """Run the network in its framework in float64 on all cases, row by row; None where that does not compute so."""
    found = {}
    for case in cases:
        rows = [network.closer(row) for row in _rows_apart(network, case)]
        if any(one is None for one in rows):
            return None
        found[case.name] = stored(case.name, (one for one in rows if one is not None))
    return found


def _large(case: Case) -> bool:
    return sum(array[:1].nbytes for array in case.inputs.values() if array.ndim) >= LARGE_ROW


def _rows_apart(network: Network, case: Case) -> Iterator[Arrays]:
    """Yield the inputs of each row; all at once where rows share some."""
    if not network.batched or not all(spec.batched for spec in network.inputs):
        yield case.inputs
        return
    count = next(iter(case.inputs.values())).shape[0]
    for row in range(count):
        yield {name: array[row : row + 1] for name, array in case.inputs.items()}
