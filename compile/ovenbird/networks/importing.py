"""From a traced torch network to Relax, with an error that names the operator when TVM cannot follow.

module = import_exported(traced.export(batch=8))    # IRModule; "main" takes the inputs only, weights are constants
"""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import TYPE_CHECKING

from ovenbird.errors import ImportFailed, NetworkError

if TYPE_CHECKING:
    import tvm
    from torch.export import ExportedProgram


def import_exported(program: ExportedProgram) -> tvm.IRModule:
    """Import an ExportedProgram. Raises UnsupportedOperator, ImportFailed."""
    from ovenbird.networks.torch.importer import Importer
    from ovenbird.passes.bound_indices import bound_indices
    from ovenbird.passes.quantized.unify_quantization import unify_quantization

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return unify_quantization(bound_indices(Importer().convert(program)))
    except NetworkError:
        raise
    except Exception as error:
        raise import_error(error) from error


def import_error(error: Exception) -> NetworkError:
    """Turn what TVM's importers raise into the error that says which operator they stopped at."""
    node = _failing_node(error.__traceback__)
    where = f" at the operator {node}" if node else ""
    return ImportFailed(f"TVM cannot import the network{where}: {reason(error)}")


def _failing_node(traceback: TracebackType | None) -> str:
    """Find the graph node that the importer had in hand: the innermost local called `node`."""
    found = ""
    while traceback is not None:
        node = traceback.tb_frame.f_locals.get("node")
        kind = getattr(node, "op_type", None) or getattr(node, "target", None)
        name = getattr(node, "name", None)
        if kind is not None and name is not None:
            found = f"{kind} ({name})" if name else str(kind)
        traceback = traceback.tb_next
    return found


def reason(error: BaseException) -> str:
    """Return the one line of TVM's error that says what is wrong: the first that is not part of a traceback."""
    for line in str(error).splitlines():
        line = line.strip()
        if line and not line.startswith(("Traceback", "File ", "at ", "[bt]", "Stack trace", "--")):
            return line
    return type(error).__name__
