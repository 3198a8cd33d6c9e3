"""What an engine takes: memory of one process and of two at once (do they share their weights?), and size on disk.

footprint(job, limit_s)["pss_two_bytes"]        # of both processes together
installed_bytes(("onnxruntime",))               # the package and what it needs, numpy and pip apart
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from ovenbird.benchmarking.jobs import Job
from ovenbird.benchmarking.worker import memory
from ovenbird.benchmarking.worker_processes import started_worker, wait_for_answer

APART = {"numpy", "pip", "setuptools", "wheel"}
"""Every engine needs numpy here; it belongs to none of them."""


def footprint(job: Job, limit_s: float) -> dict[str, int]:
    """Load the job's network in one process, then in a second as well; return bytes. Raises EngineFailed."""
    found: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        processes = []
        for count in ("one", "two"):
            process, folder, said = stack.enter_context(started_worker(job))
            wait_for_answer(process, folder, said, job, limit_s)
            processes.append(process)
            taken = [memory(str(one.pid)) for one in processes]
            found[f"rss_{count}_bytes"] = sum(rss for rss, _ in taken)
            found[f"pss_{count}_bytes"] = sum(pss for _, pss in taken)
    return found


def installed_bytes(distributions: Sequence[str]) -> int:
    """Return the bytes on disk of distributions and of all that they need; 0 for what is not installed."""
    return sum(distribution_bytes(name) for name in sorted(closure(distributions)))


def closure(names: Sequence[str]) -> set[str]:
    """Return the distributions that `names` need, themselves among them; extras are not followed."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found or name in APART:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            requirements = []
        found.add(name)
        waiting += [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in requirements if "extra ==" not in text]
    return found


def distribution_bytes(name: str) -> int:
    """Return the bytes of one distribution's files; of an editable one, those of its packages' folders."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return folder_bytes(name)
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or []]
    sizes = [path.stat().st_size for path in paths if path.is_file() and "__pycache__" not in path.parts]
    whole = any(path.name == "__init__.py" for path in paths)
    return sum(sizes) + (0 if whole else folder_bytes(name))


def folder_bytes(name: str) -> int:
    """Return the bytes of the package folder that a distribution of this name brings, wherever it is imported from."""
    spec = importlib.util.find_spec(name.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return 0
    files = Path(next(iter(spec.submodule_search_locations))).rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file() and "__pycache__" not in path.parts)
