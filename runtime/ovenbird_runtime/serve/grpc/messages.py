"""The protocol's messages and services, from the descriptors that protoc made of protocol/*.proto.

    protocol = load_protocol()
    request = protocol.message("inference.ModelInferRequest").FromString(data)

They live in a pool of their own: no generated code that ties us to one release of protobuf, and no clash with a
client's copy of the same protocol in the same process. ci/steps/protocol.sh writes protocol.binpb.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_DESCRIPTORS = Path(__file__).parent / "protocol" / "protocol.binpb"


class Protocol:
    """The message classes by name, and the files that describe them."""

    def __init__(self, descriptors: bytes) -> None:
        """Load a serialized FileDescriptorSet."""
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        self._pool = descriptor_pool.DescriptorPool()
        self.files = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file}
        for file in self.files.values():
            self._pool.AddSerializedFile(file.SerializeToString())
        self._class_of = message_factory.GetMessageClass

    @property
    def services(self) -> list[str]:
        """The services' full names."""
        return [f"{file.package}.{service.name}" for file in self.files.values() for service in file.service]

    def message(self, name: str) -> Any:
        """Return a message's class by its full name. Raises KeyError."""
        return self._class_of(self._pool.FindMessageTypeByName(name))

    def methods(self, service: str) -> list[Any]:
        """Return the descriptors of a service's methods. Raises KeyError."""
        return list(self._pool.FindServiceByName(service).methods)


@cache
def load_protocol() -> Protocol:
    """Load the protocol once. Raises ModuleNotFoundError where protobuf is not installed."""
    return Protocol(_DESCRIPTORS.read_bytes())


@cache
def message(name: str) -> Any:
    """Return one message's class of the package `inference`."""
    return load_protocol().message(f"inference.{name}")
