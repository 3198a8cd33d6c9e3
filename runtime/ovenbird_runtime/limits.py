"""Every limit of the runtime, with its unit in its name. Nothing else in the runtime holds a number that
refuses work.

from ovenbird_runtime import limits
limits.MAX_IMAGE_MEGAPIXELS
"""

from __future__ import annotations

# Messages
MAX_MESSAGE_CHARS = 600

# The artifact: read and checked before any of it is trusted
SCHEMA_VERSION = 1
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_FILES = 4096
MAX_FILE_BYTES = 1 << 40
MAX_PATH_CHARS = 240
MAX_TEXT_CHARS = 4096
MAX_NAME_CHARS = 128
MAX_VARIANTS = 64
MAX_LABELS_BYTES = 8 * 1024 * 1024
MAX_GOLDEN_BYTES = 256 * 1024 * 1024

# Tensors
ALIGNMENT_BYTES = 64
MAX_TENSORS = 65536
MAX_IO_TENSORS = 256
MAX_RANK = 8
MAX_DIM = 1 << 31
MAX_COMPILED_BATCH = 4096
MAX_ENTRIES = 64

# Pre-processing
MAX_PIPELINES = 32
MAX_STEPS = 32
MAX_SIDE_PIXELS = 32768
MAX_ZOOM_FACTOR = 64.0

# Images, checked before decoding
MAX_IMAGE_MEGAPIXELS = 50.0
MAX_IMAGE_FILE_BYTES = 128 * 1024 * 1024
MAX_IMAGES_PER_CALL = 4096
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# Running
MAX_THREADS = 1024
MAX_WORKERS = 64
MAX_TOP = 1000

# Benchmarks
MAX_BENCH_BATCH = 4096
MAX_BENCH_SECONDS = 3600.0
