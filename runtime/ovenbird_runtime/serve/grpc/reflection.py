"""gRPC's reflection: a client without our .proto files (grpcurl) asks which services there are, and what they take.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cache
from typing import Any

from ...errors import shown
from ..call import Call
from ..context import Context
from .messages import load_protocol
from .rpc import CODES

_RESPONSE = "ServerReflectionResponse"


async def _info(context: Context, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
    async for request in requests:
        package = request.DESCRIPTOR.file.package
        response = load_protocol().message(f"{package}.{_RESPONSE}")(valid_host=request.host)
        response.original_request.CopyFrom(request)
        _fill(response, request)
        yield response


def _fill(response: Any, request: Any) -> None:
    protocol = load_protocol()
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        for service in sorted(protocol.services):
            response.list_services_response.service.add(name=service)
        return
    wanted = getattr(request, kind) if kind else ""
    if kind == "all_extension_numbers_of_type" and wanted in _declared():  # proto3 has no extensions
        response.all_extension_numbers_response.base_type_name = wanted
        return
    if kind == "file_by_filename":
        name = wanted
    elif kind == "file_containing_symbol":
        name = _declared().get(wanted, "")
    else:
        name = ""
    if name not in protocol.files:
        response.error_response.error_code = CODES["NOT_FOUND"]
        response.error_response.error_message = f"{shown(wanted)} is not declared here"
        return
    response.file_descriptor_response.file_descriptor_proto.append(protocol.files[name].SerializeToString())


@cache
def _declared() -> dict[str, str]:
    """Return the file of every service, method, message, enumeration and field."""
    found: dict[str, str] = {}

    def add(scope: str, item: Any, file: str) -> None:
        name = f"{scope}.{item.name}"
        found[name] = file
        for part in ("field", "nested_type", "enum_type", "oneof_decl", "method", "value"):
            for inner in getattr(item, part, ()):
                add(name, inner, file)

    for file in load_protocol().files.values():
        for item in (*file.message_type, *file.enum_type, *file.service):
            add(file.package, item, file.name)
    return found


REFLECTION = {"ServerReflectionInfo": _info}
