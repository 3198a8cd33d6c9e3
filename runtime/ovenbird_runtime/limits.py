"""Every limit of the runtime, with its unit in its name. Nothing else in the runtime holds a number that
refuses work.

from ovenbird_runtime import limits
limits.MAX_IMAGE_MEGAPIXELS
"""

from __future__ import annotations

# Messages
MAX_MESSAGE_CHARS = 600

# The artifact: read and checked before any of it is trusted
SCHEMA_VERSION = 2
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_JSON_DEPTH = 64
MAX_FILES = 4096
MAX_FILE_BYTES = 1 << 34  # as much as may have to be copied into memory
MAX_PATH_CHARS = 240
MAX_TEXT_CHARS = 4096
MAX_NAME_CHARS = 128
MAX_KERNEL_CHARS = 1024  # named after all operators that were fused into it
MAX_VARIANTS = 64
MAX_PROGRAMS = 16
MAX_LABELS_BYTES = 8 * 1024 * 1024
MAX_GOLDEN_BYTES = 256 * 1024 * 1024
MAX_KEY_FILE_BYTES = 64 * 1024
MAX_SIGNATURES = 64
MAX_PROVENANCE_BYTES = 4 * 1024 * 1024

# Tensors
ALIGNMENT_BYTES = 64
VECTOR_BYTES = 64  # scratch rows of compiled pre-processing are whole vectors
MAX_TENSORS = 65536
MAX_IO_TENSORS = 256
MAX_RANK = 8
MAX_DIM = 1 << 31
MAX_CALL_BYTES = 1 << 31  # all inputs and outputs of one compiled batch
MAX_TENSORS_FILE_BYTES = 1 << 34  # of `run --inputs`, unpacked
MAX_COMPILED_BATCH = 4096
MAX_ENTRIES = 512
MAX_IMAGE_SIZES = 128  # of one program

# Plans
PLAN_VERSION = 1
MAX_PLAN_BYTES = 16 * 1024 * 1024
MAX_ARENA_BYTES = 1 << 34
MAX_PLAN_BUFFERS = 1 << 17
MAX_PLAN_CALLS = 1 << 16
MAX_KERNEL_BUFFERS = 1024  # of one call: concatenations read many
MAX_CONSTANT_BYTES = 1024  # larger ones are weights

# Pre-processing
MAX_PIPELINES = 512  # two for each image size
MAX_STEPS = 32
MAX_SIDE_PIXELS = 32768
MAX_ZOOM_FACTOR = 64.0

# Images, checked before decoding
MAX_IMAGE_MEGAPIXELS = 50.0
MAX_IMAGE_FILE_BYTES = 128 * 1024 * 1024
MAX_IMAGES_PER_CALL = 4096
MAX_SCRATCH_BYTES = 32 * 1024 * 1024  # of one thread, for a decoded picture, kept between calls
MAX_JPEG_SCANS = 100  # encoders write about ten
MAX_JPEG_SEGMENTS = 1024  # the largest colour profile takes 255; bytes that belong to none count too
MAX_PNG_DATA_CHUNKS = 65536  # encoders write 8 KiB or more into each
MAX_PNG_CHUNKS = 1024  # of any other kind
MAX_GIF_BLOCKS = 16384  # before the picture: 4 MB of comments and profiles
MAX_EXIF_TEXT_CHARS = 256 * 1024  # of EXIF in hexadecimal, which is at most 64 KiB; longer ones count as none
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# Agreement with the right answers, by precision of the arithmetic (`agreement.py` says of what these are shares)
AGREEMENT_RMS = {"f32": 1e-4, "f16": 4e-2, "bf16": 2e-1, "int8": 3e-1}
AGREEMENT_PEAK_RATIO = 20.0
AGREEMENT_OFFSET = {"f32": 2e-2, "f16": 1e-1, "bf16": 2e-1, "int8": 2e-1}
AGREEMENT_MISMATCHES = {"f32": 1e-3, "f16": 2e-2, "bf16": 1e-1, "int8": 2e-1}

# Running
MAX_THREADS = 1024
MAX_WORKERS = 64
MAX_JOBS = 64  # threads that prepare photographs ahead of the network
MAX_TURN_SECONDS = 5.0  # that a model's call, or its promises, keep others from the processors; less than a hang
MAX_TOP = 1000

# Boxes
MAX_BOXES = 1000  # of one answer
MAX_CANDIDATES = 30_000  # of one image, the best: what is suppressed among
MAX_TILES = 4096  # of one image
MAX_TILE_OVERLAP = 0.9  # of two neighbours
MAX_CLASS_FILTERS = 1000  # of one call
MAX_KEYPOINTS = 1024  # of one box
MAX_MASK_SIDE = 1024  # of a mask as the network gives it
MAX_MASKS_MEGAPIXELS = 200.0  # that the boxes with masks of one answer cover, in JSON: a second or two
MAX_LABELS = 1_000_000

# Text
MAX_TOKENS = 4096  # of one sequence
MAX_BEAMS = 64
MAX_PROMPT_CHARS = 4096
MAX_VOCABULARY_BYTES = 16 * 1024 * 1024
MAX_STATE_BYTES = 1 << 30  # of all sequences in flight

# Benchmarks
MAX_BENCH_BATCH = 4096
MAX_BENCH_SECONDS = 3600.0
MAX_BENCH_CALLS = 1_000_000

# Serving: what a client may send, and for how long; `ovenbird-rt serve` takes an option for each
SERVE_BODY_BYTES = 10 * 1024 * 1024
SERVE_BUFFERED_BYTES = 256 * 1024 * 1024  # all bodies that are in memory at one time
SERVE_HEADER_BYTES = 32 * 1024
SERVE_HEADERS = 100
SERVE_MEGAPIXELS = 25.0
SERVE_HEADER_SECONDS = 10.0
SERVE_BODY_SECONDS = 15.0
SERVE_WRITE_SECONDS = 15.0
SERVE_KEEP_ALIVE_SECONDS = 5.0
SERVE_LINGER_SECONDS = 2.0  # a refused upload is read this long, so that its sender sees the answer
SERVE_CONNECTIONS = 1024
SERVE_PIPELINED_REQUESTS = 16
SERVE_PARTS = 64  # of a multipart body: files and fields together
SERVE_PART_HEADER_BYTES = 4096
SERVE_FIELD_BYTES = 4096
SERVE_GZIP_MEMBERS = 4096  # of one body; each costs a decoder's start, whatever little it holds
SERVE_IMAGES_PER_REQUEST = 64
SERVE_REQUEST_ID_CHARS = 128
SERVE_QUEUE_IMAGES = 256
SERVE_BATCH_WAIT_MS = 1.0
SERVE_BATCH_IMAGES = 64
SERVE_TIMEOUT_MS = 2000  # at least, where neither the operator nor the client says another ...
SERVE_TIMEOUT_IMAGES = 16  # ... and what so many images of each model take, one after the other
SERVE_MAX_TIMEOUT_MS = 60_000
SERVE_DRAIN_SECONDS = 30.0
SERVE_HANG_SECONDS = 10.0
SERVE_ENGINE_FAILURES = 3  # in a row, until the server calls itself not ready
SERVE_PROBE_SECONDS = 5.0
SERVE_WATCH_SECONDS = 1.0  # between two looks at the artifacts
SERVE_RETRY_SECONDS = 10.0  # until a version that could not be loaded is tried again as it is; doubled each time ...
SERVE_RETRY_MAX_SECONDS = 300.0  # ... up to here
SERVE_BACKEND_SECONDS = 8.0  # for the server of --backend-url to answer: less than a hang
SERVE_BACKEND_HEADER_BYTES = 256 * 1024  # of its answer, besides tensors
SERVE_BACKEND_JSON_CHARS = 16  # for each byte of a tensor, where it answers with JSON
SERVE_RESERVED_FILES = 24  # descriptors that are kept back from connections
SERVE_LOG_LINES = 4096  # waiting to be written; more are dropped and counted
SERVE_TENSOR_RANK = 8
SERVE_JSON_FIELD_BYTES = 64 * 1024  # of a v2 request, but for its tensors: shape, parameters, outputs, id

# Serving gRPC: what HTTP/2 adds. Windows are what a client may send before it hears that we have read.
SERVE_FRAME_BYTES = 64 * 1024
SERVE_STREAM_WINDOW_BYTES = 1024 * 1024
SERVE_WINDOW_BYTES = 8 * 1024 * 1024  # of a connection
SERVE_GRPC_IDLE_SECONDS = 300.0  # a connection without calls; between the messages of a call that sends several
SERVE_SPARE_FRAMES = 2048  # that carry nothing, at one time; calls and time earn more
SERVE_RESETS = 200  # calls of one connection that were cancelled, beyond those that were answered
SERVE_MESSAGE_FIELDS = 4096

# Load tests
LOAD_SECONDS = 10.0
LOAD_ANSWER_SECONDS = 30.0  # for one answer, to its last byte; `--answer-seconds`
LOAD_ANSWER_BYTES = 64 * 1024 * 1024
LOAD_ASK_SECONDS = 10.0  # for the server's models
LOAD_START_SECONDS = 60.0  # for a process of the generator to be there
LOAD_STALL_SECONDS = 20.0  # without a word from one
LOAD_SEARCH_STEPS = 5
