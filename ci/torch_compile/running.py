"""One network in this process: a start, or both sides' calls in turn. Prints one line of JSON.

python ci/torch_compile/running.py resnet18 start
python ci/torch_compile/running.py resnet18 prepare inductor 2
python ci/torch_compile/running.py resnet18 time inductor 2

With one thread, times of calls are the processor's, which say the same on a machine with other work; with more they are
the clock's, and nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ovenbird.networks.torchvision import import_torchvision

LIMIT = 1e-4
"""Of the error, by the answers' spread."""
BLOCKS, CALLS, SECONDS = 11, 20, 0.3
"""Blocks of each side, and in a block: calls at most, seconds of its clock at most."""
PAUSE_SECONDS = 0.02
"""Between blocks: threads of the other side stop waiting for work."""


def main(arguments: Sequence[str]) -> None:
    """Run the network and print what was found."""
    name, what, *more = arguments
    net, image = network(name)
    with torch.no_grad():
        found = start(net, image) if what == "start" else in_turns(net, image, what, more[0], int(more[1]))
    print(json.dumps(found))


def network(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a classifier with seeded weights, and one image of its size."""
    models = import_torchvision().models
    torch.manual_seed(0)
    # without it these two warn, and take long
    own = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = models.get_model(name, weights=None, **own)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    for parameter in net.parameters():  # heads of zeros, scales of a millionth: what is before them would not be seen
        if parameter.dim() > 1 and bool((parameter == parameter.flatten()[0]).all()):
            parameter.data.normal_(0, 0.1)
    size = models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    return net.eval(), torch.randn(1, 3, size, size)


class Watched:
    """The backend, and the seconds of the first call that are its own."""

    def __init__(self, backend: Callable[..., Callable[..., Any]]) -> None:
        self._backend, self.seconds = backend, 0.0

    def __call__(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        """Call it, and have the calls of what it returns counted as well."""
        run = self._counted(self._backend, *arguments, **options)
        return lambda *tensors: self._counted(run, *tensors)

    def _counted(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            self.seconds += time.perf_counter() - began


def start(net: torch.nn.Module, image: torch.Tensor) -> dict[str, Any]:
    """Time what a program waits for: from `torch.compile`, which imports Dynamo, to the first answer."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        began, used = time.perf_counter(), time.process_time()
        watched = Watched(torch._dynamo.lookup_backend("ovenbird"))
        given = torch.compile(net, backend=watched)(image)
        seconds, processor_s = time.perf_counter() - began, time.process_time() - used
    right = net(image)
    off = float((given - right).abs().max() / max(float(right.std()), 1e-6))
    from ovenbird.dynamo.compiled import LIVE
    from ovenbird.dynamo.reporting import EagerFallback

    eager = [str(one.message) for one in said if isinstance(one.message, EagerFallback)]
    compiled = sum(graph.loaded is not None for graph in LIVE)
    faults = ["" if compiled else "nothing compiled", "" if off <= LIMIT else f"off by {off:.1e}"]
    return {
        "compiled": compiled, "eager": len(eager), "error": off, "why": "; ".join(filter(None, [*eager, *faults])),
        "seconds": seconds, "ours_s": watched.seconds, "processor_s": processor_s,
    }  # fmt: skip


def in_turns(net: torch.nn.Module, image: torch.Tensor, what: str, peer: str, threads: int) -> dict[str, Any]:
    """Call both sides in blocks in turn; to prepare, once each."""
    torch.set_num_threads(threads)
    own = torch.compile(net, backend="ovenbird", options={"threads": threads})
    other = net if peer == "eager" else torch.compile(net, backend=peer)
    for call in (own, other):
        call(image)
    if what == "prepare":
        return {}
    clock = time.process_time if threads == 1 else time.perf_counter
    blocks: tuple[list[float], list[float]] = [], []
    for turn in range(BLOCKS):
        for place in (0, 1) if turn % 2 else (1, 0):
            blocks[place].append(_block(lambda call=(own, other)[place]: call(image), clock))  # type: ignore[misc]
    low, middle, high = statistics.quantiles([one / two for one, two in zip(*blocks, strict=True)], n=4)
    best = [1e3 * min(some) for some in blocks]
    return {"own_ms": best[0], "peer_ms": best[1], "ratio": middle, "quartiles": (low, high)}


def _block(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Return the shortest of some calls."""
    time.sleep(PAUSE_SECONDS)
    shortest, end = float("inf"), clock() + SECONDS
    for _ in range(CALLS):
        began = clock()
        call()
        shortest = min(shortest, clock() - began)
        if clock() > end:
            break
    return shortest


if __name__ == "__main__":
    main(sys.argv[1:])
