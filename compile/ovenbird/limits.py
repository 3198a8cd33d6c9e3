"""The compiler's limits on what it is asked for and on what it reads from files that anybody may have written."""

from __future__ import annotations

MAX_BATCH = 9_999
"""Rows of one batch size of an artifact."""

MAX_PROGRAM_MEMBERS = 100_000
"""Members of a `.pt2` file's archive."""

MAX_PROGRAM_JSON_MB = 64
"""The graph in a `.pt2` file, and each of its tables. ViT-B/16's graph takes 2 MB."""

MAX_EXPRESSION_CHARACTERS = 1_000
"""One symbolic dimension of a program, as text."""

MAX_EXPRESSION_POWER = 8
"""The largest exponent in a symbolic dimension."""

MAX_NETWORK_ELEMENTS = 4_000_000_000
"""Numbers in all tensors that a file describes: 16 GB of float32."""

MAX_FOLDED_ELEMENTS = 16_000_000
"""Numbers that one node of an ONNX model may make of less while it is imported (Expand, Range): 64 MB of float32."""

MAX_LOOP_TURNS = 256
"""Turns of a loop of an ONNX model: it is written out, so each turn adds its code."""

MAX_DETERMINANT_SIDE = 4
"""Rows of a matrix whose determinant is written out."""

MAX_FUNCTION_DEPTH = 32
"""Functions of an ONNX model that call each other; the standard's own go 4 deep."""

MAX_ARGUMENT_CHARACTERS = 10_000
MAX_EXPORTED_NAMES_CHARACTERS = 1_000_000
"""The arguments in `module:callable(...)`, and one value of `--arg`."""

MAX_LOOKED_AT_BYTES = 64 * 2**20
"""How much of a pickle is looked at to say what it holds."""

MAX_LOOKED_AT_OPERATIONS = 500_000
"""Operations of a pickle that are looked at; a tensor of a state_dict takes some 30."""

MAX_DOCUMENT_BYTES = 1_000_000
"""A `.preprocess.toml`."""

MAX_PATH_BYTES = 4095
"""A file's path, without its final zero (Linux, limits.h: PATH_MAX)."""

MAX_PATH_PART_BYTES = 239
"""One name in a path: Linux's 255 (NAME_MAX) less what `.preprocess.toml` may add."""

MAX_FUSED_SIZE = 1 << 12
"""Operations that one element of a fused kernel is written as, a value that is read twice counted twice."""

MAX_COMPUTED_ELEMENTS = 1 << 20
"""Numbers in a tensor that is computed when a network is imported, where its operands hold fewer. 4 MB of float32."""

MAX_CFG_BYTES = 1_000_000
"""A darknet `.cfg`; YOLOv4's has 12,000."""

MAX_CFG_SECTIONS = 2_000
"""Layers in a darknet `.cfg`; the deepest published have 300."""

MAX_DARKNET_PARAMETERS = 1_000_000_000
"""Numbers in a darknet `.weights`: 4 GB. YOLO9000 has 50 million."""

MAX_DARKNET_MAP_ELEMENTS = 1 << 28
"""Numbers that a layer of a darknet network gives for one image: 1 GB of float32."""

MAX_CANDIDATES = 1_000
"""Boxes of an image that a compiled detector hands to non-maximum suppression, the best by score."""

MAX_EVIDENCE_BYTES = 16_000_000
"""A file of evidence in an artifact; that of a network of 300 layers has 60,000."""
