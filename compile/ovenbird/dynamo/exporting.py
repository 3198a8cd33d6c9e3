"""`ovenbird.export`: the artifact of what `torch.compile(model, backend="ovenbird")` has compiled.

compiled = torch.compile(net.eval(), backend="ovenbird")
with torch.no_grad():
    compiled(image)
ovenbird.export(compiled, "artifacts/net")
"""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from ovenbird.dynamo.compiled import LIVE, Loaded
from ovenbird.errors import UsageError
from ovenbird_runtime.copying import copy_artifact


def export(compiled: nn.Module, output: str | os.PathLike[str]) -> Path:
    """Copy the artifact of a compiled module into the folder `output`, every byte checked, and return the folder.

    Raises UsageError where the module has not run compiled, or has several graphs (graph breaks, several shapes);
    ArtifactError, OutputNotWritten.
    """
    net = getattr(compiled, "_orig_mod", compiled)
    own = {id(tensor) for tensor in (*net.parameters(), *net.buffers())}
    found: dict[Path, Loaded] = {}
    for graph in list(LIVE):
        held = [reference() for reference in graph.frozen]
        if graph.loaded is not None and held and all(id(tensor) in own for tensor in held):
            found[graph.loaded.folder] = graph.loaded
    if not found:
        raise UsageError("the module has no compiled graph: call it once under torch.no_grad(), in evaluation mode")
    if len(found) > 1:
        raise UsageError(
            f"the module was compiled in {len(found)} graphs, of which each is an artifact; "
            "ovenbird.compile(module, example, output) makes one of the whole"
        )
    copy_artifact(next(iter(found)), output)
    return Path(output)
