// Every limit of the runtime, with its unit in its name: those of `ovenbird_runtime/limits.py`, which a test compares.
#pragma once

#include <cstdint>

namespace ob {

constexpr int64_t MAX_MESSAGE_CHARS = 600;

// The artifact: read and checked before any of it is trusted
constexpr int64_t SCHEMA_VERSION = 2;
constexpr int64_t MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
constexpr int64_t MAX_JSON_DEPTH = 64;
constexpr int64_t MAX_FILES = 4096;
constexpr int64_t MAX_FILE_BYTES = int64_t{1} << 34;
constexpr int64_t MAX_PATH_CHARS = 240;
constexpr int64_t MAX_TEXT_CHARS = 4096;
constexpr int64_t MAX_NAME_CHARS = 128;
constexpr int64_t MAX_KERNEL_CHARS = 1024;
constexpr int64_t MAX_VARIANTS = 64;
constexpr int64_t MAX_PROGRAMS = 16;
constexpr int64_t MAX_LABELS_BYTES = 8 * 1024 * 1024;
constexpr int64_t MAX_GOLDEN_BYTES = 256 * 1024 * 1024;
constexpr int64_t MAX_KEY_FILE_BYTES = 64 * 1024;
constexpr int64_t MAX_SIGNATURES = 64;
constexpr int64_t MAX_PROVENANCE_BYTES = 4 * 1024 * 1024;

// Tensors
constexpr int64_t ALIGNMENT_BYTES = 64;
constexpr int64_t MAX_TENSORS = 65536;
constexpr int64_t MAX_IO_TENSORS = 256;
constexpr int64_t MAX_RANK = 8;
constexpr int64_t MAX_DIM = int64_t{1} << 31;
constexpr int64_t MAX_CALL_BYTES = int64_t{1} << 31;
constexpr int64_t MAX_TENSORS_FILE_BYTES = int64_t{1} << 34;
constexpr int64_t MAX_COMPILED_BATCH = 4096;
constexpr int64_t MAX_ENTRIES = 512;
constexpr int64_t MAX_IMAGE_SIZES = 128;

// Plans
constexpr int64_t PLAN_VERSION = 1;
constexpr int64_t MAX_PLAN_BYTES = 16 * 1024 * 1024;
constexpr int64_t MAX_ARENA_BYTES = int64_t{1} << 34;
constexpr int64_t MAX_PLAN_BUFFERS = 1 << 17;
constexpr int64_t MAX_PLAN_CALLS = 1 << 16;
constexpr int64_t MAX_KERNEL_BUFFERS = 1024;
constexpr int64_t MAX_CONSTANT_BYTES = 1024;

// Pre-processing
constexpr int64_t MAX_PIPELINES = 512;
constexpr int64_t MAX_STEPS = 32;
constexpr int64_t MAX_SIDE_PIXELS = 32768;
constexpr double MAX_ZOOM_FACTOR = 64.0;

// Images, checked before decoding
constexpr double MAX_IMAGE_MEGAPIXELS = 50.0;
constexpr int64_t MAX_IMAGE_FILE_BYTES = 128 * 1024 * 1024;
constexpr int64_t MAX_IMAGES_PER_CALL = 4096;
constexpr int64_t MAX_JPEG_SCANS = 100;
constexpr int64_t MAX_JPEG_SEGMENTS = 1024;
constexpr int64_t MAX_PNG_DATA_CHUNKS = 65536;
constexpr int64_t MAX_PNG_CHUNKS = 1024;
constexpr int64_t MAX_EXIF_TEXT_CHARS = 256 * 1024;

// Running
constexpr int64_t MAX_THREADS = 1024;
constexpr int64_t MAX_TOP = 1000;
constexpr int64_t MAX_TOKENS = 4096;
constexpr int64_t MAX_BEAMS = 64;
constexpr int64_t MAX_PROMPT_CHARS = 4096;
constexpr int64_t MAX_VOCABULARY_BYTES = 16 * 1024 * 1024;
constexpr int64_t MAX_STATE_BYTES = int64_t{1} << 30; // of all sequences in flight

// Boxes
constexpr int64_t MAX_BOXES = 1000;
constexpr int64_t MAX_CANDIDATES = 30000;
constexpr int64_t MAX_CLASS_FILTERS = 1000;
constexpr int64_t MAX_KEYPOINTS = 1024;
constexpr int64_t MAX_MASK_SIDE = 1024;
constexpr double MAX_MASKS_MEGAPIXELS = 200.0;
constexpr int64_t MAX_LABELS = 1000000;

// Benchmarks
constexpr int64_t MAX_BENCH_BATCH = 4096;
constexpr int64_t MAX_BENCH_CALLS = 1000000;

} // namespace ob
