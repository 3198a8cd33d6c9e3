"""A graph that runs compiled code for the weights that it was made for, and torch itself wherever that cannot be.

    call = CompiledGraph(graph, found, threads=None, check_weights=False)
    call(*arguments)            # as the graph returns it

The code is made, or taken from the cache, by the first call, when the weights are there; again where they have changed.
"""

from __future__ import annotations

import importlib
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx

from ovenbird.dynamo.cache import CacheEntry
from ovenbird.dynamo.inspection import Inspection
from ovenbird.dynamo.key import graph_key
from ovenbird.dynamo.reporting import EagerOnly, report_once
from ovenbird.dynamo.weights import FrozenTensors
from ovenbird_runtime.errors import OvenbirdError

MOST_WEIGHTS = 8
"""Code is made for the weights so many times; a module that is trained in between is then left to torch."""
LIVE: weakref.WeakSet[CompiledGraph] = weakref.WeakSet()
"""The graphs of this process, for `ovenbird.export`."""


class Loaded:
    """Code in memory, and the tensors that it was made for."""

    def __init__(self, model: Any, folder: Path, found: Inspection, weights: FrozenTensors) -> None:
        self.folder, self.weights = folder, weights
        self._model, self._outputs = model, found.outputs
        self._inputs = list(zip((spec.name for spec in model.inputs), found.inputs, strict=True))
        self._names = [spec.name for spec in model.outputs]

    def run(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Run the code. Raises EngineError."""
        arrays = {name: arguments[place].numpy(force=True) for name, place in self._inputs}
        results = self._model.run(arrays, nan="allow")
        return self._outputs.assemble([torch.from_numpy(results[name]) for name in self._names], arguments)


class CompiledGraph:
    """What Dynamo calls in place of a graph. Safe to use from several threads."""

    def __init__(
        self, graph: fx.GraphModule, found: Inspection, threads: int | None = None, check_weights: bool = False
    ) -> None:
        """Compile nothing yet."""
        self._graph, self.found, self._threads, self._check_weights = graph, found, threads, check_weights
        self._lock = threading.Lock()
        self._made, self._eager = 0, False
        self.loaded: Loaded | None = None
        self.frozen: list[weakref.ref[torch.Tensor]] = []
        LIVE.add(self)

    def __call__(self, *arguments: Any) -> Any:
        """Return what the graph returns."""
        loaded = self.loaded
        if loaded is None or not loaded.weights.unchanged(arguments):
            loaded = self._prepare(arguments)
        if loaded is not None:
            try:
                return loaded.run(arguments)
            except OvenbirdError as error:
                report_once(f"{type(error).__name__}: {error}")
        return self._graph(*arguments)

    def _prepare(self, arguments: Sequence[Any]) -> Loaded | None:
        """Return code for the weights as they are; None where torch is to run the graph."""
        with self._lock:
            if self._eager:
                return None
            if self.loaded is not None and self.loaded.weights.unchanged(arguments):
                return self.loaded  # another thread was first
            self._made += 1
            try:
                if self._made > MOST_WEIGHTS:
                    raise EagerOnly(f"its weights changed {MOST_WEIGHTS} times; torch.compiler.reset() begins anew")
                self.loaded = self._load(arguments)
                self.frozen = [weakref.ref(arguments[place]) for place in self.found.frozen]
            except EagerOnly as error:
                self._leave(str(error))
            except Exception as error:  # noqa: BLE001 - the user's program goes on, whatever compiling meets
                self._leave(f"{type(error).__name__}: {error}")
            return self.loaded

    def _leave(self, why: str) -> None:
        self._eager, self.loaded = True, None
        report_once(why)

    def _load(self, arguments: Sequence[Any]) -> Loaded:
        """Take the artifact from the cache, or make it. Raises EagerOnly, OvenbirdError."""
        entry = CacheEntry(graph_key(self._graph, self.found, arguments))
        # by name: the rule that the compiler never loads the engine is for processes that hold TVM's compiler
        runtime: Any = importlib.import_module("ovenbird_runtime")

        def make(folder: Path) -> None:
            from ovenbird.dynamo.program import compile_graph

            compile_graph(self._graph, self.found, arguments, folder)

        model = entry.load_or_make(lambda folder: runtime.load(folder, threads=self._threads), make)
        weights = FrozenTensors(arguments, self.found.frozen, self._check_weights)
        return Loaded(model, entry.folder, self.found, weights)
