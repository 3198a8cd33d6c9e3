"""Runs a network of floats, compiled for this machine as any other, to see what its tensors hold.

observer = Observer(module, variables)
for outputs in observer.run([{"image": array}, ...]): ...      # one list of arrays a picture, in the variables' order
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tvm
from tvm import IRModule, relax

from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.quantize.rewriter import Rewriter
from ovenbird.targets import load_target
from ovenbird_runtime.tensors.arrays import Array


class Observer:
    """A compiled network that gives some of its inner tensors, too."""

    def __init__(self, module: IRModule, variables: Sequence[relax.Var], outputs: bool = False) -> None:
        """Compile `module` to give `variables`, after its own outputs where `outputs`. Raises BuildFailed."""
        function = module["main"]
        self.places = {var: at for at, var in enumerate(function.params)}
        self.variables = list(variables)
        self.inner = [var for var in variables if var not in self.places]
        opened = _Opened(module, self.inner, outputs).run()
        built = build_module({EntryKey(): opened}, load_target("host"))
        self.machine = relax.VirtualMachine(built.executable, tvm.cpu())
        self.function = built.entries[0].function
        self.weights = [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]

    def run_one(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the tensors for one set of inputs."""
        (found,) = self.run([inputs])
        return found

    def run(self, pictures: Iterable[Sequence[Array]]) -> Iterator[list[Array]]:
        """Yield the tensors for each set of inputs, given in the order of the parameters."""
        for inputs in pictures:
            given = [tvm.runtime.tensor(np.array(array, order="C")) for array in inputs]
            result = self.machine[self.function](*given, *self.weights)
            found = [result] if hasattr(result, "numpy") else list(result)
            own = iter([one.numpy() for one in found[len(found) - len(self.inner) :]])
            arrays = [one.numpy() for one in found[: len(found) - len(self.inner)]]
            for var in self.variables:
                arrays.append(inputs[self.places[var]] if var in self.places else next(own))
            yield arrays


class _Opened(Rewriter):
    """Gives inner variables, after the function's own outputs where `outputs`."""

    def __init__(self, module: IRModule, variables: Sequence[relax.Var], outputs: bool) -> None:
        super().__init__(module)
        self.variables, self.outputs = variables, outputs

    def result(self) -> relax.Expr:
        own: list[relax.Expr] = []
        if self.outputs:
            given = super().result()
            fields = getattr(given.ty, "fields", None)
            own = [given] if fields is None else [self.emit(relax.TupleGetItem(given, at)) for at in range(len(fields))]
        return relax.Tuple([*own, *(self.new[var] for var in self.variables)])
