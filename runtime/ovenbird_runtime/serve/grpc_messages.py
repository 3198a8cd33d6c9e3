"""The messages of the Open Inference Protocol's gRPC service, built when they are asked for.

    messages = load_messages()
    request = messages["ModelInferRequest"].FromString(data)

The descriptors are made here, in a pool of their own: no generated file that ties us to one release of
protobuf, and no clash with a client's copy of the same protocol in the same process.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

from functools import cache
from typing import Any

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_BOOL, _INT32, _INT64, _UINT32, _UINT64 = "bool", "int32", "int64", "uint32", "uint64"
_FLOAT, _DOUBLE, _STRING, _BYTES = "float", "double", "string", "bytes"

# message -> fields: (name, number, type, how). A type in capitals' first letter is a message of this table;
# how: "" once, "*" repeated, "%" a map from texts to it, "|" one of a choice named parameter_choice.
_INFER_COMMON = (("name", 1, _STRING, ""), ("datatype", 2, _STRING, ""), ("shape", 3, _INT64, "*"))
_TABLE: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "ServerLiveRequest": (),
    "ServerLiveResponse": (("live", 1, _BOOL, ""),),
    "ServerReadyRequest": (),
    "ServerReadyResponse": (("ready", 1, _BOOL, ""),),
    "ModelReadyRequest": (("name", 1, _STRING, ""), ("version", 2, _STRING, "")),
    "ModelReadyResponse": (("ready", 1, _BOOL, ""),),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": (("name", 1, _STRING, ""), ("version", 2, _STRING, ""), ("extensions", 3, _STRING, "*")),
    "ModelMetadataRequest": (("name", 1, _STRING, ""), ("version", 2, _STRING, "")),
    "TensorMetadata": _INFER_COMMON,
    "ModelMetadataResponse": (
        ("name", 1, _STRING, ""),
        ("versions", 2, _STRING, "*"),
        ("platform", 3, _STRING, ""),
        ("inputs", 4, "TensorMetadata", "*"),
        ("outputs", 5, "TensorMetadata", "*"),
    ),
    "InferParameter": (
        ("bool_param", 1, _BOOL, "|"),
        ("int64_param", 2, _INT64, "|"),
        ("string_param", 3, _STRING, "|"),
        ("double_param", 4, _DOUBLE, "|"),
        ("uint64_param", 5, _UINT64, "|"),
    ),
    "InferTensorContents": (
        ("bool_contents", 1, _BOOL, "*"),
        ("int_contents", 2, _INT32, "*"),
        ("int64_contents", 3, _INT64, "*"),
        ("uint_contents", 4, _UINT32, "*"),
        ("uint64_contents", 5, _UINT64, "*"),
        ("fp32_contents", 6, _FLOAT, "*"),
        ("fp64_contents", 7, _DOUBLE, "*"),
        ("bytes_contents", 8, _BYTES, "*"),
    ),
    "InferInputTensor": (
        *_INFER_COMMON,
        ("parameters", 4, "InferParameter", "%"),
        ("contents", 5, "InferTensorContents", ""),
    ),
    "InferRequestedOutputTensor": (("name", 1, _STRING, ""), ("parameters", 2, "InferParameter", "%")),
    "InferOutputTensor": (
        *_INFER_COMMON,
        ("parameters", 4, "InferParameter", "%"),
        ("contents", 5, "InferTensorContents", ""),
    ),
    "ModelInferRequest": (
        ("model_name", 1, _STRING, ""),
        ("model_version", 2, _STRING, ""),
        ("id", 3, _STRING, ""),
        ("parameters", 4, "InferParameter", "%"),
        ("inputs", 5, "InferInputTensor", "*"),
        ("outputs", 6, "InferRequestedOutputTensor", "*"),
        ("raw_input_contents", 7, _BYTES, "*"),
    ),
    "ModelInferResponse": (
        ("model_name", 1, _STRING, ""),
        ("model_version", 2, _STRING, ""),
        ("id", 3, _STRING, ""),
        ("parameters", 4, "InferParameter", "%"),
        ("outputs", 5, "InferOutputTensor", "*"),
        ("raw_output_contents", 6, _BYTES, "*"),
    ),
}

METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


@cache
def load_messages() -> dict[str, Any]:
    """Give the message classes by name. Raises ModuleNotFoundError where protobuf is not installed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _TABLE.items():
        message = file.message_type.add(name=name)
        if any(how == "|" for *_, how in fields):
            message.oneof_decl.add(name="parameter_choice")
        for field_name, number, kind, how in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = field_kind.LABEL_REPEATED if how in ("*", "%") else field_kind.LABEL_OPTIONAL
            if how == "%":
                entry = message.nested_type.add(name=f"{field_name.title()}Entry")
                entry.options.map_entry = True
                key = entry.field.add(name="key", number=1, type=field_kind.TYPE_STRING)
                key.label = field_kind.LABEL_OPTIONAL
                value = entry.field.add(name="value", number=2, type=field_kind.TYPE_MESSAGE)
                value.label, value.type_name = field_kind.LABEL_OPTIONAL, f".{PACKAGE}.{kind}"
                field.type, field.type_name = field_kind.TYPE_MESSAGE, f".{PACKAGE}.{name}.{entry.name}"
            elif kind in _TABLE:
                field.type, field.type_name = field_kind.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = getattr(field_kind, f"TYPE_{kind.upper()}")
            if how == "|":
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _TABLE}
