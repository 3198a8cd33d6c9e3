"""A `.cfg` or a `.weights` that is wrong is refused in one line, which names the line and the section."""

import struct
from pathlib import Path

import pytest

from ovenbird.errors import NetworkUnreadable, UsageError, WeightsMismatch, WeightsUnavailable, WeightsUnreadable
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.darknet.building import build_network
from ovenbird.networks.darknet.cfg import parse_cfg
from ovenbird.networks.darknet.weights import WeightsFile
from support.darknet_files import write_weights

NET = "[net]\nwidth=32\nheight=32\n"
CONV = "[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=linear\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no sections"),
        ("[convolutional]\n", r"begins with \[convolutional\], a darknet .cfg begins with \[net\]"),
        (NET, "has no layers"),
        ("width=3\n[net]\n", "x.cfg:1: 'width=3' stands before the first section"),
        (NET + "[conv\n", r"x.cfg:4: '\[conv' is no section"),
        (NET + CONV + "stride\n", "x.cfg:9: 'stride' is neither key=value"),
        (NET + "[convolutional]\nfilters=many\n", r"x.cfg:5: \[convolutional\]: filters is 'many'"),
        (NET + "[convolutional]\nfilters=0\n", "expected whole numbers of 1 to 65536"),
        (NET + "[convolutional]\nfilters=99999999999999999999\n", "expected whole numbers"),
        (NET + "[convolutional]\nfilters=4\ngroups=2\n", "groups is 2, which must divide 3 channels"),
        (NET + "[convolutional]\nactivation=leeky\n", r"activation=leeky is not compiled; did you mean leaky"),
        (NET + "[convolutional]\nxnor=1\n", "xnor=1 is not compiled"),
        (NET + "[convolutional]\nsize=64\nactivation=linear\n", "its input is too small"),
        (NET + CONV + "[upsample]\nstride=1000\n", r"numbers an image, limit"),
        (NET + ("[connected]\noutput=16000000\n" * 2), r"the network has \d+ weights here, limit"),
        (NET + "[lstm]\noutput=3\n", r"x.cfg:4: \[lstm\]: this kind of layer is not compiled"),
        (NET + CONV + "[route]\nlayers=-2\n", "layers is -2, there are 1 layers before this one"),
        (NET + CONV + "[route]\n", "layers is missing"),
        (NET + CONV + "[maxpool]\nsize=2\nstride=2\n[route]\nlayers=0,1\n", "layers of different sizes"),
        (NET + CONV + "[shortcut]\nactivation=linear\n", "from is missing"),
        (NET + CONV + "[shortcut]\nfrom=-1\nweights_type=per_channel\n", "weights_type=per_channel is not compiled"),
        (NET + CONV + "[reorg]\nstride=3\n", "stride is 3: it must divide"),
        (NET + CONV + "[yolo]\nclasses=2\nnum=1\nanchors=3,4\n", "gives 4 channels, expected 7 for 2 classes"),
        (NET + CONV + "[yolo]\nclasses=2\nnum=3\nmask=0,5\nanchors=3,4\n", "mask is '0,5'"),
        (NET + CONV + "[yolo]\nclasses=2\nnum=2\nanchors=3,nan,4,5\n", "expected numbers"),
        (NET + CONV + "[region]\nclasses=2\nnum=2\nanchors=3,4,5\n", "anchors has 3 numbers, expected 4"),
        (NET + CONV + "[region]\nclasses=2\ntree=9k.tree\nanchors=3,4\n", "a tree of classes"),
        ("[net]\nwidth=32\n" + CONV, "height is missing"),
        ("[net]\ninputs=32\n" + CONV, "networks of images are compiled"),
    ],
)
def test_a_cfg_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(NetworkUnreadable, match=message) as caught:
        build_network(parse_cfg(text, "x.cfg"), None)
    assert "\n" not in str(caught.value)


def test_blanks_comments_and_the_first_of_two_values_are_read_as_darknet_reads_them() -> None:
    sections = parse_cfg("; net\n[net]  # here\n width = 3 2 \nwidth=5\n[max]\nsize=2;\n", "x.cfg")
    assert [section.kind for section in sections] == ["net", "maxpool"]
    assert sections[0].whole("width", 0, 0, 99) == 32
    assert sections[1].whole("size", 0, 0, 99) == 2


def _file(path: Path, numbers: int, header: bytes = struct.pack("<iiiq", 0, 2, 5, 0)) -> Path:
    path.write_bytes(header + struct.pack(f"<{numbers}f", *range(numbers)))
    return path


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sections = parse_cfg(NET + CONV, "x.cfg")
    wanted = 4 + 4 * 3 * 3 * 3
    for header in (struct.pack("<iiiq", 0, 2, 5, 0), struct.pack("<iiii", 0, 1, 0, 0)):
        build_network(sections, WeightsFile.read(_file(tmp_path / "fits.weights", wanted, header)))
    with pytest.raises(WeightsMismatch, match=r"hold 111 numbers and end within x.cfg:4: \[convolutional\]"):
        build_network(sections, WeightsFile.read(_file(tmp_path / "short.weights", wanted - 1)))
    with pytest.raises(WeightsMismatch, match=r"hold 113 numbers, the \.cfg takes 112"):
        build_network(sections, WeightsFile.read(_file(tmp_path / "long.weights", wanted + 1)))
    with pytest.raises(WeightsUnreadable, match="no whole float32"):
        WeightsFile.read(_write(tmp_path / "cut.weights", struct.pack("<iiiq", 0, 2, 5, 0) + b"abc"))
    with pytest.raises(WeightsUnreadable, match=r"version 1347109700\.1347109700, expected 0.1 or 0.2"):
        WeightsFile.read(_write(tmp_path / "other.weights", b"DCKP" * 40))
    with pytest.raises(WeightsUnreadable, match="7 bytes"):
        WeightsFile.read(_write(tmp_path / "empty.weights", b"1234567"))
    nan = _write(tmp_path / "nan.weights", struct.pack("<iiiq", 0, 2, 5, 0) + struct.pack("<f", float("nan")) * wanted)
    with pytest.raises(WeightsMismatch, match="hold NaN or infinity"):
        build_network(sections, WeightsFile.read(nan))


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_weights_and_names_beside_the_cfg_are_taken(tmp_path: Path) -> None:
    cfg = tmp_path / "net.cfg"
    head = "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n[yolo]\nclasses=2\nnum=2\nanchors=4,4,9,9\n"
    cfg.write_text(NET + CONV + head)
    with pytest.raises(WeightsUnavailable, match="is a network without weights: give --weights"):
        load_network(str(cfg))
    write_weights(cfg, tmp_path / "net.weights")
    (tmp_path / "net.names").write_text("cat\ndog\n")
    network = load_network(str(cfg))
    assert (network.weights.origin, network.weights.detail) == ("file", "net.weights")
    assert network.labels == ("cat", "dog")
    assert [spec.name for spec in network.outputs] == ["boxes", "scores", "classes"]
    assert network.default_pipeline == "stretch"
    assert network.batched
    (tmp_path / "net.names").write_text("cat\n")
    with pytest.raises(UsageError, match=r"has 1 names, the boxes of net have 2 classes"):
        load_network(str(cfg))
    with pytest.raises(WeightsUnavailable, match="no file there"):
        load_network(str(cfg), NetworkOptions(weights=str(tmp_path / "none.weights")))
