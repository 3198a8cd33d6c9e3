"""Where in the user's code an operator stands, for errors of one line: `net.py:12 "self.conv(x)", module head.0`."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import torch

OWN = str(Path(__file__).parents[3])
"""Where our own code lies."""

TORCH = str(Path(torch.__file__).parent)
"""Where torch's own code lies; "<" begins the name of code that it writes."""

FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>\S+)\n\s*(?P<code>[^\n]*)')
LONGEST_CODE = 60
"""Characters of a line of code that are shown."""


def operator_of(node: Any) -> str:
    """Return the operator's name as torch writes it, without the overload `default`."""
    return str(node.target).removesuffix(".default") if node.op == "call_function" else str(node.target)


def operands_of(node: Any) -> str:
    """Return the dtypes and shapes of the tensors given to an operator."""
    values = (operand.meta.get("val") for operand in node.all_input_nodes)
    shown = [f"{str(one.dtype).removeprefix('torch.')}{list(one.shape)}" for one in values if hasattr(one, "dtype")]
    return ", ".join(shown) or "these arguments"


def place_of(node: Any) -> str:
    """Return the user's line, and the module it belongs to; the node's name where torch kept neither."""
    frames = list(FRAME.finditer(node.meta.get("stack_trace") or ""))
    own = [frame for frame in frames if not frame["file"].startswith((TORCH, "<"))] or frames
    found = ""
    if own:
        code = own[-1]["code"].strip()
        code = code if len(code) <= LONGEST_CODE else code[: LONGEST_CODE - 3] + "..."
        found = f'{Path(own[-1]["file"]).name}:{own[-1]["line"]} "{code}"'
    modules = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path]
    module = re.sub(r"^(?:L\['self'\]\.)?net\.?", "", str(modules[-1])) if modules else ""
    return ", ".join(part for part in (found, f"module {module}" if module else "") if part) or f"node {node.name}"


def traced_line(error: BaseException) -> str:
    """Return ` at net.py:76, "if y.mean() > 0:"`, the user's line that torch.export names or stopped at, or nothing."""
    found = re.findall(r'^ *File "([^"\n]+)", line (\d+), in .*\n +(\S.*)$', str(error), re.MULTILINE)
    calls = traceback.extract_tb(error.__traceback__)
    for lines in (found, [(call.filename, call.lineno, call.line) for call in calls]):
        own = [(Path(path).name, line, code) for path, line, code in lines if code and is_users(path)]
        if own:
            return ' at {}:{}, "{}"'.format(*own[-1])
    return ""


def is_users(path: str) -> bool:
    """Return whether a file of code is the user's: not installed, not ours, not written by torch."""
    return "site-packages" not in Path(path).parts and not path.startswith(("<", OWN))
