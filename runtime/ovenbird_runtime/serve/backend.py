"""A model whose network runs elsewhere: pixels and answers here, tensors at a server of the Open Inference Protocol.

    model = connect("artifacts/detector", "http://triton:8000")      # a Model like any other

The artifact's pipelines, answers and labels are used, its code and weights are not opened. Requests are the protocol's
own over HTTP, with raw tensors where the other server says it reads them, else with JSON; each output is checked
against the manifest. The address is the operator's (`--backend-url`); nothing of a client's request gets into it.
"""

from __future__ import annotations

import http.client
import os
import queue
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from ..artifact.artifact import open_artifact
from ..engine.learning import Lanes, LearnedCosts
from ..engine.processors import lone_share
from ..errors import WrongOption, shown
from ..limits import MAX_NAME_CHARS, SERVE_BACKEND_HEADER_BYTES, SERVE_BACKEND_JSON_CHARS, SERVE_BACKEND_SECONDS
from ..machine.devices import CPU
from ..manifest.manifest import MAIN, Manifest, Target
from ..manifest.program import InputSize, Program, TensorSpec
from ..model import Model, read_labels
from ..preprocess.preprocessor import Preprocessor
from ..tensors.arrays import Array
from .errors import BackendFailed

_LENGTH = "Inference-Header-Content-Length"
_BINARY = "binary_tensor_data"


def connect(path: str | os.PathLike[str], url: str, *, public_key: str | os.PathLike[str] | None = None) -> Model:
    """Return a model of the artifact in folder `path` whose tensors a server at `url` answers, under the model's name.

    Raises ArtifactError, WrongOption, BackendFailed.
    """
    artifact = open_artifact(path, public_key)
    manifest = artifact.manifest
    target = artifact.read_target(manifest.variants[0])
    artifact.verify(name for name in manifest.files if not name.startswith(("targets/", "weights/")))
    engine = BackendEngine(RemoteServer(url, manifest.model.name), manifest, target)
    return Model(artifact, target, engine, 1, read_labels(artifact), CPU, Preprocessor(None), engine_name="remote")


class RemoteServer:
    """A model at another server; safe from several threads, each of which has a connection of its own meanwhile."""

    def __init__(self, url: str, model: str) -> None:
        """Look at the server. Raises WrongOption for what is no address, BackendFailed."""
        parts = _split(url)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._base, self._model = parts.path.rstrip("/"), urllib.parse.quote(model, safe="")
        self._idle: queue.SimpleQueue[http.client.HTTPConnection] = queue.SimpleQueue()
        found = self._json(self._ask("GET", "/v2", None, {}, SERVE_BACKEND_HEADER_BYTES)[1])
        extensions = found.get("extensions")
        self.raw = isinstance(extensions, list) and _BINARY in extensions

    def infer(
        self, specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array], outputs: Mapping[str, int]
    ) -> list[dict[str, Any]]:
        """Return the outputs that the other server answers with, the raw ones among them with their bytes as `data`.

        `outputs` says how many bytes each has. Raises BackendFailed.
        """
        inputs, blobs = [], []
        for spec in specs:
            array = np.ascontiguousarray(arrays[spec.name])
            tensor: dict[str, Any] = {"name": spec.name, "datatype": _datatype(spec.dtype), "shape": list(array.shape)}
            if self.raw:
                blobs.append(array.tobytes())
                tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
            else:
                tensor["data"] = array.ravel().tolist()
            inputs.append(tensor)
        asked = [{"name": name, **({"parameters": {"binary_data": True}} if self.raw else {})} for name in outputs]
        head = msgspec.json.encode({"inputs": inputs, "outputs": asked})
        headers = {"Content-Type": "application/octet-stream" if self.raw else "application/json"}
        if self.raw:
            headers[_LENGTH] = str(len(head))
        most = SERVE_BACKEND_HEADER_BYTES + sum(outputs.values()) * (1 if self.raw else SERVE_BACKEND_JSON_CHARS)
        path = f"/v2/models/{self._model}/infer"
        length, body = self._ask("POST", path, b"".join([head, *blobs]), headers, most)
        found = self._json(body if length is None else body[:length])
        place = len(body) if length is None else length
        outputs_given = found.get("outputs")
        tensors = [one for one in outputs_given if isinstance(one, dict)] if isinstance(outputs_given, list) else []
        for tensor in tensors:
            parameters = tensor.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            if isinstance(size, int) and size >= 0:
                tensor["data"], place = body[place : place + size], place + size
        return tensors

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str], most: int) -> Any:
        """Return how long the JSON of an answer is (None: all of it), and the answer. Raises BackendFailed."""
        try:
            connection, used = self._idle.get_nowait(), True
        except queue.Empty:
            connection, used = self._connection(), False
        try:
            try:
                connection.request(method, self._base + path, body, headers)
                response = connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not used:
                    raise
                connection.close()  # an old connection that the other server gave up meanwhile
                connection.request(method, self._base + path, body, headers)
                response = connection.getresponse()
            data = response.read(most + 1)
            length = response.getheader(_LENGTH)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise BackendFailed(
                f"the server behind this one does not answer: {error or type(error).__name__}"
            ) from None
        if len(data) > most or response.status != 200:
            connection.close()
            why = f"more than {most} bytes" if len(data) > most else f"status {response.status}"
            raise BackendFailed(f"the server behind this one answered with {why}")
        self._idle.put(connection)
        return (int(length) if length is not None and length.isdecimal() else None), data

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=SERVE_BACKEND_SECONDS)

    @staticmethod
    def _json(data: bytes) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BackendFailed(f"the server behind this one answered with no JSON: {error}") from None
        if not isinstance(found, dict):
            raise BackendFailed(f"the server behind this one answered with {shown(found)}, expected an object")
        return found

    def close(self) -> None:
        """Close idle connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()


class BackendEngine:
    """Has the interface of `engine.Engine`; runs nothing itself."""

    def __init__(self, backend: RemoteServer, manifest: Manifest, target: Target) -> None:
        """Batches are composed of the sizes that `target` was compiled for."""
        self._backend, self._programs = backend, manifest.programs
        self.share = lone_share()
        self._learned = {
            (name, size): LearnedCosts({entry.batch: None for entry in target.entries_of(name, size)})
            for name, program in manifest.programs.items()
            for size in program.image_sizes
        }

    def run(
        self, batch: int, arrays: Mapping[str, Array], crowded: bool = False, program: str = MAIN
    ) -> dict[str, Array]:
        """Return a program's outputs for `batch` rows of checked arrays. Raises BackendFailed, WrongShape."""
        size = self._programs[program].size_of({name: array.shape for name, array in arrays.items()})
        at, learned = self._programs[program].at(size), self._learned[program, size]
        results = {spec.name: np.empty(spec.with_batch(batch), spec.dtype) for spec in at.outputs}
        start = 0
        for rows in learned.plan(batch):
            end, began = min(start + rows, batch), time.perf_counter()
            given = {
                spec.name: arrays[spec.name][start:end] if spec.batched else arrays[spec.name] for spec in at.inputs
            }
            for name, array in self._ask(at, given, end - start).items():
                results[name][start:end] = array
            learned.observe(rows, (time.perf_counter() - began) * 1e3)
            start = end
        return results

    def _ask(self, program: Program, arrays: Mapping[str, Array], rows: int) -> dict[str, Array]:
        sizes = {spec.name: spec.room(rows) for spec in program.outputs}
        given = self._backend.infer(program.inputs, arrays, sizes)
        found = {
            spec.name: next((one for one in given if one.get("name") == spec.name), None) for spec in program.outputs
        }
        return {spec.name: _array(spec, rows, found[spec.name]) for spec in program.outputs}

    def costs_of(self, program: str, size: InputSize = ()) -> dict[int, float | None]:
        """Return what each batch size costs in ms, which the caller may change; None: unknown."""
        return self._learned[program, size].table

    def lanes_of(self, program: str, size: InputSize = ()) -> Lanes:
        """Return none: the threads are another server's."""
        return Lanes()

    def slowdown_of(self, program: str, size: InputSize = ()) -> float:
        """Return how many times as long as those costs calls take of late."""
        return self._learned[program, size].slowdown

    def release_unused(self) -> None:
        """Do nothing: there is no memory to let go of."""

    def close(self) -> None:
        """Close the connections."""
        self._backend.close()


def _array(spec: TensorSpec, rows: int, tensor: Any) -> Array:
    """Return an output, checked against the manifest. Raises BackendFailed."""
    shape = spec.with_batch(rows)
    if tensor is None or tensor.get("datatype") != _datatype(spec.dtype) or tensor.get("shape") != list(shape):
        found = "no such output" if tensor is None else f"{shown(tensor.get('datatype'))} {shown(tensor.get('shape'))}"
        raise BackendFailed(
            f"the server behind this one gave {found} for {spec.name}, expected {_datatype(spec.dtype)} {list(shape)}: "
            "it must serve this artifact's own network"
        )
    data = tensor.get("data")
    try:
        if isinstance(data, bytes):
            return np.frombuffer(data, np.dtype(spec.dtype).newbyteorder("<")).reshape(shape)
        return np.asarray(data, spec.dtype).reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise BackendFailed(f"the server behind this one gave data of another size for {spec.name}: {error}") from None


def _datatype(dtype: str) -> str:
    """Return the protocol's name of a dtype: FP32, INT64, BOOL."""
    return f"FP{dtype.removeprefix('float')}" if dtype.startswith("float") else dtype.upper()


def _split(url: str) -> urllib.parse.SplitResult:
    """Take an address apart. Raises WrongOption."""
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
        fits = fits and parts.username is None and parts.port != 0 and len(url) <= MAX_NAME_CHARS * 8
    except ValueError:
        fits = False
    if not fits or any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise WrongOption(f"backend_url is {shown(url)}, expected an address like http://host:8000")
    return parts
