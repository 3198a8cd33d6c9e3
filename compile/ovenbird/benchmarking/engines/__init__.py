"""The engines: one file each, all with the same verbs, so that a worker needs to know none of them.

    engine = find_engine("ort")
    engine.missing()                    # "" or the package that is not installed
    run = engine.start(job)             # then run(inputs) -> outputs, arrays by name

A new peer is one new file here with an `ENGINE`, and its name in `FILES`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from ovenbird.errors import UsageError, suggest
from ovenbird_runtime.console.installing import install_hint
from ovenbird_runtime.manifest.agreement import Precision
from ovenbird_runtime.tensors.arrays import Arrays

if TYPE_CHECKING:
    from ovenbird.benchmarking.jobs import Job

Runner = Callable[[Mapping[str, Any]], Arrays]

OWN, OWN_UNTUNED, OWN_TVM = "ovenbird", "ovenbird-untuned", "ovenbird-tvm"
TORCH_ENGINES = ("torch-eager", "torch-jit", "torch-inductor")
PEERS = ("ort", "openvino", "ncnn", *TORCH_ENGINES)
INSTALL_HINT = install_hint("peers", ".")
FILES = {
    OWN: "own",
    OWN_UNTUNED: "own_untuned",
    OWN_TVM: "own_tvm",
    "ort": "onnx_runtime",
    "openvino": "openvino_cpu",
    "ncnn": "ncnn_cpu",
    "torch-eager": "torch_eager",
    "torch-jit": "torch_jit",
    "torch-inductor": "torch_inductor",
}


@dataclass(frozen=True)
class BenchEngine:
    """One engine. `load()` imports its packages, `start(job)` returns what runs the job's network on its threads.

    `needs`: what of the work folder it eats, "artifact", "onnx" or "torch". `start_limit_s`: how long it may take until
    its first outputs are there. `converted`: a converter of its own stands between the network and it, which may get a
    network wrong: it is left out then, and nobody else is. `precisions`: what it can be compared in; f16 is float32
    here, with our large matrices stored in half.
    """

    name: str
    title: str
    package: str
    distributions: tuple[str, ...]
    needs: str
    load: Callable[[], str]
    start: Callable[[Job], Runner]
    start_limit_s: float = 180.0
    converted: bool = False
    precisions: tuple[Precision, ...] = get_args(Precision)

    def missing(self) -> str:
        """Return the package that is not installed, or nothing."""
        try:
            found = importlib.util.find_spec(self.package)
        except ValueError:  # sys.modules holds None: hidden on purpose
            found = None
        return "" if found else self.package


def find_engine(name: str) -> BenchEngine:
    """Return the engine of that name. Importing its file imports none of its packages."""
    loaded = importlib.import_module(f"{__name__}.{FILES[name]}").ENGINE
    assert isinstance(loaded, BenchEngine)
    return loaded


def parse_peers(text: str) -> tuple[str, ...]:
    """Read `--peers`, as in `ort,openvino,torch`. Raises UsageError.

    `torch` stands for its three ways, `ovenbird-tvm` for our other engine.
    """
    known = ("torch", *PEERS, OWN_TVM)
    names: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        if name not in known:
            hint = suggest(name, known) or f"; known are {', '.join(known)}"
            raise UsageError(f"--peers {text}: no engine {name!r}{hint}")
        names += TORCH_ENGINES if name == "torch" else (name,)
    return tuple(dict.fromkeys(names))
