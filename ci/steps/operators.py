"""Time single operators at sizes that real networks use against ONNX Runtime, and print the ratio of each.

    python ci/steps/operators.py                          # all of them, some minutes
    python ci/steps/operators.py depthwise conv1d         # those whose name has one of the words
    python ci/steps/operators.py --threads 1 --most 2.0   # exit code 1 where a ratio is above it

Each pair is compiled and run in a process of its own, in blocks of calls in turn. A ratio is our shortest call by
ONNX Runtime's; the spread is that of the ratios of the single blocks, from the first to the third quartile.
Needs torch, onnx and onnxruntime (ci/steps/setup.sh test). Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

BLOCKS, CALLS, SECONDS = 9, 30, 0.25
"""Blocks of each side, and in a block: calls at most, seconds at most."""

PAUSE_SECONDS = 0.02
"""Between blocks: threads of the other side stop waiting for work."""

OPERATORS = {
    # name: (network, shapes of its inputs); `nn` and `F` are torch.nn and torch.nn.functional
    "conv 3x3 64@56": ("nn.Conv2d(64, 64, 3, padding=1)", "1,64,56,56"),
    "conv 3x3 256@14": ("nn.Conv2d(256, 256, 3, padding=1)", "1,256,14,14"),
    "conv 3x3/2 128@56": ("nn.Conv2d(128, 128, 3, 2, 1)", "1,128,56,56"),
    "conv 1x1 256@56": ("nn.Conv2d(256, 64, 1)", "1,256,56,56"),
    "conv 1x1 1024@14": ("nn.Conv2d(1024, 256, 1)", "1,1024,14,14"),
    "conv 7x7/2 stem@224": ("nn.Conv2d(3, 64, 7, 2, 3)", "1,3,224,224"),
    "conv 16x16/16 patches": ("nn.Conv2d(3, 768, 16, 16)", "1,3,224,224"),
    "conv 4x4/4 patches": ("nn.Conv2d(3, 96, 4, 4)", "1,3,224,224"),
    "conv 3x3 dilated 12": ("nn.Conv2d(256, 256, 3, padding=12, dilation=12)", "1,256,28,28"),
    "conv 1x7 Inception": ("nn.Conv2d(192, 192, (1, 7), padding=(0, 3))", "1,192,17,17"),
    "conv 5x5 Inception": ("nn.Conv2d(48, 64, 5, padding=2)", "1,48,35,35"),
    "conv 13x13 large": ("nn.Conv2d(32, 32, 13, padding=6)", "1,32,56,56"),
    "grouped 32 ResNeXt": ("nn.Conv2d(256, 256, 3, padding=1, groups=32)", "1,256,28,28"),
    "grouped RegNet 16": ("nn.Conv2d(208, 208, 3, padding=1, groups=13)", "1,208,28,28"),
    "depthwise 3x3 144@56": ("nn.Conv2d(144, 144, 3, padding=1, groups=144)", "1,144,56,56"),
    "depthwise 3x3/2 96@112": ("nn.Conv2d(96, 96, 3, 2, 1, groups=96)", "1,96,112,112"),
    "depthwise 5x5 240@28": ("nn.Conv2d(240, 240, 5, padding=2, groups=240)", "1,240,28,28"),
    "depthwise 5x5 672@14": ("nn.Conv2d(672, 672, 5, padding=2, groups=672)", "1,672,14,14"),
    "depthwise 7x7 96@56": ("nn.Conv2d(96, 96, 7, padding=3, groups=96)", "1,96,56,56"),
    "depthwise 7x7 384@14": ("nn.Conv2d(384, 384, 7, padding=3, groups=384)", "1,384,14,14"),
    "depthwise 9x9 64@28": ("nn.Conv2d(64, 64, 9, padding=4, groups=64)", "1,64,28,28"),
    "depthwise 31x31 RepLKNet": ("nn.Conv2d(128, 128, 31, padding=15, groups=128)", "1,128,56,56"),
    "transposed 2x2/2 U-Net": ("nn.ConvTranspose2d(256, 128, 2, 2)", "1,256,28,28"),
    "transposed 4x4/2 GAN": ("nn.ConvTranspose2d(256, 128, 4, 2, 1)", "1,256,16,16"),
    "transposed 4x4/2 to RGB": ("nn.ConvTranspose2d(64, 3, 4, 2, 1)", "1,64,64,64"),
    "transposed 3x3/2": ("nn.ConvTranspose2d(128, 64, 3, 2, 1, output_padding=1)", "1,128,64,64"),
    "transposed 4x4/4 FPN": ("nn.ConvTranspose2d(96, 48, 4, 4)", "1,96,40,40"),
    "transposed 16x16/8 FCN": ("nn.ConvTranspose2d(21, 21, 16, 8, 4)", "1,21,28,28"),
    "transposed 32x32/16 FCN": ("nn.ConvTranspose2d(21, 21, 32, 16, 8)", "1,21,14,14"),
    "conv1d 3 256x1000": ("nn.Conv1d(256, 256, 3, padding=1)", "1,256,1000"),
    "conv1d 9 dilated 128x512": ("nn.Conv1d(128, 128, 9, padding=16, dilation=4)", "1,128,512"),
    "conv1d depthwise 31 Conformer": ("nn.Conv1d(256, 256, 31, padding=15, groups=256)", "1,256,500"),
    "conv1d transposed 16/8": ("nn.ConvTranspose1d(128, 64, 16, 8, 4)", "1,128,250"),
    "conv3d 3x3x3 64": ("nn.Conv3d(64, 64, 3, padding=1)", "1,64,8,28,28"),
    "conv3d 1x3x3 R(2+1)D": ("nn.Conv3d(64, 144, (1, 3, 3), padding=(0, 1, 1))", "1,64,8,28,28"),
    "conv3d stem 3x7x7": ("nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3))", "1,3,8,112,112"),
    "instance norm 64@128": ("nn.InstanceNorm2d(64)", "1,64,128,128"),
    "instance norm affine 128@64": ("nn.InstanceNorm2d(128, affine=True)", "1,128,64,64"),
    "group norm 32 of 256@64": ("nn.GroupNorm(32, 256)", "1,256,64,64"),
    "group norm 32 of 320@32": ("nn.GroupNorm(32, 320)", "1,320,32,32"),
    "layer norm 197x768": ("nn.LayerNorm(768)", "1,197,768"),
    "layer norm 3136x96": ("nn.LayerNorm(96)", "1,3136,96"),
    "softmax 12x197x197": ("nn.Softmax(-1)", "1,12,197,197"),
    "GELU 197x3072": ("nn.GELU()", "1,197,3072"),
    "SiLU 144@56": ("nn.SiLU()", "1,144,56,56"),
    "hardswish 240@28": ("nn.Hardswish()", "1,240,28,28"),
    "ReLU 256@56": ("nn.ReLU()", "1,256,56,56"),
    "linear 197x768x3072": ("nn.Linear(768, 3072)", "1,197,768"),
    "linear 7x197x768x768": ("nn.Linear(768, 768)", "7,197,768"),
    "linear 2048x1000": ("nn.Linear(2048, 1000)", "1,2048"),
    "attention 12x197x64": ("Function(F.scaled_dot_product_attention)", "1,12,197,64 1,12,197,64 1,12,197,64"),
    "max pool 3x3/2 64@112": ("nn.MaxPool2d(3, 2, 1)", "1,64,112,112"),
    "max pool 5x5 SPPF": ("nn.MaxPool2d(5, 1, 2)", "1,256,20,20"),
    "average pool 3x3": ("nn.AvgPool2d(3, 1, 1)", "1,192,35,35"),
    "global average 2048@7": ("nn.AdaptiveAvgPool2d(1)", "1,2048,7,7"),
    "channel shuffle 232@14": ("nn.ChannelShuffle(2)", "1,232,14,14"),
    "pixel shuffle 2": ("nn.PixelShuffle(2)", "1,256,64,64"),
    "upsample nearest 2": ("nn.Upsample(scale_factor=2)", "1,256,40,40"),
    "upsample bilinear 2": ("nn.Upsample(scale_factor=2, mode='bilinear')", "1,256,32,32"),
    "concat 4x64@56": ("Function(lambda *x: torch.cat(x, 1))", "1,64,56,56 1,64,56,56 1,64,56,56 1,64,56,56"),
    "transpose to channels last": ("Function(lambda x: x.permute(0, 2, 3, 1).contiguous())", "1,96,56,56"),
    "mean of channels": ("Function(lambda x: x.mean(1, keepdim=True))", "1,256,56,56"),
}


def network(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """Return an operator's network and its inputs, seeded."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Function(nn.Module):
        """A function of tensors."""

        def __init__(self, function: Callable[..., Any]) -> None:
            super().__init__()
            self.function = function

        def forward(self, *inputs: torch.Tensor) -> Any:
            return self.function(*inputs)

    torch.manual_seed(0)
    text, shapes = OPERATORS[name]
    module = eval(text, {"nn": nn, "F": functional, "torch": torch, "Function": Function})
    return module.eval(), tuple(torch.randn(*map(int, shape.split(","))) for shape in shapes.split())


def own(module: Any, inputs: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Compile the network; return its call, and one that gives its first output."""
    import torch
    import tvm
    from tvm import relax

    from ovenbird.backends.building import build_module
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.networks.importing import import_exported
    from ovenbird.targets import load_target

    imported = import_exported(torch.export.export(module, inputs))
    built = build_module({EntryKey(batch=int(inputs[0].shape[0])): imported}, load_target("host"))
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(value.numpy()) for value in inputs]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    function = machine[built.entries[0].function]

    def first() -> Any:
        result = function(*tensors)
        return (result if hasattr(result, "numpy") else result[0]).numpy()

    return lambda: function(*tensors), first


def theirs(module: Any, inputs: Any, threads: int) -> Callable[[], Any]:
    """Export the network; return ONNX Runtime's call."""
    import onnxruntime
    import torch

    buffer = io.BytesIO()
    torch.onnx.export(module, inputs, buffer, opset_version=17, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {spec.name: value.numpy() for spec, value in zip(session.get_inputs(), inputs, strict=True)}
    return lambda: session.run(None, given)


def block(call: Callable[[], Any]) -> float:
    """Return the shortest of some calls, in seconds."""
    time.sleep(PAUSE_SECONDS)
    shortest, end = float("inf"), time.perf_counter() + SECONDS
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        shortest = min(shortest, time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return shortest


def time_one(name: str, threads: int) -> str:
    """Time one pair in this process, and return its line of the table, the ratio first."""
    import numpy as np

    warnings.simplefilter("ignore")
    module, inputs = network(name)
    call, first = own(module, inputs)
    peer = theirs(module, inputs, threads)
    found, wanted = first(), peer()[0]
    error = float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-6))
    pairs = []
    for turn in range(BLOCKS):
        sides = (call, peer) if turn % 2 else (peer, call)
        times = {side: block(side) for side in sides}
        pairs.append((times[call], times[peer]))
    ours, other = (min(side) for side in zip(*pairs, strict=True))
    low, _, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    spread = f"{low:.2f} to {high:.2f}"
    return f"{ours / other:.3f} | {name} | {ours * 1e3:.3f} | {other * 1e3:.3f} | {spread} | {error:.0e}"


def main() -> int:
    """Time the operators that were asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("words", nargs="*", help="operators whose names have one of these words")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--most", type=float, default=float("inf"), help="exit code 1 where a ratio is above it")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(time_one(options.one, options.threads))
        return 0
    names = [name for name in OPERATORS if not options.words or any(word in name for word in options.words)]
    print(
        "| operator | ours, ms | ONNX Runtime, ms | ratio | quartiles | error |\n|---|---|---|---|---|---|", flush=True
    )
    above = 0
    environment = os.environ | {"TVM_NUM_THREADS": str(options.threads), "TVM_BIND_THREADS": "0"}
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--threads", str(options.threads)]
        sys.stdout.flush()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"| {name} | | | | | failed: {reason[:100]} |", flush=True)
            above += 1
            continue
        ratio, _, *rest = done.stdout.strip().splitlines()[-1].split(" | ")
        ours, other, quartiles, error = rest
        print(f"| {name} | {ours} | {other} | {ratio} | {quartiles} | {error} |", flush=True)
        above += float(ratio) > options.most
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
