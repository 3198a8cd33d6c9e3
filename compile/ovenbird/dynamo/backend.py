"""`torch.compile(model, backend="ovenbird")`: torch finds `backend` here, by its entry point `torch_dynamo_backends`.

    compiled = torch.compile(net.eval(), backend="ovenbird", options={"threads": 2})
    with torch.no_grad():
        compiled(image)

Dynamo hands over one graph at a time. Each is compiled for its weights and shapes, or left to torch with a warning that
says why (`EagerFallback`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx

from ovenbird.dynamo.collecting import look_at_new_alone
from ovenbird.dynamo.compiled import CompiledGraph
from ovenbird.dynamo.inspection import inspect_graph
from ovenbird.dynamo.reporting import EagerOnly, report_once
from ovenbird.errors import UsageError
from ovenbird_runtime.arguments import whole
from ovenbird_runtime.limits import MAX_THREADS

OPTIONS = ("threads", "check_weights")


def backend(
    graph: fx.GraphModule, examples: Sequence[Any], options: Mapping[str, Any] | None = None, mode: str | None = None
) -> Callable[..., Any]:
    """Return what is called in place of a graph of Dynamo's. Raises UsageError for options that there are not,
    WrongOption for a number of threads that cannot be.
    """
    if mode not in (None, "default"):
        raise UsageError(f"mode={mode!r}: the backend ovenbird has one; leave it out")
    unknown = [name for name in options or () if name not in OPTIONS]
    if unknown:
        raise UsageError(f"options: there is no {unknown[0]!r}, only {', '.join(OPTIONS)}")
    given = dict(options or {})
    if given.get("threads") is not None:
        whole("threads", given["threads"], 1, MAX_THREADS)
    if not isinstance(given.get("check_weights", False), bool):
        raise UsageError(f"check_weights is {given['check_weights']!r}, expected True or False")
    try:
        found = inspect_graph(graph, examples)
    except EagerOnly as error:
        report_once(str(error))
        return graph.forward
    return CompiledGraph(graph, found, **given)


# Here, as torch imports this module when `torch.compile` names the backend, and traces before it calls `backend`.
look_at_new_alone()
