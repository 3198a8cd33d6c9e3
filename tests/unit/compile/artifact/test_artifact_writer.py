"""Weights as the artifact's writer lays them down: aligned, where it says, each once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from blake3 import blake3

from ovenbird.artifact.artifact_writer import BLAKE3_MIN_BYTES, ArtifactWriter
from ovenbird.networks.network import Network
from ovenbird_runtime.limits import ALIGNMENT_BYTES
from ovenbird_runtime.manifest.manifest import TensorSpec, WeightsInfo


class Source:
    """A source that has a digest and nothing else."""

    framework, batched = "torch", True

    def digest(self) -> str:
        return "ab" * 32


def writer(folder: Path) -> ArtifactWriter:
    spec = TensorSpec("x", "float32", ("N", 4))
    weights = WeightsInfo("file", "net.pth")
    return ArtifactWriter(folder, Network("net", "1", "Apache-2.0", weights, (spec,), (spec,), Source()))


def test_tensors_lie_where_they_are_said_to(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sizes = [(3,), (17, 5), (64,), (1,), (16,)]  # of 12 to 340 bytes: most end between two boundaries
    arrays = [random.standard_normal(size).astype(np.float32) for size in sizes]
    arrays.append(np.asfortranarray(random.standard_normal((3, 7)).astype(np.float32)))
    arrays.append(random.integers(-9, 9, (5,)).astype(np.int8))
    places = writer(tmp_path)._write_weights([*arrays, arrays[0]])
    assert places[-1] == places[0]  # the same bytes are there once
    for place, array in zip(places, [*arrays, arrays[0]], strict=True):
        data = (tmp_path / place.file).read_bytes()
        assert place.offset % ALIGNMENT_BYTES == 0
        found = np.frombuffer(data, place.dtype, array.size, place.offset).reshape(place.shape)
        np.testing.assert_array_equal(found, array)


def test_large_files_have_a_blake3(tmp_path: Path) -> None:
    made = writer(tmp_path)
    large = np.random.default_rng(0).bytes(BLAKE3_MIN_BYTES)
    made.add_evidence("large", large)
    made.add_evidence("small", large[:-1])
    table = made.file_table()
    assert table["large"].blake3 == blake3(large).hexdigest()
    assert table["small"].blake3 is None
