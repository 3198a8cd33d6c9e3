"""What TVM's importers raise, as an error that names the operator they stopped at."""

from __future__ import annotations

from types import TracebackType

from ovenbird.errors import ImportFailed, NetworkError


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
