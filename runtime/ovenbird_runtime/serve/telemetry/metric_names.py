"""Every metric's name, kind and meaning: what `GET /metrics` and the reference list.

REQUESTS.name                      # "ovenbird_requests_total"
"""

from __future__ import annotations

from typing import Literal, NamedTuple

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
IMAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Metric(NamedTuple):
    """One metric: its labels in order, and its buckets where it is a histogram."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUESTS = Metric("ovenbird_requests_total", "counter", "Answers, by route and HTTP status.", ("route", "status"))
REQUEST_SECONDS = Metric(
    "ovenbird_request_seconds", "histogram", "From a request's first byte to its answer.", ("route",), SECONDS
)
MODEL_REQUESTS = Metric(
    "ovenbird_model_requests_total", "counter", "Requests to a model, by result.", ("model", "result")
)
MODEL_SECONDS = Metric("ovenbird_model_request_seconds", "histogram", "Requests to a model.", ("model",), SECONDS)
DECODE = Metric(
    "ovenbird_decode_seconds", "histogram", "Reading one image or one request's tensors.", ("model",), SECONDS
)
PREPROCESS = Metric("ovenbird_preprocess_seconds", "histogram", "Pre-processing one image.", ("model",), SECONDS)
QUEUE = Metric(
    "ovenbird_queue_seconds", "histogram", "From being ready to run until a batch took it.", ("model",), SECONDS
)
COMPUTE = Metric("ovenbird_compute_seconds", "histogram", "One batch in the compiled network.", ("model",), SECONDS)
POSTPROCESS = Metric(
    "ovenbird_postprocess_seconds", "histogram", "Turning outputs into the answer.", ("model",), SECONDS
)
BATCH_IMAGES = Metric("ovenbird_batch_images", "histogram", "Images a batch, without padding.", ("model",), IMAGES)
PADDED_IMAGES = Metric("ovenbird_padded_images_total", "counter", "Images of padding that were computed.", ("model",))
IMAGES_DONE = Metric("ovenbird_images_total", "counter", "Images that were computed.", ("model",))
QUEUE_IMAGES = Metric("ovenbird_queue_images", "gauge", "Images that wait for a batch.", ("model",))
ADMITTED_IMAGES = Metric("ovenbird_admitted_images", "gauge", "Images with a permit and without an answer.", ("model",))
REJECTED = Metric(
    "ovenbird_rejections_total", "counter", "Requests refused, by the error that refused them.", ("reason",)
)
CANCELLED = Metric(
    "ovenbird_cancelled_total",
    "counter",
    "Requests whose client left before the answer, by how far they were.",
    ("stage",),
)
EXPIRED = Metric(
    "ovenbird_expired_total", "counter", "Inputs that were accepted, and not answered by their deadline.", ("model",)
)
ENGINE_FAILURES = Metric("ovenbird_engine_failures_total", "counter", "Batches that the engine failed.", ("model",))
RELOADS = Metric("ovenbird_reloads_total", "counter", "Artifacts swapped in, by result.", ("model", "result"))
READY = Metric("ovenbird_model_ready", "gauge", "1 where the model answers requests.", ("model",))
CONNECTIONS = Metric("ovenbird_connections", "gauge", "Open connections.")
BUFFERED = Metric("ovenbird_buffered_bytes", "gauge", "Requests and answers in memory.")
LOG_DROPPED = Metric("ovenbird_log_lines_dropped_total", "counter", "Log lines that found no room to wait.")
INFO = Metric("ovenbird_build_info", "gauge", "1; the labels say what runs.", ("version", "tvm"))
RSS = Metric("process_resident_memory_bytes", "gauge", "Resident memory.")
THREADS = Metric("process_threads", "gauge", "Threads of this process.")
OPEN_FILES = Metric("process_open_fds", "gauge", "Open file descriptors.")
START_TIME = Metric("process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.")

# Triton's names for the same things (`--nv-metrics`), in microseconds as Triton has them.
NV_SUCCESS = Metric("nv_inference_request_success", "counter", "Requests answered.", ("model", "version"))
NV_FAILURE = Metric("nv_inference_request_failure", "counter", "Requests failed.", ("model", "version"))
NV_COUNT = Metric("nv_inference_count", "counter", "Images computed.", ("model", "version"))
NV_EXECUTIONS = Metric("nv_inference_exec_count", "counter", "Batches computed.", ("model", "version"))
NV_REQUEST_US = Metric("nv_inference_request_duration_us", "counter", "Request time.", ("model", "version"))
NV_QUEUE_US = Metric("nv_inference_queue_duration_us", "counter", "Queue time.", ("model", "version"))
NV_INPUT_US = Metric("nv_inference_compute_input_duration_us", "counter", "Input time.", ("model", "version"))
NV_INFER_US = Metric("nv_inference_compute_infer_duration_us", "counter", "Compute time.", ("model", "version"))
NV_OUTPUT_US = Metric("nv_inference_compute_output_duration_us", "counter", "Output time.", ("model", "version"))
NV_PENDING = Metric("nv_inference_pending_request_count", "gauge", "Images that wait.", ("model", "version"))

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
