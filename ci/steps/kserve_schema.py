"""Write the JSON Schema of KServe's ServingRuntime and InferenceService, from the models of KServe's own package.

    .venv/bin/python ci/steps/kserve_schema.py                       # fetches the wheel by pip; a later KServe: VERSION
    .venv/bin/python ci/steps/kserve_schema.py kserve-0.21.0-py3-none-any.whl

The models are generated from KServe's OpenAPI document, as its CRDs are from the same Go types: the fields of every
kind, their types, and which are required. What a CRD adds (patterns, enumerations) is not in them. The wheel is read,
never imported: it would bring a server of its own. What is Kubernetes' own is a `$ref` into the definitions that
kubernetes-validate carries.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from kubernetes_validate import latest_version
from kubernetes_validate.utils import schema_contents

VERSION = "0.21.0"
OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "support" / "kserve.schema.json"
KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}
API = {"ServingRuntime": "serving.kserve.io/v1alpha1", "InferenceService": "serving.kserve.io/v1beta1"}
PLAIN: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "object": {},
    # types of the Go sources that the package has no model for
    "V1beta1MetricQuantity": {"type": ["string", "integer"]},
    "V1alpha1WorkerSpec": {"type": "object"},
}
REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")

Schema = dict[str, Any]


class Models:
    """The models of a wheel, by the names of their classes."""

    def __init__(self, wheel: Path) -> None:
        self._kubernetes = _kubernetes_names()
        self._source: dict[str, tuple[str, ast.ClassDef]] = {}
        with zipfile.ZipFile(wheel) as opened:
            for name in opened.namelist():
                if re.fullmatch(r"kserve/models/\w+\.py", name):
                    text = opened.read(name).decode("utf-8")
                    for node in ast.parse(text).body:
                        if isinstance(node, ast.ClassDef):
                            self._source[node.name] = (text, node)
        self.definitions: dict[str, Schema] = {}

    def schema_of(self, kind: str) -> Schema:
        """Return the schema of a type as the models write it: `str`, `list[V1Container]`, `V1beta1ModelSpec` ..."""
        if match := re.fullmatch(r"list\[(.+)\]", kind):
            return {"type": "array", "items": self.schema_of(match[1])}
        if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
            return {"type": "object", "additionalProperties": self.schema_of(match[1])}
        if kind in PLAIN:
            return PLAIN[kind]
        if kind in self._source:
            self._define(kind)
            return {"$ref": f"#/$defs/{kind}"}
        return {"$ref": f"https://kubernetes.io/api/_definitions.json#/$defs/{self._kubernetes_name(kind)}"}

    def _define(self, name: str) -> None:
        if name in self.definitions:
            return
        self.definitions[name] = {}  # a type may hold itself
        text, node = self._source[name]
        tables = {
            target.id: ast.literal_eval(line.value)
            for line in node.body
            if isinstance(line, ast.Assign) and isinstance(target := line.targets[0], ast.Name)
        }
        names: dict[str, str] = tables["attribute_map"]
        properties = {
            names[key]: self.schema_of(kind) for key, kind in tables["openapi_types"].items() if key != "status"
        }
        required = sorted({names[key] for key in REQUIRED.findall(text)})
        self.definitions[name] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            self.definitions[name]["required"] = required

    def _kubernetes_name(self, kind: str) -> str:
        found = self._kubernetes.get(kind)
        if found is None:
            sys.exit(f"error: UnknownType: {kind} is neither KServe's nor Kubernetes'; name its schema in PLAIN")
        return found


def _kubernetes_names() -> dict[str, str]:
    """Map names as the models write them to Kubernetes' own: V1Container, K8sIoApiAppsV1DeploymentStrategy ..."""
    folder = f"kubernetes-json-schema/v{latest_version()}-local-strict"
    names = sorted(schema_contents(f"{folder}/_definitions.json", latest_version())["$defs"])
    found: dict[str, str] = {}
    # the core group last: its names win
    for name in sorted(names, key=lambda one: one.startswith(("io.k8s.api.core.", "io.k8s.apimachinery."))):
        *_, version, kind = name.split(".")
        found[f"{version.capitalize()}{kind}"] = name
        found["".join(part[0].upper() + part[1:] for part in name.removeprefix("io.").split("."))] = name
        found["K8sIo" + "".join(part[0].upper() + part[1:] for part in name.removeprefix("io.k8s.").split("."))] = name
    return found


def fetch(folder: Path) -> Path:
    """Fetch the wheel alone."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), f"kserve=={VERSION}"]
    subprocess.run(command, check=True)
    return next(folder.glob("kserve-*.whl"))


def main(arguments: list[str]) -> None:
    """Write the schema from the wheel that is named, or from the one in the package index."""
    with tempfile.TemporaryDirectory() as temporary:
        wheel = Path(arguments[0]) if arguments else fetch(Path(temporary))
        models = Models(wheel)
    kinds = []
    for kind, model in KINDS.items():
        models.schema_of(model)
        own = models.definitions[model]
        own["properties"]["apiVersion"] = {"const": API[kind]}
        own["properties"]["kind"] = {"const": kind}
        own["required"] = ["apiVersion", "kind", "metadata", "spec"]
        kinds.append({"$ref": f"#/$defs/{model}"})
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written by ci/steps/kserve_schema.py from {wheel.name}: Copyright The KServe Authors, Apache-2.0",
        "oneOf": kinds,
        "$defs": models.definitions,
    }
    OUTPUT.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{OUTPUT}: {len(models.definitions)} types of {wheel.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
