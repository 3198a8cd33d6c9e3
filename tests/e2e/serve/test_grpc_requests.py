"""Inference requests over gRPC, by hand: raw or typed tensors, parameters, deadlines, and what is wrong with them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving import Serving

pytest.importorskip("h2")
grpc = pytest.importorskip("grpc")
pb = pytest.importorskip("tritonclient.grpc.service_pb2")
stubs = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

ZERO = np.zeros((1, 3, 32, 32), np.float32)
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def serving(tiny: Path) -> Iterator[Serving]:
    with Serving.start(tiny, "--grpc-port", 0, "--batch-wait-ms", 0) as server:
        yield server


@pytest.fixture(scope="module")
def channel(serving: Serving) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{serving.wait_for('listening_grpc')['port']}") as found:
        yield found


@pytest.fixture(scope="module")
def stub(channel: Any) -> Any:
    return stubs.GRPCInferenceServiceStub(channel)


def a_request(raw: bool = True, image: np.ndarray[Any, Any] = ZERO, **fields: Any) -> Any:
    request = pb.ModelInferRequest(**({"model_name": "tiny"} | fields))
    tensor = request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    if raw:
        request.raw_input_contents.append(image.tobytes())
    else:
        tensor.contents.fp32_contents.extend(image.reshape(-1).tolist())
    return request


def code_of(stub: Any, request: Any, **options: Any) -> Any:
    try:
        stub.ModelInfer(request, **({"timeout": 20} | options))
    except grpc.RpcError as error:
        return error.code()
    return CODE.OK


@pytest.mark.parametrize("raw", [True, False])
def test_id_version_and_outputs(stub: Any, raw: bool) -> None:
    request = a_request(raw, np.repeat(ZERO, 2, 0), id="söme id", model_version="1")
    request.outputs.add(name="logits")
    answer = stub.ModelInfer(request, timeout=20)
    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "1", "söme id")
    assert [(output.name, list(output.shape)) for output in answer.outputs] == [("logits", [2, 5])]
    assert len(answer.raw_output_contents[0]) == 2 * 5 * 4


@pytest.mark.parametrize(
    ("given", "kept"), [("me-1", True), ("a" * 128, True), ("", False), ("a" * 129, False), ("a b", False)]
)
@pytest.mark.parametrize("name", ["tiny", "nobody"])
def test_calls_are_logged_by_the_id_that_their_answers_carry(
    serving: Serving, stub: Any, name: str, given: str, kept: bool
) -> None:
    metadata = [("x-request-id", given)] if given else []
    call = stub.ModelInfer.future(a_request(model_name=name), metadata=metadata, timeout=20)
    assert call.code() == (CODE.OK if name == "tiny" else CODE.NOT_FOUND)
    first = dict(call.initial_metadata()) | dict(call.trailing_metadata())
    assert (first["x-request-id"] == given) == kept
    assert kept or re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", first["x-request-id"])
    line = serving.wait_for("request", request_id=first["x-request-id"], status=call.code().name)
    assert line["route"] == "grpc.ModelInfer"


def both(request: Any) -> None:
    request.inputs[0].contents.fp32_contents.append(1.0)


def longer(request: Any) -> None:
    request.raw_input_contents[0] += b"1234"


def shorter(request: Any) -> None:
    request.raw_input_contents[0] = request.raw_input_contents[0][:-4]


def more_raw(request: Any) -> None:
    request.raw_input_contents.append(b"")


def no_contents(request: Any) -> None:
    del request.raw_input_contents[:]


def no_inputs(request: Any) -> None:
    del request.inputs[:]


def negative(request: Any) -> None:
    request.inputs[0].shape[0] = -1


def overflow(request: Any) -> None:
    request.inputs[0].shape[:] = [2**40, 2**40]


def no_values(request: Any) -> None:
    request.inputs[0].shape[:] = [0, 2**30, 2**30, 2**30]
    request.raw_input_contents[0] = b""


def twice(request: Any) -> None:
    request.inputs.add().CopyFrom(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[0])


def extra(request: Any) -> None:
    twice(request)
    request.inputs[1].name = "more"


def another_name(request: Any) -> None:
    request.inputs[0].name = "other"


def bfloat16(request: Any) -> None:
    request.inputs[0].datatype = "BF16"


def texts(request: Any) -> None:
    request.inputs[0].datatype = "BYTES"


def output_twice(request: Any) -> None:
    request.outputs.add(name="logits")
    request.outputs.add(name="logits")


def other_output(request: Any) -> None:
    request.outputs.add(name="other")


def sequence(request: Any) -> None:
    request.parameters["sequence_id"].int64_param = 7


def sequence_text(request: Any) -> None:
    request.parameters["sequence_id"].string_param = "seven"


def shared_memory(request: Any) -> None:
    request.inputs[0].parameters["shared_memory_region"].string_param = "x"


def output_memory(request: Any) -> None:
    request.outputs.add(name="logits").parameters["shared_memory_region"].string_param = "x"


def wrong_nan(request: Any) -> None:
    request.parameters["nan"].bool_param = True


def classes_below(request: Any) -> None:
    request.outputs.add(name="logits").parameters["classification"].int64_param = -1


def classes_text(request: Any) -> None:
    request.outputs.add(name="logits").parameters["classification"].string_param = "3"


WRONG: list[Callable[[Any], None]] = [
    both, longer, shorter, more_raw, no_contents, no_inputs, negative, overflow, no_values, twice, extra, another_name,
    bfloat16, texts, output_twice, other_output, sequence, sequence_text, shared_memory, output_memory, wrong_nan,
    classes_below, classes_text,
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG)
def test_wrong_requests_are_refused(stub: Any, change: Callable[[Any], None]) -> None:
    request = a_request()
    change(request)
    assert code_of(stub, request) is CODE.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("datatype", "kind", "value", "code"),
    [
        ("FP32", "fp32_contents", 1.0, CODE.OK),
        ("FP64", "fp64_contents", 1.0, CODE.OK),
        ("FP32", "fp64_contents", 1.0, CODE.INVALID_ARGUMENT),
        ("FP32", "int_contents", 1, CODE.INVALID_ARGUMENT),
        ("INT8", "int_contents", 300, CODE.INVALID_ARGUMENT),
        ("UINT8", "uint_contents", 300, CODE.INVALID_ARGUMENT),
        ("BOOL", "bool_contents", True, CODE.INVALID_ARGUMENT),
        ("FP16", "fp32_contents", 1.0, CODE.INVALID_ARGUMENT),
        ("BYTES", "bytes_contents", b"x", CODE.INVALID_ARGUMENT),
    ],
)
def test_typed_contents_must_fit_their_datatype(stub: Any, datatype: str, kind: str, value: Any, code: Any) -> None:
    request = a_request(raw=False)
    tensor = request.inputs[0]
    tensor.datatype = datatype
    tensor.contents.Clear()
    getattr(tensor.contents, kind).extend([value] * 3072)
    assert code_of(stub, request) is code
    getattr(tensor.contents, kind).append(value)
    assert code_of(stub, request) is CODE.INVALID_ARGUMENT


def test_unknown_parameters_of_every_kind_are_passed_over(stub: Any) -> None:
    request = a_request()
    for place in (request.parameters, request.inputs[0].parameters, request.outputs.add(name="logits").parameters):
        place["a"].bool_param, place["b"].int64_param, place["c"].string_param = True, -5, "text"
        place["d"].double_param, place["e"].uint64_param = 0.5, 2**63
        place["nothing"].SetInParent()
    assert code_of(stub, request) is CODE.OK


def test_nan_is_refused_until_it_is_allowed(stub: Any) -> None:
    request = a_request(image=np.full((1, 3, 32, 32), np.nan, np.float32))
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, timeout=20)
    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert '"nan": "allow"' in caught.value.details()
    request.parameters["nan"].string_param = "allow"
    assert code_of(stub, request) is CODE.OK


def test_compressed_by_the_client(stub: Any) -> None:
    for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert code_of(stub, a_request(), compression=kind) is CODE.OK


def test_metadata_that_is_too_large(stub: Any, serving: Serving) -> None:
    code = code_of(stub, a_request(), metadata=(("x-large", "v" * 100_000),))
    assert code in (CODE.RESOURCE_EXHAUSTED, CODE.UNAVAILABLE)
    assert code_of(stub, a_request()) is CODE.OK


def test_a_large_answer_is_whole(stub: Any) -> None:
    """Larger than the windows that clients open at first, 64 KB."""
    image = np.repeat(ZERO, 64, 0)
    answer = stub.ModelInfer(a_request(image=image), timeout=20)
    assert [len(data) for data in answer.raw_output_contents] == [64 * 5 * 4, 64 * 8 * 4]


def test_clients_that_leave_give_everything_back(stub: Any, serving: Serving) -> None:
    image = np.repeat(ZERO, 64, 0)
    for _ in range(20):
        calls = [stub.ModelInfer.future(a_request(image=image), timeout=20) for _ in range(4)]
        calls[-1].cancel()
        time.sleep(0.001)
        for call in calls:
            call.cancel()
    end = time.monotonic() + 20
    while time.monotonic() < end and serving.metric("ovenbird_admitted_images") + serving.metric(
        "ovenbird_buffered_bytes"
    ):
        time.sleep(0.05)
    assert serving.metric("ovenbird_admitted_images") == 0
    assert serving.metric("ovenbird_buffered_bytes") == 0
    assert code_of(stub, a_request()) is CODE.OK


def test_draining_answers_what_was_sent(tiny: Path) -> None:
    """Clients that ask without pause lose nothing to SIGTERM: each call is answered, or was never taken."""
    with Serving.start(tiny, "--grpc-port", 0) as server:
        address = f"127.0.0.1:{server.wait_for('listening_grpc')['port']}"
        codes: list[Any] = []

        def ask() -> None:
            with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = stubs.GRPCInferenceServiceStub(channel)
                while not codes or codes[-1] is CODE.OK:
                    codes.append(code_of(stub, a_request()))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert server.stop() == 0
        for thread in threads:
            thread.join()
    assert codes.count(CODE.OK) > 20
    assert set(codes) == {CODE.OK, CODE.UNAVAILABLE}
    assert server.events("cut_off") == []


def test_nothing_is_left_behind(serving: Serving) -> None:
    assert serving.events("failure") == []
