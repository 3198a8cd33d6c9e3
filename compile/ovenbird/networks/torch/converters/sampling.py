"""Sampling at computed places: `grid_sample`, and torchvision's operators on regions and boxes."""

from __future__ import annotations

from typing import Any

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Arguments, Converter

MODES = ("linear", "nearest", "cubic")
PADDINGS = ("zeros", "border", "reflection")
"""By torch's numbers."""


def call_on_images(given: Arguments, operator: Any, *tensors: Any) -> Any:
    """Call an operator that computes in float32, and return its result in torch's dtype."""
    from ovenbird.operators.writing.own import own_call

    return given.cast(given.emit(own_call(operator, *(given.cast(each, "float32") for each in tensors))), given.dtype)


def grid_sample(node: Any, importer: Any) -> Any:
    """Convert `grid_sampler_2d` and `grid_sampler_3d(input, grid, mode, padding, align_corners)`."""
    from ovenbird.operators.vision.grid_sample import GridSample

    given = Arguments.of(node, importer)
    operator = GridSample(
        MODES[given["interpolation_mode"]],  # type: ignore[arg-type]
        PADDINGS[given["padding_mode"]],  # type: ignore[arg-type]
        bool(given["align_corners"]),
    )
    return call_on_images(given, operator, given["input"], given["grid"])


def roi_align(node: Any, importer: Any) -> Any:
    """Convert torchvision's `roi_align`."""
    from ovenbird.operators.vision.roi_align import RoiAlign

    given = Arguments.of(node, importer)
    output = (int(given["pooled_height"]), int(given["pooled_width"]))
    operator = RoiAlign(output, float(given["spatial_scale"]), int(given["sampling_ratio"]), bool(given["aligned"]))
    return call_on_images(given, operator, given["input"], given["rois"])


def roi_pool(node: Any, importer: Any) -> Any:
    """Convert torchvision's `roi_pool`, whose second output, of training alone, nobody may read."""
    from tvm import relax

    from ovenbird.operators.vision.roi_pool import RoiPool

    given = Arguments.of(node, importer)
    if any(user.args[1] != 0 for user in node.users):
        raise UnsupportedOperator("roi_pool's places of maxima serve training only")
    output = (int(given["pooled_height"]), int(given["pooled_width"]))
    pooled = call_on_images(given, RoiPool(output, float(given["spatial_scale"])), given["input"], given["rois"])
    return relax.Tuple([pooled, pooled])


def deform_conv2d(node: Any, importer: Any) -> Any:
    """Convert torchvision's `deform_conv2d`, with a mask or without."""
    from ovenbird.networks.composed.deformable import deform_conv2d as composed
    from ovenbird.operators.vision.deformable import DeformableColumns

    given = Arguments.of(node, importer)
    if given.dtype != "float32":
        raise UnsupportedOperator(f"deform_conv2d of {given.dtype}; known is float32")
    operator = DeformableColumns(
        (given.shape_of("weight")[2], given.shape_of("weight")[3]),
        (int(given["stride_h"]), int(given["stride_w"])),
        (int(given["pad_h"]), int(given["pad_w"])),
        (int(given["dilation_h"]), int(given["dilation_w"])),
        int(given["offset_groups"]),
    )
    mask = given["mask"] if given["use_mask"] else None
    return composed(given.emit, operator, given["input"], given["offset"], mask, given["weight"], given["bias"])


def padded_nms(node: Any, importer: Any) -> Any:
    """Convert `ovenbird.suppression.padded_nms(boxes, scores, iou_threshold, capacity)`."""
    from tvm import relax

    from ovenbird.operators.indexing.sort import Sort
    from ovenbird.operators.vision.suppression import Suppression
    from ovenbird.operators.writing.own import own_call

    op = relax.op
    given = Arguments.of(node, importer)
    count, capacity = given.shape_of("boxes")[0], int(given["capacity"])
    boxes = given.emit(op.reshape(given.cast(given["boxes"], "float32"), (1, count, 4)))
    scores = given.emit(op.reshape(given.cast(given["scores"], "float32"), (1, 1, count)))
    order = given.emit(relax.TupleGetItem(given.emit(own_call(Sort(2, descending=True), scores)), 1))
    operator = Suppression(
        float(given["iou_threshold"]), None, min(count, capacity), capacity, corners=True, ordered=True
    )
    found = given.emit(own_call(operator, boxes, scores, order))
    rows = given.emit(relax.TupleGetItem(found, 0))
    indices = given.emit(op.reshape(given.emit(op.strided_slice(rows, [1], [2], [3])), (capacity,)))
    kept = given.emit(op.reshape(given.emit(relax.TupleGetItem(found, 1)), ()))
    return relax.Tuple([indices, kept])


def grouped_nms(node: Any, importer: Any) -> Any:
    """Convert `ovenbird.suppression.grouped_nms(boxes, scores, groups, iou_threshold, capacity)`."""
    from tvm import relax

    from ovenbird.operators.indexing.sort import Sort
    from ovenbird.operators.vision.grouped_suppression import GroupedSuppression
    from ovenbird.operators.writing.own import own_call

    given = Arguments.of(node, importer)
    boxes, scores = given.cast(given["boxes"], "float32"), given.cast(given["scores"], "float32")
    order = given.emit(relax.TupleGetItem(given.emit(own_call(Sort(1, descending=True), scores)), 1))
    operator = GroupedSuppression(float(given["iou_threshold"]), int(given["capacity"]))
    return given.emit(own_call(operator, boxes, scores, order, given.cast(given["groups"], "int32")))


def pool_regions(node: Any, importer: Any) -> Any:
    """Convert `ovenbird.regions.pool_regions(maps, regions, levels, scales, size, samples)`."""
    from ovenbird.operators.vision.pyramid_align import PyramidAlign
    from ovenbird.operators.writing.own import own_call

    given = Arguments.of(node, importer)
    size = int(given["size"])
    operator = PyramidAlign((size, size), tuple(map(float, given["scales"])), int(given["samples"]))
    maps = [given.cast(one, "float32") for one in given["maps"]]
    regions, levels = given.cast(given["regions"], "float32"), given.cast(given["levels"], "int32")
    return given.cast(given.emit(own_call(operator, *maps, regions, levels)), given.dtype)


def find_keypoints(node: Any, importer: Any) -> Any:
    """Convert `ovenbird.regions.find_keypoints(maps, regions, limit)`."""
    from ovenbird.operators.vision.keypoints import FindKeypoints
    from ovenbird.operators.writing.own import own_call

    given = Arguments.of(node, importer)
    maps, regions = given.cast(given["maps"], "float32"), given.cast(given["regions"], "float32")
    return given.emit(own_call(FindKeypoints(int(given["limit"])), maps, regions))


SAMPLING: dict[str, Converter] = {
    "deform_conv2d.default": deform_conv2d,
    "find_keypoints.default": find_keypoints,
    "grid_sampler_2d.default": grid_sample,
    "grid_sampler_3d.default": grid_sample,
    "grouped_nms.default": grouped_nms,
    "padded_nms.default": padded_nms,
    "pool_regions.default": pool_regions,
    "roi_align.default": roi_align,
    "roi_pool.default": roi_pool,
}
