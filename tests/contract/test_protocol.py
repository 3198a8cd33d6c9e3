"""serve/grpc/protocol: what protoc makes of its .proto files, and numbers as the official descriptors have them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.protobuf")

from ovenbird_runtime.serve.grpc.messages import load_protocol
from ovenbird_runtime.serve.grpc.services import methods

ROOT = Path(__file__).parents[2]
OURS = load_protocol()


@pytest.mark.skipif(shutil.which("protoc") is None, reason="no protoc here (Debian: protobuf-compiler)")
def test_descriptors_are_of_the_sources() -> None:
    subprocess.run([ROOT / "ci/steps/protocol.sh", "--check"], cwd=ROOT, check=True)


def official() -> dict[str, Any]:
    """Return the descriptors of others' packages, by full name; empty where none is installed."""
    found: dict[str, Any] = {}
    try:
        from grpc_health.v1 import health_pb2
        from grpc_reflection.v1alpha import reflection_pb2
        from tritonclient.grpc import model_config_pb2, service_pb2
    except ModuleNotFoundError:
        return found

    def add(message: Any) -> None:
        found[message.full_name] = message
        for inner in message.nested_types:
            add(inner)

    for module in (service_pb2, model_config_pb2, health_pb2, reflection_pb2):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add(message)
        for service in module.DESCRIPTOR.services_by_name.values():
            found[service.full_name] = service
        for enumeration in module.DESCRIPTOR.enum_types_by_name.values():
            found[enumeration.full_name] = enumeration
    return found


OFFICIAL = official()


def names(message: Any) -> list[str]:
    inner = [name for nested in message.nested_type if not nested.options.map_entry for name in names(nested)]
    return [message.name, *(f"{message.name}.{name}" for name in inner)]


MESSAGES = [
    f"{file.package}.{name}"
    for file in OURS.files.values()
    if not file.package.endswith("reflection.v1")  # the package of Python's grpcio-reflection is v1alpha
    for message in file.message_type
    for name in names(message)
]


@pytest.mark.skipif(not OFFICIAL, reason="the packages with the official descriptors are not installed")
@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_is_the_official_one(name: str) -> None:
    theirs = OFFICIAL[name]
    for field in OURS.message(name).DESCRIPTOR.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
        if field.message_type is not None:
            assert field.message_type.full_name == other.message_type.full_name
        if field.enum_type is not None:
            assert field.enum_type.full_name == other.enum_type.full_name
            numbers = {value.name: value.number for value in other.enum_type.values}
            assert all(numbers[value.name] == value.number for value in field.enum_type.values)


@pytest.mark.skipif(not OFFICIAL, reason="the packages with the official descriptors are not installed")
def test_every_method_is_the_official_one() -> None:
    for name in OURS.services:
        if name.endswith("reflection.v1.ServerReflection"):
            continue
        for method in OURS.methods(name):
            other = OFFICIAL[name].methods_by_name[method.name]
            assert method.input_type.full_name == other.input_type.full_name
            assert method.output_type.full_name == other.output_type.full_name
            kinds = (method.client_streaming, method.server_streaming)
            assert kinds == (other.client_streaming, other.server_streaming)


def test_every_method_is_answered() -> None:
    declared = {f"/{service}/{method.name}" for service in OURS.services for method in OURS.methods(service)}
    assert set(methods()) == declared
    assert len(declared) == 16
