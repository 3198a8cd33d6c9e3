"""The walk as the handlers for GPUs see it: images with the channels last, floats in one precision."""

from __future__ import annotations

from ovenbird.lowering.channels_last import ChannelsLastForm
from ovenbird.lowering.walk import Lowering


class CudaLowering(Lowering):
    """A walk whose images have their channels last."""

    form: ChannelsLastForm

    @property
    def precision(self) -> str:
        """The dtype of floats in memory, "float32" or "float16"."""
        return self.form.precision
