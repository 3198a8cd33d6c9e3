"""Files that are no network for this compiler: what each is, and the way from it to one that is.

    refusal(Path("net.h5"))         # "a Keras model is not read: keras.models.load_model('net.h5').export(...), ..."
    refusal(Path("net.pth"))        # "a state_dict: weights without the network that they belong to ..."

Files are recognised by their content where it says so, else by their suffix. Pickles are looked at, never run:
`pickletools` lists what they would import.
"""

from __future__ import annotations

import itertools
import json
import pickletools
import zipfile
from pathlib import Path
from typing import IO

from ovenbird.limits import MAX_LOOKED_AT_BYTES, MAX_LOOKED_AT_OPERATIONS, MAX_PROGRAM_MEMBERS
from ovenbird.networks.files.python_source import names_in_source

ONNX = "export the network to ONNX where it was made"
RECIPES = {
    "a Keras model": "keras.models.load_model({path!r}).export('{stem}.onnx', format='onnx'), and compile {stem}.onnx",
    "a TensorFlow SavedModel": "python -m tf2onnx.convert --saved-model {path} --output {stem}.onnx, and compile that",
    "a TensorFlow graph": "python -m tf2onnx.convert --graphdef {path} --output {stem}.onnx --inputs X:0 "
    "--outputs Y:0, and compile that",
    "a TensorFlow Lite model": "python -m tf2onnx.convert --tflite {path} --output {stem}.onnx, and compile that",
    "a TensorFlow checkpoint": f"weights alone; {ONNX}: tf2onnx",
    "an OpenVINO model": f"nothing leads back from it; {ONNX}, torch.onnx.export say, and compile that",
    "a TensorRT engine": "code for one kind of GPU; compile the ONNX file that it was built from",
    "a Core ML model": f"nothing leads back from it; {ONNX}, torch.onnx.export say, and compile that",
    "ONNX Runtime's own format": "compile the .onnx file that it was made from",
    "a PaddlePaddle model": "paddle2onnx --model_dir FOLDER --model_filename {name} --params_filename PARAMS "
    "--save_file {stem}.onnx, and compile that",
    "a Caffe model": f"{ONNX}: python -m caffe2onnx.convert, and compile that",
    "a darknet model": f"{ONNX}, or build it as a torch.nn.Module, and compile module:callable",
    "an ncnn model": f"nothing leads back from it; {ONNX}, and compile that",
    "an MNN model": f"nothing leads back from it; {ONNX}, and compile that",
    "an RKNN model": "code for one chip; compile the ONNX file that it was built from",
    "a GGUF file": "weights of a language model; {ONNX}",
    "Flax weights": f"weights alone; {ONNX}: jax2onnx, or build it as a torch.nn.Module",
    "arrays of numpy": "weights alone; load them in a module:callable",
    "a TorchServe archive": "unzip it: the model file inside and its Python class make a module:callable",
    "an archive": "unpack it, and compile what is inside",
}
SUFFIXES = {
    "a Keras model": ".h5 .hdf5 .keras",
    "a TensorFlow graph": ".pb .pbtxt .graphdef",
    "a TensorFlow Lite model": ".tflite .lite",
    "a TensorFlow checkpoint": ".index .meta",
    "an OpenVINO model": ".xml .blob",
    "a TensorRT engine": ".engine .plan .trt",
    "a Core ML model": ".mlmodel .mlpackage .mlmodelc",
    "ONNX Runtime's own format": ".ort",
    "a PaddlePaddle model": ".pdmodel .pdiparams .pdparams",
    "a Caffe model": ".caffemodel .prototxt",
    "a darknet model": ".cfg .weights",
    "an ncnn model": ".param .ncnn",
    "an MNN model": ".mnn",
    "an RKNN model": ".rknn",
    "a GGUF file": ".gguf .ggml",
    "Flax weights": ".msgpack",
    "arrays of numpy": ".npz .npy",
    "a TorchServe archive": ".mar",
    "an archive": ".zip .tar .gz .tgz .7z .xz .bz2 .zst",
}
TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle", ".torchscript", ".ptl", ".jit", ".th")
KNOWN = {suffix: what for what, suffixes in SUFFIXES.items() for suffix in suffixes.split()}
OF_TENSORS = (
    "torch.",
    "collections.OrderedDict",
    "collections.defaultdict",
    "numpy.",
    "_codecs.encode",
    "builtins.set",
)
"""What the pickle of a state_dict imports; all of torch but its modules."""
MAKES_SEQUENCE = ("APPEND", "APPENDS", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
"""A pickle's last operation where its object is a list or a tuple; a tensor is what a function of torch returns."""


def is_foreign(path: Path) -> bool:
    """Return whether a path looks like a file or folder that somebody takes for a network."""
    suffix = path.suffix.lower()
    return suffix in KNOWN or suffix in TORCH_SUFFIXES or suffix in (".safetensors", ".py") or path.exists()


def pointer(path: Path) -> str:
    """Return what stands at `path` in place of the file that was meant; "" for a file that is itself."""
    try:
        with path.open("rb") as file:
            head = file.read(200)
    except OSError:
        return ""
    if head.startswith(b"version https://git-lfs."):
        return "a pointer of Git LFS stands there, not the file; fetch it: git lfs pull"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page stands there, not the file; download the file itself"
    return ""


def refusal(path: Path) -> str:
    """Return in one line what is at `path`, and what leads from it to a network that can be compiled."""
    if path.is_dir():
        return _folder(path)
    if path.exists() and not path.is_file():
        return "no file of data"
    if path.suffix.lower() == ".py":
        return _python(path)
    if not path.exists():
        return "no file there"
    if what := pointer(path):
        return what
    if not path.stat().st_size:
        return "the file is empty"
    if what := _by_content(path):
        return what
    what = KNOWN.get(path.suffix.lower(), "")
    return _recipe(what, path) if what else "not a file that this compiler knows: .onnx, .pt2, or a module:callable"


def _recipe(what: str, path: Path) -> str:
    way = RECIPES[what].format(path=str(path), stem=path.stem, name=path.name, ONNX=ONNX)
    return f"{what} is not read: {way}"


def _folder(path: Path) -> str:
    if (path / "manifest.json").is_file():
        return f"an artifact, compiled already: ovenbird run {path} PHOTO"
    if (path / "saved_model.pb").is_file():
        return _recipe("a TensorFlow SavedModel", path)
    if (path / "config.json").is_file():
        return f"a model of transformers: give hf:{path}"
    if path.suffix.lower() in (".mlpackage", ".mlmodelc"):
        return _recipe("a Core ML model", path)
    return "a folder; give the file in it"


def _python(path: Path) -> str:
    if not path.is_file():
        return "no file there"
    names = names_in_source(path)
    if not names:
        return f"a Python file; name what makes the network, as in {path}:build"
    return f"a Python file; name what makes the network: {', '.join(f'{path}:{name}' for name in names[:6])}"


def _by_content(path: Path) -> str:
    """Return the refusal that a file's own bytes ask for, "" where they say nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
        if head.startswith(b"\x89HDF\r\n\x1a\n"):
            return _recipe("a Keras model", path)
        if head[4:8] == b"TFL3":
            return _recipe("a TensorFlow Lite model", path)
        if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < MAX_LOOKED_AT_BYTES:
            return _weights(path, _tensors_of_safetensors(path))
        if head.startswith(b"PK\x03\x04"):
            return _zip(path)
        if head[:1] == b"\x80":
            with path.open("rb") as file:
                return _pickled(path, file)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except (ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError):
        return "damaged, or no file that this compiler knows"
    return ""


def _zip(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()[:MAX_PROGRAM_MEMBERS]
        ends = {member.partition("/")[2] for member in members} | set(members)
        if "constants.pkl" in ends and any(end.startswith("code/") for end in ends):
            return (
                "TorchScript, whose Python is gone; from the module that it was made of: "
                f"torch.export.save(torch.export.export(net.eval(), (example,)), '{path.stem}.pt2'), "
                f"and compile {path.stem}.pt2; or torch.onnx.export"
            )
        if "archive_format" in ends or "serialized_exported_program.json" in ends:
            return f"what torch.export.save writes, under another suffix: mv {path} {path.with_suffix('.pt2')}"
        if {"config.json", "model.weights.h5"} <= ends:
            return _recipe("a Keras model", path)
        data = next((member for member in members if member.split("/")[-1] == "data.pkl"), None)
        if data is None:
            return _recipe("an archive", path) if path.suffix.lower() not in KNOWN else ""
        with archive.open(data) as file:
            return _pickled(path, file)


def _pickled(path: Path, file: IO[bytes]) -> str:
    """Say what a pickle of torch's holds."""
    names, root = _looked_at(file.read(MAX_LOOKED_AT_BYTES))
    own = [name for name in names if not name.startswith(OF_TENSORS) or name.startswith("torch.nn.modules.")]
    if not own:
        bare = "a list of tensors" if root in MAKES_SEQUENCE else "one tensor" if root.startswith("torch.") else ""
        way = "without the network that takes or holds it; give that: mynets:build, an .onnx or a .pt2 file"
        return f"{bare}, {way}" if bare else _weights(path, None)
    name = next((name for name in own if not name.startswith("torch.nn.")), own[0])
    module, _, attribute = name.rpartition(".")
    place = (
        "mynets:build" if module in ("__main__", "builtins") or name.startswith("torch.") else f"{module}:{attribute}"
    )
    return (
        f"a pickled object, {name}: to read it is to run code that it names. Where it was made, "
        f"torch.save(net.state_dict(), 'weights.pth'); then ovenbird compile {place} --weights weights.pth"
    )


def _looked_at(data: bytes) -> tuple[list[str], str]:
    """Return what the pickles in a row would import, as `module.name`, each once, and the operation that makes the
    object, or the function that returns it: a file of torch's before 1.6 holds five pickles, the object in the fourth.
    """
    found: dict[str, None] = {}
    roots: list[str] = []
    start = 0
    for _ in range(5):
        strings, memo, last = ["", ""], dict[int, str](), ""
        end, root, first = start, "", ""
        operations = itertools.islice(pickletools.genops(data[start:]), MAX_LOOKED_AT_OPERATIONS)
        for opcode, argument, position in operations:
            end = start + (position or 0) + 1
            name = ""
            if opcode.name == "GLOBAL":
                name = str(argument).replace(" ", ".", 1)
            elif opcode.name == "STACK_GLOBAL":
                name = ".".join(strings)
            elif opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
                memo[len(memo) if argument is None else int(argument)] = last
                continue
            elif opcode.name != "STOP":
                root = opcode.name
            named = memo.get(int(argument or 0)) if opcode.name.endswith("BINGET") else argument
            last = named if isinstance(named, str) else ""
            strings = [strings[-1], last] if last else strings
            if name:
                first = first or name
                found[name] = None
        roots.append(first if root == "REDUCE" else root)
        start = end
        if start >= len(data) or data[start : start + 1] != b"\x80":
            break
    return list(found), roots[3] if len(roots) > 3 else roots[0]


def _weights(path: Path, count: int | None) -> str:
    many = "" if count is None else f" of {count} tensors"
    return (
        f"a state_dict{many}: weights without the network that they belong to; "
        f"give that, and these with it: ovenbird compile resnet50 --weights {path}, or mynets:build --weights {path}"
    )


def _tensors_of_safetensors(path: Path) -> int:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(1 for _ in itertools.filterfalse("__metadata__".__eq__, header))
