"""Where a tuning log comes from: processor, target, versions, options, and what was found for each task.

provenance = Provenance.of(spec, model="resnet50", options={"trials": 500})
provenance.mismatch(other_spec)        # "" or why the records do not hold there
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ovenbird.host.detection import cpu_name
from ovenbird.replacing import replacing
from ovenbird.targets import RENAMED, TargetSpec
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION, __version__

PROVENANCE = "provenance.json"
SCHEMA_VERSION = 1

DECISIVE = ("kind", "arch", "mcpu", "mattr", "vector_bits", "registers", "cores", "l1d_bytes", "l2_bytes", "attributes")
"""What code generation and the schedules see of a target: records hold where all of it is the same."""


@dataclass
class Provenance:
    """The content of `provenance.json`."""

    model: str
    target: dict[str, Any]
    cpu: str
    features: list[str]
    versions: dict[str, str]
    created: str
    updated: str
    options: dict[str, Any] = field(default_factory=dict)
    arithmetic_limit_gflops: float = 0.0
    trials: int = 0
    devices: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    gpu: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        target: TargetSpec, model: str, options: dict[str, Any], cpu: str = "", gpu: dict[str, str] | None = None
    ) -> Provenance:
        """Return the provenance of a log that is begun now, on this machine unless `cpu` says otherwise.

        `gpu`: what measured, where that is a GPU: its name, compute capability and driver.
        """
        now = timestamp()
        return Provenance(
            model=model,
            target=decisive_fields(target),
            cpu=cpu or cpu_name(),
            features=sorted(target.features),
            versions={"ovenbird": __version__, "tvm": TVM_VERSION, "tvm_ffi": TVM_FFI_VERSION},
            created=now,
            updated=now,
            options=options,
            gpu=gpu or {},
        )

    @property
    def machine(self) -> str:
        """What measured, in a word for the names of folders: the GPU, or the processor's `mcpu`."""
        name = self.gpu.get("name") or str(self.target.get("mcpu", "unknown"))
        return "-".join(name.split()).replace("/", "-")

    def mismatch(self, target: TargetSpec) -> str:
        """Return why these records do not hold for `target` and this compiler; nothing where they do."""
        if self.versions.get("tvm") != TVM_VERSION:
            return f"made by TVM {self.versions.get('tvm')}, this is {TVM_VERSION}"
        return self.other_machine(target)

    def other_machine(self, target: TargetSpec) -> str:
        """Return how the processor or GPU that was measured differs from `target`'s; nothing where it does not."""
        for name, value in decisive_fields(target).items():
            if self.target.get(name) != value:
                return f"made for {name} {self.target.get(name)}, the target has {value}"
        if sorted(target.features) != sorted(self.features):
            return "made for a processor with other features"
        return ""

    @property
    def entries_of(self) -> dict[str, set[str]]:
        """For each workload's hash, as the database writes it: the entries that called it."""
        return {str(task.get("workload")): set(task.get("calls", {})) for task in self.tasks}

    def summary(self) -> dict[str, Any]:
        """Return the part that a manifest carries."""
        return {
            "cpu": self.cpu,
            "mcpu": self.target.get("mcpu"),
            "cores": self.target.get("cores"),
            "versions": self.versions,
            "updated": self.updated,
            "trials": self.trials,
            **({"gpu": self.gpu} if self.gpu else {}),
        }

    def write(self, folder: Path) -> None:
        """Write the file: whole, or not at all."""
        write_json(folder / PROVENANCE, dataclasses.asdict(self))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, on disk for certain: a kill or a loss of power leaves the old or the new one."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def read_provenance(folder: Path) -> Provenance | None:
    """Return a log's provenance; None where there is none, or none that can be read."""
    try:
        found = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        found["target"] = {RENAMED.get(name, name): value for name, value in found["target"].items()}
        known = {item.name for item in dataclasses.fields(Provenance)}
        return Provenance(**{key: value for key, value in found.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def decisive_fields(target: TargetSpec) -> dict[str, Any]:
    """Return the target's fields that decide whether records hold, as JSON gives them back."""
    names = (*DECISIVE, "chip") if target.chip else DECISIVE
    fields: dict[str, Any] = json.loads(json.dumps({name: getattr(target, name) for name in names}))
    return fields


def timestamp() -> str:
    """Now, in UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
