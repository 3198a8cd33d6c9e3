"""From a torch network to what the importer eats: named tensors in, a flat tuple of named tensors out, one batch size.

    traced = Traced.of(net, (torch.randn(1, 3, 224, 224),))
    traced.input_names, traced.output_names      # ("image",), ("logits", "embedding")
    traced.export(8)                             # torch.export.ExportedProgram for eight images

Names of inputs come from `forward`'s signature, names of outputs from the dict (or named tuple) that it returns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from ovenbird.errors import NetworkUnreadable, NetworkUntraceable
from ovenbird.networks.image_shapes import layout_of, resized_shapes, size_of
from ovenbird.networks.torch.forms import call_for_forms, rows_apart
from ovenbird.networks.torch.graph.places import traced_line
from ovenbird.networks.torch.graph.refusing import NUMBER, has_unknown_lengths
from ovenbird.networks.torch.masks import Masks
from ovenbird.networks.torch.steady import steady_torch
from ovenbird.networks.torch.widening import holdable
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.answers import AnswerStep, Boxes
from ovenbird_runtime.manifest.candidates import aligned, compare_output

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class FlatNetwork(nn.Module):
    """The user's network with positional tensors in and a tuple of tensors out."""

    def __init__(self, net: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.net = net
        self.call = call
        self.masks: Masks | None = None
        """What stands in for masks while the network is called."""

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the network, and return the tensors in what it returns."""
        with self.masks or contextlib.nullcontext():
            return tuple(tensor for _, tensor in flatten_outputs(self.call(self.net, tensors)))


def flatten_outputs(value: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors in what a network returned, each with its name. Raises NetworkUnreadable for anything else.

    A dict's keys and a named tuple's fields are names, other places `output0`, `output1` ...; nested ones are joined.
    """
    found: list[tuple[str, torch.Tensor]] = []
    for path, leaf in pytree.tree_flatten_with_path(_plain(value))[0]:
        if leaf is None:
            continue
        if not isinstance(leaf, torch.Tensor):
            raise NetworkUnreadable(
                f"the network returns {type(leaf).__name__} at {_joined(path)}, expected tensors only"
            )
        found.append((_joined(path), leaf))
    if not found:
        raise NetworkUnreadable("the network returns no tensor")
    return found


def _plain(value: Any) -> Any:
    """Turn named tuples, dataclasses and mappings (Hugging Face's ModelOutput among them) into dicts by their names."""
    if isinstance(value, torch.Tensor):
        return (value,)
    if isinstance(value, Mapping):
        return {str(key): _plain_inside(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain_inside(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain_inside(getattr(value, name)) for name in value._fields}
    return value


def _plain_inside(value: Any) -> Any:
    return value if isinstance(value, torch.Tensor) else _plain(value)


def _joined(path: Sequence[Any]) -> str:
    keys = [str(getattr(step, "key", getattr(step, "idx", step))) for step in path] or ["output"]
    head = f"output{keys[0]}" if keys[0].isdigit() else keys[0]
    return "_".join([head, *keys[1:]])


@dataclass
class Traced:
    """A torch network made ready: `flat` eats `examples` in the order of `input_names`."""

    flat: FlatNetwork
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    examples: tuple[torch.Tensor, ...]
    output_examples: tuple[torch.Tensor, ...]
    """What it gives for them; without numbers where it need not be run to know (`forms.py`)."""
    batched: tuple[bool, ...]
    """Which inputs have a batch dimension; none where the network's batch cannot be changed."""

    @staticmethod
    def of(net: nn.Module, example_inputs: Any) -> Traced:
        """Look at a network and its example inputs (a tensor, a tuple, or a dict by name).

        Raises NetworkUnreadable, NetworkUntraceable.
        """
        net = net.eval()
        names, examples, call = bind(net, example_inputs)
        return Traced._look(FlatNetwork(net, call).eval(), names, examples)

    @staticmethod
    def _look(flat: FlatNetwork, names: tuple[str, ...], examples: tuple[torch.Tensor, ...]) -> Traced:
        """Run a network on its examples to see what it gives, and which inputs carry a batch."""
        with torch.no_grad(), steady_torch():
            try:
                outputs = flatten_outputs(call_for_forms(flat.net, flat.call, examples))
            except NetworkUnreadable:
                raise
            except Exception as error:
                raise NetworkUntraceable(
                    f"the network does not run on its example inputs: {first_line(error)}"
                ) from error
        traced = Traced(
            flat, names, tuple(n for n, _ in outputs), examples, tuple(t for _, t in outputs), (False,) * len(names)
        )
        traced.batched = traced._find_batch()
        return traced

    def resized(self, height: int, width: int) -> Traced:
        """Return the network for images of another size: all inputs as large as the first image change.

        Raises NetworkUntraceable where it cannot take them.
        """
        check_open_sides(self.flat.net, (height, width))
        shapes = resized_shapes([tuple(tensor.shape) for tensor in self.examples], (height, width))
        examples = tuple(
            tensor if shape is None else tiled(tensor, shape)
            for tensor, shape in zip(self.examples, shapes, strict=True)
        )
        return Traced._look(self.flat, self.input_names, examples)

    def export(self, batch: int | None, instead: nn.Module | None = None) -> ExportedProgram:
        """Trace with `batch` rows (None: the size of the examples) the network, or one that stands in for it.

        Raises NetworkUntraceable.
        """
        inputs = self.examples if batch is None else self.with_batch(batch)
        if instead is not None:
            inputs = tuple(map(holdable, inputs))
        failure: Exception | None = None
        with torch.no_grad(), steady_torch():
            try:
                program = traced_in_silence(instead or self.flat, inputs)
                if not has_unknown_lengths(program):
                    return program
            except Exception as error:  # noqa: BLE001 - whatever the network and torch raise
                failure = error
            found = None if instead else self._export_masked(inputs)
        if found is not None:
            return found
        if failure is not None:
            why = NUMBER if "data-dependent expression" in str(failure) else first_line(failure)
            raise NetworkUntraceable(f"torch.export cannot trace the network{traced_line(failure)}: {why}") from failure
        return program

    def _export_masked(self, inputs: tuple[torch.Tensor, ...]) -> ExportedProgram | None:
        """Trace with the places of its masks in their place; None where it has none, or cannot be traced so either."""
        self.flat.masks = Masks()
        try:
            self.flat(*inputs)
            return traced_in_silence(self.flat, inputs) if self.flat.masks.used else None
        except Exception:  # noqa: BLE001 - what torch said of the network as it is says more
            return None
        finally:
            self.flat.masks = None

    def run(self, inputs: Sequence[torch.Tensor], instead: nn.Module | None = None) -> tuple[torch.Tensor, ...]:
        """Run the network, or what stands in for it, on one thread; the outputs in the order of `output_names`."""
        with torch.no_grad(), steady_torch():
            outputs: tuple[torch.Tensor, ...] = (instead or self.flat)(*inputs)
            return outputs

    def with_batch(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return the examples with their first row repeated `batch` times, where they have a batch dimension."""
        return tuple(
            tensor[:1].repeat(batch, *[1] * (tensor.dim() - 1)).contiguous() if batched else tensor
            for tensor, batched in zip(self.examples, self.batched, strict=True)
        )

    def _find_batch(self) -> tuple[bool, ...]:
        """Find which inputs carry a batch: those as long as the first, if every output follows and rows stay apart.

        A network may say so itself (`forms.py`), as those of ours do that take some seconds for an image.
        """
        none = (False,) * len(self.examples)
        rows = next((tensor.shape[0] for tensor in self.examples if tensor.dim()), 0)
        if not rows or any(tensor.dim() == 0 or tensor.shape[0] != rows for tensor in self.output_examples):
            return none
        self.batched = tuple(bool(tensor.dim()) and tensor.shape[0] == rows for tensor in self.examples)
        if rows_apart(self.flat.net):
            return self.batched
        shift = tuple(
            _another(tensor) if b else tensor for tensor, b in zip(self.with_batch(1), self.batched, strict=True)
        )
        both = tuple(
            torch.cat([one, two]) if b else one
            for one, two, b in zip(self.with_batch(1), shift, self.batched, strict=True)
        )
        try:
            one = self.output_examples if rows == 1 else self.run(self.with_batch(1))
            alone = (one, self.run(shift))
            together = self.run(both)
        except Exception:  # noqa: BLE001 - a fixed batch shows itself in any way it likes
            return none
        if any(tensor.shape[0] != 1 for tensors in alone for tensor in tensors):
            return none
        apart = tuple(torch.cat(pair) for pair in zip(*alone, strict=True))
        return self.batched if same_rows(self.output_names, apart, together) else none


def traced_in_silence(network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> ExportedProgram:
    """Trace a network; torch prints a page of code on standard error where it fails; the user gets one line."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        program = torch.export.export(network, inputs, strict=False)
    sys.stderr.write(said.getvalue())
    return program


def tiled(tensor: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return the tensor repeated, then cut, to a shape of as many dimensions."""
    repeats = [-(-wanted // have) for wanted, have in zip(shape, tensor.shape, strict=True)]
    return tensor.repeat(*repeats)[tuple(slice(wanted) for wanted in shape)].contiguous()


def check_open_sides(net: nn.Module, size: tuple[int, int]) -> None:
    """Refuse a program that was exported for images of another size alone: what was computed from that size then is
    written in it as numbers. Raises NetworkUntraceable.
    """
    program: Any = getattr(net, "net", net)  # a loaded program is called by its inputs' names
    for node in program.graph.nodes if isinstance(program, torch.fx.GraphModule) else ():
        shape: Any = getattr(node.meta.get("val"), "shape", ()) if node.op == "placeholder" else ()
        have = size_of(shape) if layout_of(shape) else size
        if any(isinstance(side, int) and side != wanted for side, wanted in zip(have, size, strict=True)):
            raise NetworkUntraceable(
                f"the program was exported for images of {have[0]}x{have[1]}: export it with "
                'dynamic_shapes, {2: Dim("height"), 3: Dim("width")} for an image [N, C, H, W]'
            )


def _another(tensor: torch.Tensor) -> torch.Tensor:
    """Return a row that differs from `tensor`'s but is as valid: its own values in reverse order."""
    return tensor.flatten().flip(0).reshape(tensor.shape)


def same_rows(names: Sequence[str], alone: Sequence[torch.Tensor], together: Sequence[torch.Tensor]) -> bool:
    """Return whether rows alone and the same rows in a batch are the same, but for rounding and its order of boxes."""
    low = {torch.float16: "f16", torch.bfloat16: "bf16"}
    limits = [LIMITS[low.get(tensor.dtype, "f32")] for tensor in alone]  # type: ignore[index]
    right, given = (
        {name: holdable(tensor.detach()).cpu().numpy() for name, tensor in zip(names, tensors, strict=True)}
        for tensors in (alone, together)
    )
    steps: tuple[AnswerStep, ...] = ()
    if {"boxes", "scores", "classes"} <= right.keys():
        masks, keypoints = (name if name in right else None for name in ("masks", "keypoints"))
        steps = (Boxes(masks=masks, keypoints=keypoints),)
        given = aligned(steps, given, right, limits[0])
    return not any(
        compare_output(steps, name, given[name], right[name], one).fault
        for name, one in zip(names, limits, strict=True)
    )


def bind(net: nn.Module, example_inputs: Any) -> tuple[tuple[str, ...], tuple[torch.Tensor, ...], Callable[..., Any]]:
    """Return the inputs' names and tensors, and how to call the network with them."""
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    if isinstance(example_inputs, Mapping):
        names = tuple(str(name) for name in example_inputs)
        tensors = tuple(example_inputs.values())

        def call(net: nn.Module, values: Sequence[torch.Tensor]) -> Any:
            return net(**dict(zip(names, values, strict=True)))
    elif isinstance(example_inputs, (tuple, list)):
        tensors = tuple(example_inputs)
        names = _positional_names(net, len(tensors))

        def call(net: nn.Module, values: Sequence[torch.Tensor]) -> Any:
            return net(*values)
    else:
        raise NetworkUnreadable(
            f"the example inputs are {type(example_inputs).__name__}, expected a tensor, a tuple of tensors or a dict"
        )
    for name, tensor in zip(names, tensors, strict=True):
        if not isinstance(tensor, torch.Tensor):
            raise NetworkUnreadable(f"the example input {name} is {type(tensor).__name__}, expected a tensor")
    if not tensors:
        raise NetworkUnreadable("the network has no example inputs; return them with it")
    return names, tuple(tensor.detach().contiguous() for tensor in tensors), call


def _positional_names(net: nn.Module, count: int) -> tuple[str, ...]:
    names: list[str] = []
    for parameter in inspect.signature(net.forward).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{index}" for index in range(count - len(names))]
        elif parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    if len(names) < count:
        raise NetworkUnreadable(f"the network's forward takes {len(names)} inputs, {count} example inputs were given")
    return tuple(names[:count])


def first_line(error: BaseException) -> str:
    """Return the first line of an error that says something, for a one-line message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
