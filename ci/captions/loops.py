"""The same programs as ONNX files, and the loop around them that users of ONNX Runtime write: caches in numpy.

loop = OnnxLoop(export_programs(programs, Path("build/captions/onnx")), programs, threads=2)
loop.write(pixels, tokens=20)                   # [101, 1037, 4937, ...], greedily
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

OPSET = 17
HELD = 0.01
"""What caches hold at first: of zeros that nobody wrote, the system has one page, which is never read from memory."""


class _Flat(torch.nn.Module):
    """A part whose outputs are a tuple, in the order of its dict."""

    def __init__(self, part: torch.nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs."""
        return tuple(self.part(*tensors).values())


def export_programs(programs: Any, folder: Path) -> dict[str, Path]:
    """Write each program whose file is not there yet; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.onnx" for name in programs.parts}
    for name, part in programs.parts.items():
        if files[name].is_file():
            continue
        examples = tuple(tensor[:1] for tensor in part.examples.values())
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = list(part.module(*examples))
            torch.onnx.export(
                _Flat(part.module).eval(),  # or all parts would be set to training behind it
                examples,
                str(files[name]),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(part.examples),
                output_names=outputs,
                dynamic_axes={tensor: {0: "N"} for tensor in (*part.examples, *outputs)},
            )
    return files


class OnnxLoop:
    """Sessions on all threads, and the caches of one sequence."""

    def __init__(self, files: Mapping[str, Path], programs: Any, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._sessions = {
            name: onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            for name, file in files.items()
        }
        self._states, self._loop = programs.states, programs.loop
        self._held = self.step_inputs(1, 0)

    def _run(self, program: str, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = self._sessions[program]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(given)), strict=True))

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture's features."""
        return self._run("encode", {"pixel_values": pixels})["features"]

    def prefill(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Return the first rows of the states."""
        return self._run("prefill", {"features": features})

    def step_inputs(self, count: int, position: int) -> dict[str, np.ndarray]:
        """Return inputs of a step of `count` sequences."""
        shapes = {name: (count, *state.shape) for name, state in self._states.items()}
        states = {name: np.full(shape, HELD, np.float32) for name, shape in shapes.items()}
        return {"token": np.full(count, 101), "position": np.full(count, position), **states}

    def step(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return logits and the rows that are new."""
        return self._run("step", given)

    def write(self, pixels: np.ndarray, tokens: int) -> list[int]:
        """Return the most probable tokens, those of the begin first."""
        given, rows, text = self._held, 0, list(self._loop.begin)
        rows = self._append(self.prefill(self.encode(pixels)), "prefill", rows)
        while len(text) < tokens + len(self._loop.begin) and text[-1] not in self._loop.end:
            given["token"][0], given["position"][0] = text[-1], len(text) - 1
            found = self.step(given)
            rows = self._append(found, "step", rows)
            text.append(int(found["logits"][0].argmax()))
        return text

    def _append(self, found: Mapping[str, np.ndarray], program: str, rows: int) -> int:
        """Write the rows that a program returned behind the others; return how many there are."""
        stop = rows
        for name, state in self._states.items():
            (tensor,) = (use.tensor for use in state.writes if use.program == program)
            stop = rows + found[tensor].shape[1 + state.axis]
            self._held[name][(slice(None),) * (1 + state.axis) + (slice(rows, stop),)] = found[tensor]
        return stop
