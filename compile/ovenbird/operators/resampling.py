"""Pre-processing in one function: resize, crop and normalise an RGB image, bit for bit as Pillow and numpy do.

    module[RESAMPLE] = resampling_kernel()        # called by ovenbird_runtime.preprocess.preprocessor
    module[LINEAR] = linear_kernel()              # the same for OpenCV's filter

Pillow resizes along rows, rounds to 8 bits, then along columns (`src/libImaging/Resample.c`); so does this, in the same
fixed-point arithmetic, but only for the window that a crop keeps, four channels or sixteen values at a time. The
weights come from the caller (`ovenbird_runtime.preprocess.resampling`); normalising is a table of 256 values a channel.
"""

from __future__ import annotations

from tvm import tirx
from tvm.script import tirx as T

from ovenbird_runtime.limits import VECTOR_BYTES
from ovenbird_runtime.preprocess.linear import LAST_SHIFT, PRODUCT_SHIFT, ROW_SHIFT
from ovenbird_runtime.preprocess.resampling import PRECISION_BITS

RESAMPLE, LINEAR = "resample_image", "resample_image_linear"
"""The functions' names in the library."""

LANES = 16
HALF = 1 << (PRECISION_BITS - 1)
LAST_HALF = 1 << (LAST_SHIFT - 1)
assert VECTOR_BYTES % LANES == 0


def resampling_kernel() -> tirx.PrimFunc:
    """Return the function of `preprocessor.ResampleKernel` in the runtime, for any size of image and window."""

    @T.prim_func  # type: ignore[untyped-decorator]
    def resample(  # type: ignore[no-untyped-def]
        image_handle: T.handle,
        x_starts_handle: T.handle,
        x_weights_handle: T.handle,
        y_starts_handle: T.handle,
        y_weights_handle: T.handle,
        table_handle: T.handle,
        flip: T.int32,
        rows_handle: T.handle,
        out_handle: T.handle,
    ):
        height, width, image_rows, image_bytes = T.int32(), T.int32(), T.int32(), T.int32()
        x_taps, y_taps, row_count, row_bytes = T.int32(), T.int32(), T.int32(), T.int32()
        image = T.match_buffer(image_handle, (image_rows, image_bytes), "uint8", align=4)
        x_starts = T.match_buffer(x_starts_handle, (width,), "int32")
        x_weights = T.match_buffer(x_weights_handle, (width, x_taps), "int32")
        y_starts = T.match_buffer(y_starts_handle, (height,), "int32")
        y_weights = T.match_buffer(y_weights_handle, (height, y_taps), "int32")
        table = T.match_buffer(table_handle, (3, 256), "float32")
        rows = T.match_buffer(rows_handle, (row_count, row_bytes), "uint8")
        out = T.match_buffer(out_handle, (3, height, width), "float32")
        # Along the rows: one pixel's four bytes at a time.
        for row in T.serial(row_count - 1):
            for x in T.serial(width):
                pixel = T.alloc_buffer((4,), "int32", scope="local")
                for channel in T.vectorized(4):
                    pixel[channel] = HALF
                for tap in T.serial(x_taps):
                    for channel in T.vectorized(4):
                        pixel[channel] = (
                            pixel[channel]
                            + T.Cast("int32", image[y_starts[0] + row, (x_starts[x] + tap) * 4 + channel])
                            * x_weights[x, tap]
                        )
                for channel in T.vectorized(4):
                    rows[row, x * 4 + channel] = T.Cast(
                        "uint8", T.max(T.min(T.shift_right(pixel[channel], PRECISION_BITS), 255), 0)
                    )
        # Along the columns into the last row of the scratch, and from there through the table into planes.
        for y in T.serial(height):
            for block in T.serial(T.ceildiv(width * 4, LANES)):
                values = T.alloc_buffer((LANES,), "int32", scope="local")
                for lane in T.vectorized(LANES):
                    values[lane] = HALF
                for tap in T.serial(y_taps):
                    for lane in T.vectorized(LANES):
                        values[lane] = (
                            values[lane]
                            + T.Cast("int32", rows[y_starts[y] - y_starts[0] + tap, block * LANES + lane])
                            * y_weights[y, tap]
                        )
                for lane in T.vectorized(LANES):
                    rows[row_count - 1, block * LANES + lane] = T.Cast(
                        "uint8", T.max(T.min(T.shift_right(values[lane], PRECISION_BITS), 255), 0)
                    )
            for x in T.serial(width):
                for channel in T.unroll(3):
                    out[T.abs(flip - channel), y, x] = table[
                        channel, T.Cast("int32", rows[row_count - 1, x * 4 + channel])
                    ]

    return resample.with_attr("global_symbol", RESAMPLE).with_attr("tirx.noalias", True)


def linear_kernel() -> tirx.PrimFunc:
    """Return the function for OpenCV's `INTER_LINEAR`: as `resampling_kernel`, of the four pixels around each place
    (`ovenbird_runtime.preprocess.linear`). `rows` is int32 [3, a row of pixels in whole vectors].
    """

    @T.prim_func  # type: ignore[untyped-decorator]
    def resample(  # type: ignore[no-untyped-def]
        image_handle: T.handle,
        x_places_handle: T.handle,
        x_weights_handle: T.handle,
        y_places_handle: T.handle,
        y_weights_handle: T.handle,
        table_handle: T.handle,
        flip: T.int32,
        rows_handle: T.handle,
        out_handle: T.handle,
    ):
        height, width, image_rows, image_bytes, row_ints = T.int32(), T.int32(), T.int32(), T.int32(), T.int32()
        image = T.match_buffer(image_handle, (image_rows, image_bytes), "uint8", align=4)
        x_places = T.match_buffer(x_places_handle, (width, 2), "int32")
        x_weights = T.match_buffer(x_weights_handle, (width, 2), "int32")
        y_places = T.match_buffer(y_places_handle, (height, 2), "int32")
        y_weights = T.match_buffer(y_weights_handle, (height, 2), "int32")
        table = T.match_buffer(table_handle, (3, 256), "float32")
        rows = T.match_buffer(rows_handle, (3, row_ints), "int32")
        out = T.match_buffer(out_handle, (3, height, width), "float32")
        for y in T.serial(height):
            for tap in T.serial(2):
                for x in T.serial(width):
                    for channel in T.vectorized(4):
                        rows[tap, x * 4 + channel] = T.shift_right(
                            T.Cast("int32", image[y_places[y, tap], x_places[x, 0] * 4 + channel]) * x_weights[x, 0]
                            + T.Cast("int32", image[y_places[y, tap], x_places[x, 1] * 4 + channel]) * x_weights[x, 1],
                            ROW_SHIFT,
                        )
            for block in T.serial(T.ceildiv(width * 4, LANES)):
                for lane in T.vectorized(LANES):
                    rows[2, block * LANES + lane] = T.shift_right(
                        T.shift_right(rows[0, block * LANES + lane] * y_weights[y, 0], PRODUCT_SHIFT)
                        + T.shift_right(rows[1, block * LANES + lane] * y_weights[y, 1], PRODUCT_SHIFT)
                        + LAST_HALF,
                        LAST_SHIFT,
                    )
            for x in T.serial(width):
                for channel in T.unroll(3):
                    out[T.abs(flip - channel), y, x] = table[channel, rows[2, x * 4 + channel]]

    return resample.with_attr("global_symbol", LINEAR).with_attr("tirx.noalias", True)
