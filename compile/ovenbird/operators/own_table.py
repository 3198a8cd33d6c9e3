"""All operators of our own by their names in Relax.

Example: `OWN["sort"]` is `Sort`.
"""

from __future__ import annotations

from ovenbird.operators.indexing.scan import Scan
from ovenbird.operators.indexing.scatter import ScatterElements, ScatterSlices
from ovenbird.operators.indexing.sort import Sort
from ovenbird.operators.indexing.topk import TopK
from ovenbird.operators.recurrent.layer import Recurrent
from ovenbird.operators.vision.deformable import DeformableColumns
from ovenbird.operators.vision.grid_sample import GridSample
from ovenbird.operators.vision.grouped_suppression import GroupedSuppression
from ovenbird.operators.vision.keypoints import FindKeypoints
from ovenbird.operators.vision.pyramid_align import PyramidAlign
from ovenbird.operators.vision.roi_align import RoiAlign
from ovenbird.operators.vision.roi_pool import RoiPool
from ovenbird.operators.vision.suppression import Suppression
from ovenbird.operators.writing.own import OwnOperator

KINDS: tuple[type[OwnOperator], ...] = (
    DeformableColumns, FindKeypoints, GridSample, GroupedSuppression, PyramidAlign, Recurrent, RoiAlign, RoiPool, Scan,
    ScatterElements, ScatterSlices, Sort, Suppression, TopK,
)  # fmt: skip

OWN: dict[str, type[OwnOperator]] = {kind.name: kind for kind in KINDS}
