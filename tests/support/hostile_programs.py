"""`.pt2` files that try to run code: an honest program with one part of its archive replaced.

hostile = HOSTILE["pickled example inputs"]
hostile.write(honest, path, marker)      # whoever runs what the file says creates the file `marker`
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

Members = dict[str, bytes]
GRAPH = "models/model.json"
EXAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


class Touch:
    """An object that unpickles by creating a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (shutil.copyfile, ("/dev/null", str(self.marker)))


class Small(nn.Module):
    """A parameter, a buffer, a constant, a keyword argument, an open batch."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3)
        self.constant = torch.tensor([2.0])

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"answer": self.dense(x).relu() * scale + self.constant}


def write_honest(path: Path) -> None:
    """Write the program that every hostile one is made of."""
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        Small().eval(), (torch.randn(2, 4),), {"scale": torch.ones(1)}, dynamic_shapes={"x": {0: batch}, "scale": None}
    )
    torch.export.save(program, path)


def saved(value: Any) -> bytes:
    """Return what `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def padded(data: bytes) -> bytes:
    """Return whole float32 numbers, which torch counts before it unpickles."""
    return data + bytes(-len(data) % 4)


def shell(marker: Path) -> str:
    """Return the shell's command that creates the marker."""
    return f"touch {marker}"


def python(marker: Path) -> str:
    """Return the same as a Python expression."""
    return f"__import__('os').system('touch {marker}')"


Change = Callable[[Members, Path], None]


@dataclass(frozen=True)
class Hostile:
    """One way to make a program hostile. `runs`: torch's own reading, and one call, create the marker (a control)."""

    change: Change
    runs: bool

    def write(self, honest: Path, path: Path, marker: Path) -> None:
        """Write the hostile program."""
        with zipfile.ZipFile(honest) as archive:
            members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        self.change(members, marker)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(f"net/{name}", data)


def graph(edit: Callable[[dict[str, Any], Path], None]) -> Change:
    """Make a change of the graph's JSON."""

    def change(members: Members, marker: Path) -> None:
        document = json.loads(members[GRAPH])
        edit(document, marker)
        members[GRAPH] = json.dumps(document).encode()

    return change


def table(name: str, path_name: str, data: Callable[[Path], bytes], pickled: bool) -> Change:
    """Make a change that stores a tensor of a table in another way."""

    def change(members: Members, marker: Path) -> None:
        document = json.loads(members[name])
        entry = next(iter(document["config"].values()))
        entry.update({"path_name": path_name, "use_pickle": pickled})
        members[name] = json.dumps(document).encode()
        members[f"{name.rpartition('/')[0]}/{path_name}"] = data(marker)

    return change


def member(name: str, data: Callable[[Path], bytes]) -> Change:
    """Make a change that adds or replaces a member."""

    def change(members: Members, marker: Path) -> None:
        members[name] = data(marker)

    return change


def nodes(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["graph_module"]["graph"]["nodes"]
    return found


def call(target: str, *texts: str) -> Callable[[dict[str, Any], Path], None]:
    """Make an edit that calls `target` first, with strings as its arguments; `{marker}` and `{shell}` are filled in."""

    def edit(document: dict[str, Any], marker: Path) -> None:
        inputs = [
            {"name": "", "arg": {"as_string": text.format(marker=marker, shell=shell(marker))}, "kind": 1}
            for text in texts
        ]
        values = document["graph_module"]["graph"]["tensor_values"]
        values["given"] = values["x"]
        node = {**nodes(document)[0], "target": target, "inputs": inputs, "outputs": [{"as_tensor": {"name": "given"}}]}
        nodes(document).insert(0, {**node, "name": "given", "is_hop_single_tensor_return": None})

    return edit


def shared_file(document: dict[str, Any], marker: Path) -> None:
    """Call the operator that maps a file, which creates it."""
    call("torch.ops.aten.from_file.default", "{marker}")(document, marker)
    node = nodes(document)[0]
    node["inputs"][0]["name"] = "filename"
    node["inputs"] += [
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
        {"name": "size", "arg": {"as_int": 8}, "kind": 1},
    ]


def dimension(text: str) -> Callable[[dict[str, Any], Path], None]:
    def edit(document: dict[str, Any], marker: Path) -> None:
        values = document["graph_module"]["graph"]["tensor_values"]
        values["x"]["sizes"][0]["as_expr"]["expr_str"] = text.format(python=python(marker))

    return edit


def guards(document: dict[str, Any], marker: Path) -> None:
    document["guards_code"] = [python(marker) + " == 0"]


def argument_name(document: dict[str, Any], marker: Path) -> None:
    for signature in signatures(document):
        signature["forward_arg_names"] = [f"x={python(marker)}", "scale=None"]


def keyword_name(document: dict[str, Any], marker: Path) -> None:
    for signature in signatures(document):
        signature["forward_arg_names"] = None
        signature["in_spec"] = signature["in_spec"].replace("scale", f"scale={python(marker)}".replace("'", '\\\\\\"'))


def parameter_name(document: dict[str, Any], marker: Path) -> None:
    name = f'dense.weight"), {python(marker)}, ("'
    for spec in document["graph_module"]["signature"]["input_specs"]:
        if spec.get("parameter", {}).get("parameter_name") == "dense.weight":
            spec["parameter"]["parameter_name"] = name


def node_name(document: dict[str, Any], marker: Path) -> None:
    text = json.dumps(document).replace('"x"', json.dumps(f"x={python(marker)}"))
    document.update(json.loads(text))


def through_attributes(document: dict[str, Any], marker: Path) -> None:
    for spec in document["graph_module"]["signature"]["input_specs"]:
        if spec.get("parameter", {}).get("parameter_name") == "dense.weight":
            spec["parameter"]["parameter_name"] = "__class__.__call__"


def constant_through_attributes(members: Members, marker: Path) -> None:
    document = json.loads(members[CONSTANTS])
    document["config"]["__class__.__call__"] = next(iter(document["config"].values()))
    members[CONSTANTS] = json.dumps(document).encode()


def imported(document: dict[str, Any], marker: Path) -> None:
    context = json.dumps({"default_factory_module": "antigravity", "default_factory_name": "a", "dict_context": []})
    spec = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    for signature in signatures(document):
        signature["out_spec"] = json.dumps([1, spec])


def signatures(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["signature"] for entry in document["graph_module"]["module_call_graph"] if entry["signature"]]


def old_format(members: Members, marker: Path) -> None:
    program = members[GRAPH]
    members.clear()
    members |= {"version": b"8.8", "serialized_exported_program.json": program}
    for part in ("state_dict", "constants", "example_inputs"):
        members[f"serialized_{part}.pt"] = saved(Touch(marker))


HOSTILE = {
    "pickled example inputs": Hostile(member(EXAMPLES, lambda m: saved(((Touch(m),), {}))), True),
    "example inputs that are only a pickle": Hostile(member(EXAMPLES, lambda m: pickle.dumps(Touch(m))), False),
    "pickled weight": Hostile(table(WEIGHTS, "weight_9", lambda m: saved(Touch(m)), True), True),
    "pickled constant": Hostile(table(CONSTANTS, "tensor_9", lambda m: saved(Touch(m)), True), True),
    "opaque object": Hostile(table(CONSTANTS, "opaque_obj_0", lambda m: padded(pickle.dumps(Touch(m))), False), True),
    "object of C++": Hostile(table(CONSTANTS, "custom_obj_0", lambda m: saved(Touch(m)), False), False),
    "weights of an older format": Hostile(member("data/weights/model.pt", lambda m: saved({"a": Touch(m)})), True),
    "constants of an older format": Hostile(member("data/constants/model.pt", lambda m: saved({"a": Touch(m)})), True),
    "archive of an older format": Hostile(old_format, False),
    "a second program": Hostile(
        lambda members, m: members.update(
            {"models/b.json": members[GRAPH], "data/sample_inputs/b.pt": saved(((Touch(m),), {}))}
        ),
        False,
    ),
    "compiled library": Hostile(member("data/aotinductor/model/model.so", lambda m: b"\x7fELF"), False),
    "operator of the system": Hostile(graph(call("torch.os.system", "{shell}")), False),
    "operator that loads libraries": Hostile(graph(call("torch.ops.load_library", "{marker}")), False),
    "operator's own attribute": Hostile(graph(call("torch.ops.aten.add.__class__", "{marker}")), False),
    "operator found by import": Hostile(graph(call("_operator.attrgetter", "{marker}")), False),
    "operator that maps a file": Hostile(graph(shared_file), True),
    "dimension that is evaluated": Hostile(graph(dimension("{python}")), True),
    "dimension with an attribute": Hostile(graph(dimension("Integer(1).__class__.__mro__")), False),
    "dimension without end": Hostile(graph(dimension("Pow(Integer(10), Integer(9999999999))")), False),
    "dimension of towers": Hostile(graph(dimension("Pow(Pow(Pow(10, 8), 8), 8)")), False),
    "argument's name": Hostile(graph(argument_name), False),
    "keyword's name": Hostile(graph(keyword_name), False),
    "parameter's name": Hostile(graph(parameter_name), False),
    "node's name": Hostile(graph(node_name), False),
    "parameter set on a class": Hostile(graph(through_attributes), False),
    "constant set on a class": Hostile(constant_through_attributes, False),
    "imported container": Hostile(graph(imported), False),
}
SILENCED = {"guards": Hostile(graph(guards), True)}
"""What is left out of the checked copy: such a program is read, and runs nothing of its own."""
