"""Files of pre-processing and of labels: what they may say, and the line and the key of what they may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ovenbird.errors import PreprocessInvalid, UsageError
from ovenbird.networks.processing.document import PIXELS, find_document, read_document
from ovenbird.networks.processing.labels import read_labels
from ovenbird.networks.processing.options import PARSERS, ProcessingOptions
from ovenbird_runtime.manifest.steps import Normalise, Resize

WHOLE = """# every key
base = "imagenet"
size = [320, 480]
resize = "256"
crop = "224x200"
interpolation = "bicubic"
mean = [0.5, 0.25, 1]
std = 0.5
scale = "1/127.5"
channels = "bgr"
pad = 114
labels = "names.txt"
outputs = ["logits", "embedding"]

[answer]
logits = "classes"
embedding = "embedding"
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "net.preprocess.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_every_key(tmp_path: Path) -> None:
    assert read_document(write(tmp_path, WHOLE)) == ProcessingOptions(
        base="imagenet", size=(320, 480), resize=256, crop=(224, 200), interpolation="bicubic", mean=(0.5, 0.25, 1.0),
        std=(0.5,), scale=1 / 127.5, channels="bgr", pad=114, labels=tmp_path / "names.txt",
        outputs=("logits", "embedding"), answer={"logits": "classes", "embedding": "embedding"},
    )  # fmt: skip


def test_a_whole_pipeline(tmp_path: Path) -> None:
    text = '[[steps]]\nstep = "resize"\nexact = [8, 8]\n[[steps]]\nstep = "normalise"\n'
    assert read_document(write(tmp_path, text)).steps == (Resize(exact=(8, 8)), Normalise())


def test_the_file_beside_a_network_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    assert find_document(tmp_path / "net.onnx") == path
    assert find_document(tmp_path / "net.py") == path
    assert find_document(tmp_path / "other.py") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nmeen = 1", r"net\.preprocess\.toml:2: meen is unknown; did you mean mean\?"),
        ("xyz = 1", "known are base, size, "),
        ("a = 1\nbase =", "toml:2: not TOML"),
        ("mean = 1\nmean = 2", "not TOML"),
        ("# x\n\nmean = ['a']", r"toml:3: mean is \['a'\], expected one number, or three"),
        ("mean = [1, 2]", r"mean is \[1, 2\], expected one number, or three"),
        ("mean = nan", "expected one number"),
        ("mean = true", "expected one number"),
        ("std = 0", "it must be above 0"),
        ("std = -1.0", "it must be above 0"),
        ("scale = 0", "expected 1e-9 to 1e6"),
        ("scale = '1/0'", "expected a number"),
        ("size = 0", "size is 0, expected HEIGHTxWIDTH or one number, each 1 to"),
        ("size = [1, 2, 3]", "expected HEIGHTxWIDTH"),
        ("size = 1.5", "expected HEIGHTxWIDTH"),
        ("resize = 'fill'", "or fit, or none"),
        ("resize = 99999999", "or fit, or none"),
        ("channels = 'gbr'", "expected rgb, bgr, grey; did you mean rgb, bgr?"),
        ("interpolation = 'area'", "expected nearest, bilinear, bicubic, lanczos"),
        ("base = 'coco'", "expected imagenet"),
        ("pad = 256", "expected 0 to 255"),
        ("answer = 'shapes'", "answer is 'shapes', expected classes, embedding, boxes, text, raw"),
        ("answer = []", "expected classes, embedding, boxes, text, raw"),
        ("[answer]\nlogits = 1", "answer of 'logits' is 1, expected classes"),
        ("labels = ''", "expected a name or a file's path"),
        ("labels = '" + "a" * 300 + "'", "300 bytes, limit 4095, and 239 between slashes"),
        ("labels = 3", "expected a file"),
        ("outputs = [1]", "expected names"),
        ("mean = 1\n[[steps]]\nstep = 'normalise'", ":1: mean does not go with steps"),
        ("x = 1\nsteps = [{step = 'resise'}]", "x is unknown"),
        ("steps = [{step = 'resise'}]", r"toml:1\.steps\[0\]\.step is 'resise', expected one of centre-crop"),
        ("steps = [{step = 'normalise'}, {step = 'zoom'}]", "normalise must be the last step"),
        ("steps = []", r"steps has 0 items"),
        ("steps = 3", "expected a list"),
        (b"\xff", "not UTF-8"),
        ("a=" + "[" * 3000, "not TOML"),
        ("#" * 1_000_001, "longer than 1000000 bytes"),
    ],
)
def test_the_line_and_the_key_of_what_is_wrong(tmp_path: Path, text: Any, said: str) -> None:
    with pytest.raises(PreprocessInvalid, match=said) as refused:
        read_document(write(tmp_path, text))
    assert "net.preprocess.toml" in str(refused.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PreprocessInvalid, match="No such file"):
        read_document(tmp_path / "absent.toml")
    with pytest.raises(PreprocessInvalid, match="Is a directory"):
        read_document(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.txt", "cat\nwild dog\n", ("cat", "wild dog")),
        ("a.txt", "\ufeffcat\r\ndög", ("cat", "dög")),
        ("a.json", '["cat", "dog"]', ("cat", "dog")),
        ("a.json", '{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ("a.json", '{"0": ["n01", "cat"], "1": ["n02", "dog"]}', ("cat", "dog")),
    ],
)
def test_labels(tmp_path: Path, name: str, text: str, found: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_labels(tmp_path / name) == found


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "", "empty, expected a name a line"),
        ("a.txt", "cat\n\ndog\n", r"a\.txt:2: '' is no name of class 1"),
        ("a.txt", "cat\n\x1b[31m\n", "a.txt:2: .* is no name"),
        ("a.json", "[", "not JSON"),
        ("a.json", "[]", "expected a list of names"),
        ("a.json", "[1]", "1 is no name of class 0"),
        ("a.json", '{"0": "cat", "2": "dog"}', "without '1'"),
        ("a.json", "[" * 100_000, "not JSON"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PreprocessInvalid, match=said):
        read_labels(tmp_path / name)
    with pytest.raises(PreprocessInvalid, match="No such file"):
        read_labels(tmp_path / "absent.txt")


def test_the_command_line_reads_the_same_words() -> None:
    found = {
        "resize": ("fit", "fit"), "mean": ("0.485, 0.456,0.406", (0.485, 0.456, 0.406)), "scale": ("1", 1.0),
        "answer": ("logits=classes, embedding=raw", {"logits": "classes", "embedding": "raw"}), "pad": ("114", 114),
        "crop": ("224", (224, 224)), "outputs": ("a,b", ("a", "b")), "std": ("[0.5]", (0.5,)),
    }  # fmt: skip
    for name, (text, value) in found.items():
        assert PARSERS[name](f"--{name}", text) == value
    with pytest.raises(UsageError, match=r"^--mean is 'x', expected a number"):
        PARSERS["mean"]("--mean", "x")
    assert set(PIXELS) < {*PARSERS, "steps"}
