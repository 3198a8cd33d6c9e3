"""What the handlers for processors know besides the walk: the machine, and how an algorithm is chosen."""

from __future__ import annotations

from tvm import relax

from ovenbird.backends.cpu.algorithms import Algorithm, Decisions
from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.optimisations import NOTHING, Without
from ovenbird.lowering.blocked import BlockedForm
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Handlers, Lowered, Lowering


class CpuLowering(Lowering):
    """A walk whose images are in blocks of channels.

    `algorithms`: measured choices by `ConvolutionShape.key`. `deciding`: the machine whose estimate chooses where
    nothing was measured; variants that share their weights ask one for all. `batch`: the function's batch size;
    `smallest_batch`: the smallest one that the library is compiled for. `decisions`: what was chosen for the same
    weights at other image sizes; None where there is but one. `without`: optimisations that are left out.
    """

    form: BlockedForm

    def __init__(
        self,
        function: relax.Function,
        form: BlockedForm,
        handlers: Handlers,
        machine: Machine,
        algorithms: dict[str, Algorithm],
        deciding: Machine,
        batch: int,
        smallest_batch: int,
        decisions: Decisions | None = None,
        without: Without = NOTHING,
    ) -> None:
        super().__init__(function, form, handlers)
        self.machine = machine
        self.algorithms = algorithms
        self.deciding = deciding
        self.batch, self.smallest_batch = batch, smallest_batch
        self.decisions, self.without = decisions, without
        self.joined: dict[tuple[relax.Expr, ...], relax.Var] = {}
        """Groups of images that several concatenations begin with, by the images."""

    def lower_binding(self, binding: relax.VarBinding) -> Lowered:
        """Return the value of one binding; sums that more than one reader wants are emitted at once."""
        found = super().lower_binding(binding)
        if isinstance(found, Value) and found.pending is not None and binding.var not in self.sole_reader:
            self.form.settle(found)
        return found

    @property
    def block(self) -> int:
        """Channels of a block."""
        return self.form.block
