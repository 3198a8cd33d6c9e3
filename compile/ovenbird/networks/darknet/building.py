"""From a `.cfg`'s sections to a torch module: shapes are followed and checked layer by layer, weights taken in order.

net = build_network(read_cfg(Path("net.cfg")), WeightsFile.read(Path("net.weights")))
net = build_network(read_cfg(Path("net.cfg")), None)        # with weights that are still to be drawn
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from ovenbird.errors import suggest
from ovenbird.limits import MAX_DARKNET_MAP_ELEMENTS, MAX_DARKNET_PARAMETERS
from ovenbird.networks.darknet import layers
from ovenbird.networks.darknet.activations import ACTIVATIONS, MapFunction
from ovenbird.networks.darknet.cfg import Section
from ovenbird.networks.darknet.heads import GridHead, Head, RegionHead, YoloHead
from ovenbird.networks.darknet.network import IMAGE, DarknetNetwork, LayerStep
from ovenbird.networks.darknet.weights import WeightsFile
from ovenbird_runtime.limits import MAX_SIDE_PIXELS

MOST_FILTERS = 65_536
MOST_SIZE = 1_024
"""Pixels of a window or a stride, at most."""


class MapShape(NamedTuple):
    """One image's maps."""

    channels: int
    height: int
    width: int


@dataclass
class Assembly:
    """What was built so far: each layer with its shape and its inputs."""

    weights: WeightsFile | None
    image: MapShape
    modules: list[nn.Module] = field(default_factory=list)
    steps: list[LayerStep] = field(default_factory=list)
    shapes: list[MapShape] = field(default_factory=list)
    heads: list[tuple[Head, int]] = field(default_factory=list)
    parameters: int = 0

    @property
    def before(self) -> int:
        """The number of the layer before the one being built."""
        return len(self.steps) - 1

    def shape_of(self, number: int) -> MapShape:
        """Return what a layer gives."""
        return self.image if number == IMAGE else self.shapes[number]

    def add(self, section: Section, module: nn.Module, shape: MapShape, inputs: Sequence[int] = ()) -> None:
        """Put a layer behind those built. Raises NetworkUnreadable for a shape that none can have."""
        if min(shape) < 1:
            raise section.error(f"gives {shape.channels}x{shape.height}x{shape.width}: its input is too small for it")
        if math.prod(shape) > MAX_DARKNET_MAP_ELEMENTS:
            raise section.error(f"gives {math.prod(shape)} numbers an image, limit {MAX_DARKNET_MAP_ELEMENTS}")
        self.modules.append(module)
        self.steps.append(LayerStep(tuple(inputs) or (self.before,), section.kind, section.line))
        self.shapes.append(shape)

    def count(self, section: Section, numbers: int) -> None:
        """Count a layer's weights before they are made. Raises NetworkUnreadable."""
        self.parameters += numbers
        if self.parameters > MAX_DARKNET_PARAMETERS:
            raise section.error(f"the network has {self.parameters} weights here, limit {MAX_DARKNET_PARAMETERS}")

    def fill(self, section: Section, tensors: Sequence[torch.Tensor]) -> None:
        """Put the file's next numbers into tensors, in this order. Raises WeightsMismatch."""
        if self.weights is None:
            return
        where = f"{section.file}:{section.line}: [{section.kind}]"
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(torch.from_numpy(self.weights.take(tensor.shape, where)))

    def layer(self, section: Section, number: int, key: str) -> int:
        """Return an earlier layer's number, given from the start, or, below zero, from here.

        Raises NetworkUnreadable.
        """
        found = number if number >= 0 else len(self.steps) + number
        if not 0 <= found < len(self.steps):
            raise section.error(f"{key} is {number}, there are {len(self.steps)} layers before this one", key)
        return found


def activation(section: Section) -> MapFunction:
    """Return the function that a section names, or darknet's own: logistic. Raises NetworkUnreadable."""
    name = section.text("activation", "logistic" if section.kind in ("convolutional", "connected") else "linear")
    if name not in ACTIVATIONS:
        raise section.error(f"activation={name[:40]} is not compiled{suggest(name, ACTIVATIONS)}", "activation")
    return ACTIVATIONS[name]


def statistics(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> list[torch.Tensor]:
    """Return the means and variances of a batch norm."""
    return [found for found in (norm.running_mean, norm.running_var) if found is not None]


def convolutional(section: Section, assembly: Assembly) -> None:
    """Add a convolution: bias (scales, means, variances), then weights."""
    for key in ("binary", "xnor", "bin_output", "antialiasing", "share_index", "deform", "flipped"):
        section.refuse(key, "it changes the arithmetic, and its weights look like any others")
    before = assembly.shape_of(assembly.before)
    filters, size = section.whole("filters", 1, 1, MOST_FILTERS), section.whole("size", 1, 1, MOST_SIZE)
    stride = section.whole("stride", 1, 1, MOST_SIZE)
    down, across = section.whole("stride_y", stride, 1, MOST_SIZE), section.whole("stride_x", stride, 1, MOST_SIZE)
    dilation = section.whole("dilation", 1, 1, MOST_SIZE) if size > 1 else 1
    padding = size // 2 if section.whole("pad", 0, 0, 1) else section.whole("padding", 0, 0, MOST_SIZE)
    groups = section.whole("groups", 1, 1, MOST_FILTERS)
    if before.channels % groups or filters % groups:
        raise section.error(f"groups is {groups}, which must divide {before.channels} channels and {filters} filters")
    assembly.count(section, filters * (before.channels // groups) * size * size + 4 * filters)
    normed = section.whole("batch_normalize", 0, 0, 2) > 0
    around = padding * dilation
    conv = nn.Conv2d(
        before.channels, filters, size, (down, across), around, dilation, groups, bias=not normed
    )  # fmt: skip
    norm = nn.BatchNorm2d(filters, eps=layers.NORM_EPSILON) if normed else None
    if norm is not None:
        assembly.fill(section, [norm.bias, norm.weight, *statistics(norm)])
    elif conv.bias is not None:
        assembly.fill(section, [conv.bias])
    assembly.fill(section, [conv.weight])
    reach = dilation * (size - 1) + 1
    height = (before.height + 2 * around - reach) // down + 1
    width = (before.width + 2 * around - reach) // across + 1
    plain = [(side + 2 * padding - size) // step + 1 for side, step in ((before.height, down), (before.width, across))]
    if plain != [height, width]:  # darknet's maps have the size that they would have without dilation
        raise section.error(
            f"dilation={dilation} needs an odd size and pad=1: darknet reads beyond its maps", "dilation"
        )
    assembly.add(section, layers.Convolution(conv, norm, activation(section)), MapShape(filters, height, width))


def connected(section: Section, assembly: Assembly) -> None:
    """Add a fully connected layer: bias, weights, then scales, means and variances."""
    before = assembly.shape_of(assembly.before)
    outputs = section.whole("output", 1, 1, 1 << 24)
    assembly.count(section, math.prod(before) * outputs + 4 * outputs)
    normed = section.whole("batch_normalize", 0, 0, 1) > 0
    linear = nn.Linear(math.prod(before), outputs)
    assembly.fill(section, [linear.bias, linear.weight])
    norm = nn.BatchNorm1d(outputs, eps=layers.NORM_EPSILON) if normed else None
    if norm is not None:
        assembly.fill(section, [norm.weight, *statistics(norm)])
    assembly.add(section, layers.Connected(linear, norm, activation(section)), MapShape(outputs, 1, 1))


def maxpool(section: Section, assembly: Assembly) -> None:
    """Add a pooling, whose padding is the window's size less one unless it is given."""
    section.refuse("maxpool_depth", "pooling over channels")
    section.refuse("antialiasing", "pooling with a filter behind it")
    before = assembly.shape_of(assembly.before)
    stride = section.whole("stride", 1, 1, MOST_SIZE)
    size = section.whole("size", stride, 1, MOST_SIZE)
    down, across = section.whole("stride_y", stride, 1, MOST_SIZE), section.whole("stride_x", stride, 1, MOST_SIZE)
    padding = section.whole("padding", size - 1, 0, 2 * MOST_SIZE)
    if padding // 2 >= size:
        raise section.error(f"padding is {padding}, a window of {size} would see nothing else", "padding")
    shape = MapShape(
        before.channels,
        (before.height + padding - size) // down + 1,
        (before.width + padding - size) // across + 1,
    )
    assembly.add(section, layers.MaxPool(size, (down, across), padding), shape)


def avgpool(section: Section, assembly: Assembly) -> None:
    """Add the mean of each channel."""
    assembly.add(section, nn.AdaptiveAvgPool2d(1), MapShape(assembly.shape_of(assembly.before).channels, 1, 1))


def route(section: Section, assembly: Assembly) -> None:
    """Add the channels of other layers."""
    if not section.has("layers"):
        raise section.error("layers is missing, as in layers=-1,8")
    numbers = [assembly.layer(section, one, "layers") for one in section.wholes("layers", -10_000, 10_000)]
    groups = section.whole("groups", 1, 1, MOST_FILTERS)
    group = section.whole("group_id", 0, 0, groups - 1)
    shapes = [assembly.shape_of(number) for number in numbers]
    if len({shape[1:] for shape in shapes}) > 1:
        sizes = ", ".join(f"{shape.height}x{shape.width}" for shape in shapes)
        raise section.error(f"layers of different sizes cannot be joined: {sizes}", "layers")
    if any(shape.channels % groups for shape in shapes):
        raise section.error(f"groups is {groups}, which must divide the channels of its layers", "groups")
    channels = sum(shape.channels // groups for shape in shapes)
    assembly.add(section, layers.RoutedMaps(groups, group), MapShape(channels, *shapes[0][1:]), numbers)


def shortcut(section: Section, assembly: Assembly) -> None:
    """Add the sum with other layers."""
    section.refuse("weights_type", "weighted shortcuts")
    if not section.has("from"):
        raise section.error("from is missing, as in from=-3")
    numbers = [assembly.layer(section, one, "from") for one in section.wholes("from", -10_000, 10_000)]
    before = assembly.shape_of(assembly.before)
    for number in numbers:
        other = assembly.shape_of(number)
        step = max(other.height // before.height, 1)
        if other[1:] != (before.height * step, before.width * step):
            raise section.error(
                f"a map of {other.height}x{other.width} cannot be added to {before.height}x{before.width}", "from"
            )
    assembly.add(section, layers.Shortcut(activation(section)), before, (assembly.before, *numbers))


def product(section: Section, assembly: Assembly) -> None:
    """Add `scale_channels` or `sam`: the layer that is named, times the layer before."""
    section.refuse("scale_wh", "scales by place")
    if not section.has("from"):
        raise section.error("from is missing, as in from=-3")
    number = assembly.layer(section, section.whole("from", None, -10_000, 10_000), "from")
    before, other = assembly.shape_of(assembly.before), assembly.shape_of(number)
    wanted = MapShape(other.channels, 1, 1) if section.kind == "scale_channels" else other
    if before != wanted:
        raise section.error(f"the layer before gives {before[:]}, expected {wanted[:]}", "from")
    assembly.add(section, layers.Product(activation(section)), other, (number, assembly.before))


def reorg(section: Section, assembly: Assembly) -> None:
    """Add places to channels."""
    section.refuse("reverse", "the other direction")
    section.refuse("extra", "a row of numbers")
    before, stride = assembly.shape_of(assembly.before), section.whole("stride", 1, 1, MOST_SIZE)
    if before.channels % stride**2 or before.height % stride or before.width % stride:
        raise section.error(f"stride is {stride}: it must divide height and width, and its square the channels")
    shape = MapShape(before.channels * stride**2, before.height // stride, before.width // stride)
    assembly.add(section, layers.Reorg(stride), shape)


def upsample(section: Section, assembly: Assembly) -> None:
    """Add an enlargement."""
    before, stride = assembly.shape_of(assembly.before), section.whole("stride", 2, 1, MOST_SIZE)
    shape = MapShape(before.channels, before.height * stride, before.width * stride)
    assembly.add(section, layers.Upsample(stride, section.number("scale", 1.0)), shape)


def softmax(section: Section, assembly: Assembly) -> None:
    """Add a softmax."""
    section.refuse("tree", "a tree of classes")
    before, groups = assembly.shape_of(assembly.before), section.whole("groups", 1, 1, MOST_FILTERS)
    if before.channels % groups:
        raise section.error(f"groups is {groups}, which must divide {before.channels} channels", "groups")
    if section.has("spatial") is False and (before.height > 1 or before.width > 1):
        raise section.error("a softmax over places is not compiled; put [avgpool] before it")
    temperature = section.number("temperature", 1.0)
    if temperature <= 0:
        raise section.error(f"temperature is {temperature}, it must be above 0", "temperature")
    assembly.add(section, layers.Softmax(groups, temperature), before)


def same(section: Section, assembly: Assembly) -> None:
    """Add what does nothing once a network is trained: dropout, cost."""
    assembly.add(section, nn.Identity(), assembly.shape_of(assembly.before))


def anchors_of(section: Section, least: int) -> list[tuple[float, float]]:
    """Return the anchors of a section, at least so many. Raises NetworkUnreadable."""
    numbers = section.numbers("anchors" if section.has("anchors") else "biases")
    if len(numbers) % 2 or len(numbers) < 2 * least or min(numbers) <= 0:
        raise section.error(f"anchors has {len(numbers)} numbers, expected {2 * least}, all above 0", "anchors")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def detector(section: Section, assembly: Assembly) -> None:
    """Add `yolo`, `region` or `detection`: a head upon the layer before."""
    before, classes = assembly.shape_of(assembly.before), section.whole("classes", 20, 1, MOST_FILTERS)
    head: Head
    if section.kind == "yolo":
        total = section.whole("num", 1, 1, 1000)
        places = section.wholes("mask", 0, total - 1) if section.has("mask") else tuple(range(total))
        known = anchors_of(section, max(places) + 1)
        ready = section.whole("new_coords", 0, 0, 1) > 0
        head = YoloHead(classes, tuple(known[place] for place in places), section.number("scale_x_y", 1.0), ready)
    elif section.kind == "region":
        for key in ("tree", "map", "background"):
            section.refuse(key, "a tree of classes" if key != "background" else "a class for what is none")
        if section.whole("coords", 4, 0, 1000) != 4:
            raise section.error("coords must be 4: left, top, width, height", "coords")
        count = section.whole("num", 1, 1, 1000)
        head = RegionHead(
            classes, tuple(anchors_of(section, count)[:count]), section.whole("softmax", 0, 0, 1) > 0
        )  # fmt: skip
    else:
        head = GridHead(
            classes,
            section.whole("side", 7, 1, 1000),
            section.whole("num", 1, 1, 1000),
            section.whole("sqrt", 0, 0, 1) > 0,
            section.whole("softmax", 0, 0, 1) > 0,
        )
    given = math.prod(before) if section.kind == "detection" else before.channels
    if given != head.channels:
        raise section.error(f"the layer before gives {given} channels, expected {head.channels} for {classes} classes")
    if assembly.heads and (
        type(head) is not type(assembly.heads[0][0]) or head.classes != assembly.heads[0][0].classes
    ):
        raise section.error("all answers of a network must be of one kind and have the same classes")
    assembly.heads.append((head, assembly.before))
    assembly.add(section, nn.Identity(), before)


BUILDERS: dict[str, Callable[[Section, Assembly], None]] = {
    "avgpool": avgpool,
    "connected": connected,
    "convolutional": convolutional,
    "cost": same,
    "detection": detector,
    "dropout": same,
    "maxpool": maxpool,
    "region": detector,
    "reorg": reorg,
    "route": route,
    "sam": product,
    "scale_channels": product,
    "shortcut": shortcut,
    "softmax": softmax,
    "upsample": upsample,
    "yolo": detector,
}
"""How each kind of section is built."""


def image_of(sections: Sequence[Section]) -> MapShape:
    """Return the images that the network takes. Raises NetworkUnreadable."""
    net = sections[0]
    if net.has("inputs") and not net.has("height"):
        raise net.error("inputs is given, no height and width: networks of images are compiled", "inputs")
    height, width = (net.whole(key, None, 1, MAX_SIDE_PIXELS) for key in ("height", "width"))
    return MapShape(net.whole("channels", 3, 1, 1000), height, width)


def build_network(sections: Sequence[Section], weights: WeightsFile | None) -> DarknetNetwork:
    """Return the network in evaluation mode. Raises NetworkUnreadable, WeightsMismatch."""
    assembly = Assembly(weights, image_of(sections))
    layered = list(sections[1:])
    if not any(section.kind in ("yolo", "region", "detection") for section in layered):
        while layered and layered[-1].kind in ("softmax", "cost"):  # an answer of classes is given logits
            layered.pop()
    for section in layered:
        if section.kind not in BUILDERS:
            raise section.error(f"this kind of layer is not compiled{suggest(section.kind, BUILDERS)}")
        BUILDERS[section.kind](section, assembly)
    if not assembly.steps:
        raise sections[0].error("no layer is left to compile")
    if weights is not None:
        weights.check_empty()
    return DarknetNetwork(assembly.modules, assembly.steps, assembly.heads).eval()
