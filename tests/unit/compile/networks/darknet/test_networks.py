"""darknet's networks give what OpenCV's reader of the same files gives: raw maps, boxes, scores, classes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ovenbird.errors import NetworkUnreadable
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models.detectors.tiny_yolov2_voc import CFG
from ovenbird.networks.darknet.building import build_network, image_of
from ovenbird.networks.darknet.cfg import parse_cfg, read_cfg
from ovenbird.networks.darknet.layers import Reorg
from ovenbird.networks.darknet.weights import WeightsFile
from support.darknet_files import write_weights
from support.real_data import test_data

__all__ = ["test_data"]

cv2 = pytest.importorskip("cv2", reason="opencv-python-headless<5 reads darknet's files")

NET = "[net]\nwidth=96\nheight=64\nchannels=3\n"


def conv(filters: int, size: int = 3, activation: str = "leaky", more: str = "batch_normalize=1\n") -> str:
    return f"[convolutional]\nfilters={filters}\nsize={size}\npad=1\nactivation={activation}\n{more}"


def pool(size: int, stride: int) -> str:
    return f"[maxpool]\nsize={size}\nstride={stride}\n"


YOLO = "classes=4\nnum=2\nanchors=10,14, 33,20\n"
LAYERS = {
    "activations": "".join(conv(8, 3, name) for name in ("relu", "swish", "mish", "logistic", "linear")),
    "groups-strides": conv(8) + conv(16, 5, more="groups=8\nstride=2\n"),
    "pools": conv(8) + pool(2, 1) + pool(3, 2) + pool(2, 2) + pool(5, 1),
    "routes": conv(8) + conv(12) + "[route]\nlayers=-1,-2\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n",
    "reorg": conv(8) + "[reorg]\nstride=2\n",
    "upsample": conv(8, more="stride=2\n") + "[upsample]\nstride=2\n",
    "shortcut": conv(8) + conv(8) + "[shortcut]\nfrom=-2\nactivation=leaky\n",
    "scale-channels": conv(8)
    + "[avgpool]\n"
    + conv(8, 1, "logistic", "")
    + "[scale_channels]\nfrom=-3\nactivation=linear\n",
    "sam": conv(8) + conv(8, 3, "logistic") + "[sam]\nfrom=-2\n",
    "dropout": conv(8) + "[dropout]\nprobability=.5\n",
}  # fmt: skip
HEADS = {
    "yolo": conv(18, 1, "linear", "") + f"[yolo]\nmask=0,1\n{YOLO}",
    "scaled-yolo": conv(18, 1, "linear", "") + f"[yolo]\nmask=0,1\nscale_x_y=1.2\n{YOLO}",
    "new-coords": conv(18, 1, "logistic", "") + f"[yolo]\nmask=0,1\nscale_x_y=2.0\nnew_coords=1\n{YOLO}",
    "two-yolos": conv(9, 1, "linear", "")
    + f"[yolo]\nmask=1\n{YOLO}[route]\nlayers=-3\n"
    + conv(9, 1, "linear", "stride=2\n")
    + f"[yolo]\nmask=0\n{YOLO}",
    "region": conv(18, 1, "linear", "")
    + "[region]\nclasses=4\nnum=2\nsoftmax=1\nthresh=0.0001\nanchors=1.2,1.5, 2.5,2\n",
}


def both(cfg: Path, image: np.ndarray, weights: Path | None = None):
    """Return ours, and what OpenCV gives for each of its outputs."""
    if weights is None:
        weights = cfg.with_suffix(".weights")
        write_weights(cfg, weights, seed=3)
    net = build_network(read_cfg(cfg), WeightsFile.read(weights))
    reference = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    reference.setInput(image)
    return net, reference.forward(reference.getUnconnectedOutLayersNames())


def noise(cfg: Path) -> np.ndarray:
    return np.random.default_rng(0).random((1, *image_of(read_cfg(cfg))), dtype=np.float32)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_what_opencv_gives(tmp_path: Path, name: str) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(NET + LAYERS[name])
    image = noise(cfg)
    net, (right,) = both(cfg, image)
    with torch.no_grad():
        found = next(iter(net.maps(torch.from_numpy(image)).values())).numpy()
    np.testing.assert_allclose(found, right.reshape(found.shape), rtol=1e-4, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("name", HEADS)
def test_heads_give_what_opencv_gives(tmp_path: Path, name: str) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(NET + conv(8) + "[maxpool]\nsize=2\nstride=2\n" * 3 + conv(16) + HEADS[name])
    check_boxes(cfg, noise(cfg))


def test_tiny_yolov2_gives_what_opencv_gives(tmp_path: Path) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(CFG.read_text().replace("=416", "=160"))
    check_boxes(cfg, noise(cfg))


def check_boxes(cfg: Path, image: np.ndarray, weights: Path | None = None) -> dict[str, np.ndarray]:
    """Hold every candidate to OpenCV's row of the same box; return the candidates."""
    net, outputs = both(cfg, image, weights)
    rows = np.concatenate([output.reshape(-1, output.shape[-1]) for output in outputs])
    with torch.no_grad():
        found = {key: value[0].numpy() for key, value in net(torch.from_numpy(image)).items()}
    size = np.array([image.shape[3], image.shape[2]])
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1) * np.tile(size, 2)
    seen = 0
    for box, score, number in zip(*found.values(), strict=True):
        gap = np.abs(boxes - box).max(1) / np.maximum(np.abs(box).max(), 1)
        same = np.flatnonzero(gap < 1e-4)
        assert same.size, box
        shown = rows[same, 5 + number]
        shown = shown[shown > 0]  # OpenCV drops what is below its threshold, and suppresses within a region
        seen += shown.size > 0
        assert not shown.size or np.abs(shown - score).min() < 1e-5
        if shown.size:
            assert (rows[same, 5:].max(1) <= score + 1e-5).all()
    assert seen >= min(20, len(rows) // 4)
    return found


def test_reorg_has_an_order_of_its_own() -> None:
    maps = torch.arange(4 * 4 * 6, dtype=torch.float32).reshape(1, 4, 4, 6)
    right = np.zeros((4, 4, 6), np.float32)
    flat = maps.numpy().reshape(-1)
    for k in range(4):  # reorg_cpu of darknet, forward = 0
        for j in range(4):
            for i in range(6):
                right[k, j, i] = flat[i * 2 + k // 1 % 2 + 6 * 2 * (j * 2 + k // 1 // 2 + 4 * 2 * 0)]
    np.testing.assert_array_equal(Reorg(2)(maps).numpy().reshape(4, 4, 6), right)


@pytest.mark.parametrize(("size", "stride", "dilation"), [(3, 1, 2), (3, 2, 3), (5, 1, 2), (1, 1, 4)])
def test_dilation_is_darknet_s(tmp_path: Path, size: int, stride: int, dilation: int) -> None:
    """OpenCV does not read it: the reference is what im2col_cpu_ext does, pixel by pixel."""
    cfg = tmp_path / "net.cfg"
    more = f"stride={stride}\ndilation={dilation}\n"
    cfg.write_text("[net]\nwidth=9\nheight=8\nchannels=2\n" + conv(3, size, "linear", more))
    write_weights(cfg, tmp_path / "net.weights", seed=3)
    net = build_network(read_cfg(cfg), WeightsFile.read(tmp_path / "net.weights"))
    weights, bias = (tensor.detach().numpy() for tensor in (net.layers[0].conv.weight, net.layers[0].conv.bias))
    image, step = noise(cfg)[0], dilation if size > 1 else 1
    right = np.zeros((3, (8 - 1) // stride + 1, (9 - 1) // stride + 1))
    for filter_, row, column in np.ndindex(*right.shape):
        total = bias[filter_]
        for channel, down, across in np.ndindex(2, size, size):
            y, x = (at * stride - size // 2 * step + k * step for at, k in ((row, down), (column, across)))
            if 0 <= y < 8 and 0 <= x < 9:
                total += weights[filter_, channel, down, across] * image[channel, y, x]
        right[filter_, row, column] = total
    with torch.no_grad():
        found = next(iter(net.maps(torch.from_numpy(image[None])).values())).numpy()[0]
    np.testing.assert_allclose(found, right, atol=1e-5)


def test_dilation_that_darknet_cannot_do_is_refused(tmp_path: Path) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(NET + "[convolutional]\nfilters=8\nsize=3\ndilation=2\nactivation=linear\n")
    with pytest.raises(NetworkUnreadable, match=r"net\.cfg:.*dilation=2 needs an odd size and pad=1"):
        build_network(read_cfg(cfg), None)


def test_a_classifier_gives_logits(tmp_path: Path) -> None:
    cfg = tmp_path / "net.cfg"
    cfg.write_text(NET + conv(8) + conv(10, 1, "linear", "") + "[avgpool]\n[softmax]\ngroups=1\n[cost]\ntype=sse\n")
    write_weights(cfg, tmp_path / "net.weights", seed=3)
    image = noise(cfg)
    plain = tmp_path / "plain.cfg"
    plain.write_text(cfg.read_text().replace("[cost]\ntype=sse\n", ""))
    _, (right,) = both(plain, image, tmp_path / "net.weights")
    network = load_network(str(cfg))
    (step,) = network.postprocess
    assert (step.step, network.outputs[0].shape) == ("classification", ("N", 10))
    found = network.reference({"image": image})["logits"]
    np.testing.assert_allclose(np.exp(found) / np.exp(found).sum(), right.reshape(1, 10), atol=1e-6)


def test_yolov1_rows_are_read_as_darknet_lays_them_out() -> None:
    text = NET + conv(4) + "[connected]\noutput=48\nactivation=linear\n"
    text += "[detection]\nclasses=2\ncoords=4\nside=2\nnum=2\nsqrt=1\nrescore=1\n"
    net = build_network(parse_cfg(text, "x.cfg"), None)
    numbers = torch.rand(1, 48, 1, 1)
    (head, _), flat = net.heads[0], numbers.flatten().numpy()
    rows = head.rows(numbers, (64, 96))
    boxes = head.decode(rows.boxes, rows.table[None])[0].numpy()
    for place in range(4):
        for box in range(2):
            x, y, w, h = flat[4 * 2 + 4 * 2 + (place * 2 + box) * 4 :][:4]
            cx, cy, wide, tall = (x + place % 2) / 2 * 96, (y + place // 2) / 2 * 64, w * w * 96, h * h * 64
            right = [cx - wide / 2, cy - tall / 2, cx + wide / 2, cy + tall / 2]
            np.testing.assert_allclose(boxes[place * 2 + box], right, rtol=1e-5)
            score = flat[8 + place * 2 + box] * flat[place * 2 : place * 2 + 2].max()
            assert rows.scores[0, place * 2 + box].item() == pytest.approx(score)


SCENES = [
    ("voc-yolo-fastest", "dog", {"bicycle", "car"}),
    ("voc-yolo-fastest", "horses", {"horse"}),
    ("voc-yolo-fastest", "eagle", {"bird"}),
    ("voc-yolo-fastest-xl", "person", {"person", "dog"}),
    ("yolo-fastest-1.1-xl", "giraffe", {"giraffe"}),
    ("yolo-fastest-1.1-xl", "dog", {"dog", "bicycle"}),
]


@pytest.mark.parametrize(("name", "photograph", "wanted"), SCENES)
def test_real_detectors_find_what_is_there(test_data: Path, name: str, photograph: str, wanted: set[str]) -> None:
    folder = test_data / "detectors"
    path = next((test_data / "photos" / "scenes").glob(f"{photograph}.*"))
    image = cv2.dnn.blobFromImage(cv2.imread(str(path)), 1 / 255, (320, 320), swapRB=True)
    found = check_boxes(folder / f"{name}.cfg", image, folder / f"{name}.weights")
    voc = CFG.with_suffix(".names").read_text().split()
    labels = voc if name.startswith("voc") else (folder / "coco.names").read_text().splitlines()
    assert wanted <= {
        labels[number] for number, score in zip(found["classes"], found["scores"], strict=True) if score > 0.4
    }


def test_tiny_yolov2_is_built_in() -> None:
    network = load_network("tiny-yolov2-voc", NetworkOptions(weights="random:1", size=(96, 96)))
    assert network.inputs[0].shape == ("N", 3, 96, 96)
    assert len(network.labels) == 20
    assert network.pipelines["stretch"][0].exact == (96, 96)
