"""The content that decides a graph's code, as one digest: operators, shapes, weights, this machine, this compiler.

    graph_key(graph, found, arguments)      # the same in another process, so that it need not compile again

Only what was computed from is digested: another name of a module, or another layout of an input, changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx

from ovenbird.dynamo.inspection import Inspection, compiled_batches
from ovenbird_runtime.machine.cpu import available_threads, this_machine
from ovenbird_runtime.machine.versions import __version__

FORMAT = 1
"""Of the cache; a new one makes all entries of older ones unknown."""


def graph_key(graph: fx.GraphModule, found: Inspection, arguments: Sequence[Any]) -> str:
    """Return the digest of a graph and of the tensors that it is compiled for, in hexadecimal."""
    machine = this_machine()
    facts = (FORMAT, _compiler(), torch.__version__, machine.arch, sorted(machine.features), available_threads())
    taken = hashlib.sha256(repr(facts).encode())
    taken.update(graph.code.encode())
    taken.update(f"{found.shapes} {compiled_batches(found, arguments)} {found.outputs.computed}\n".encode())
    for place in (*found.inputs, *found.frozen):
        argument, frozen = arguments[place], place in found.frozen
        taken.update(f"{found.names[place]} {argument.dtype} {frozen}\n".encode())
        if frozen:
            taken.update(f"{tuple(argument.shape)}\n".encode())
            _take_bytes(taken, argument)
    for node in graph.graph.find_nodes(op="get_attr"):
        constant = getattr(graph, str(node.target))
        taken.update(f"{node.target} {constant.dtype} {tuple(constant.shape)}\n".encode())
        _take_bytes(taken, constant)
    return taken.hexdigest()


def _take_bytes(taken: Any, tensor: torch.Tensor) -> None:
    taken.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _compiler() -> str:
    """Return what changes with the compiler: its version, and in a checkout the sizes and times of its files."""
    taken = hashlib.sha256(__version__.encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        facts = path.stat()
        taken.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return taken.hexdigest()
