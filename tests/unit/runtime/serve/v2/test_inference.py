"""What an inference request asks for beside the tensors themselves."""

import numpy as np
import pytest

from ovenbird_runtime.serve.v2.inference import best_classes


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8", "int64", "uint64"])
def test_the_largest_come_first_whatever_the_dtype(dtype: str) -> None:
    largest = np.finfo(dtype).max if dtype.startswith("float") else np.iinfo(dtype).max
    (row,) = best_classes(np.array([[3, 0, largest, 7]], dtype), None, 3)
    assert [text.decode().split(":")[1] for text in row] == ["2", "3", "0"]


def test_truth_values_have_classes_too() -> None:
    (row,) = best_classes(np.array([[False, True, True]]), ("cat", "dog", "eel"), 2)
    assert list(row) == [b"1.000000:1:dog", b"1.000000:2:eel"]
