"""The operators that vision networks use, as torch's own test samples (`OpInfo`) name them, by family."""

from __future__ import annotations

FAMILIES: dict[str, str] = {
    "arithmetic": """
        abs add addcdiv addcmul atan2 bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
        bitwise_xor ceil clamp clamp_max clamp_min copysign div.floor_rounding div.no_rounding_mode div.trunc_rounding
        eq exp exp2 expm1 float_power floor floor_divide fmax fmin fmod frac ge gt heaviside hypot isclose isfinite
        isinf isnan le lerp log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor lt
        max.binary maximum min.binary minimum mul nan_to_num ne neg positive pow reciprocal remainder round
        round.decimals_0 round.decimals_3 rsqrt rsub sgn sign signbit sqrt square sub true_divide trunc where xlogy
        __radd__ __rdiv__ __rmul__ __rpow__ __rsub__ __rmod__""",
    "functions": """
        acos acosh asin asinh atan atanh cos cosh deg2rad erf erfc logit rad2deg sigmoid sin sinc sinh tan tanh""",
    "dtypes": "bool byte char double float half int long short to",
    "activations": """
        nn.functional.celu nn.functional.elu nn.functional.gelu nn.functional.glu nn.functional.hardshrink
        nn.functional.hardsigmoid nn.functional.hardswish nn.functional.hardtanh nn.functional.leaky_relu
        nn.functional.logsigmoid nn.functional.mish nn.functional.prelu nn.functional.relu nn.functional.relu6
        nn.functional.selu nn.functional.silu nn.functional.softmin nn.functional.softplus nn.functional.softshrink
        nn.functional.softsign nn.functional.tanhshrink nn.functional.threshold softmax log_softmax""",
    "reductions": """
        all amax amin aminmax any argmax argmin count_nonzero cumprod cumsum logsumexp max.reduction_no_dim
        max.reduction_with_dim mean min.reduction_no_dim min.reduction_with_dim norm norm.fro norm.inf prod std
        std.unbiased std_mean sum trace var var.unbiased var_mean linalg.norm linalg.vector_norm linalg.matrix_norm""",
    "products": """
        addbmm addmm addmv addr baddbmm bmm dot einsum inner kron matmul mm mv nn.functional.bilinear
        nn.functional.linear outer tensordot linalg.multi_dot linalg.cross cross cdist nn.functional.cosine_similarity
        nn.functional.pairwise_distance dist""",
    "making": """
        arange eye full full_like linspace logspace new_full new_ones new_zeros ones ones_like scalar_tensor
        zeros zeros_like tril_indices triu_indices""",
    "moving": """
        as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to cat chunk clone
        column_stack constant_pad_nd contiguous diag diag_embed diagonal diff dsplit dstack expand expand_as flatten
        flip fliplr flipud hsplit hstack meshgrid.list_of_tensors movedim narrow permute ravel repeat repeat_interleave
        reshape reshape_as roll rot90 select slice split split.list_args split_with_sizes squeeze squeeze.multiple stack
        t tensor_split tile transpose tril triu unbind unflatten unfold unsqueeze view view_as vsplit vstack""",
    "indexing": """
        __getitem__ bucketize gather index_add index_copy index_fill index_put index_select isin masked_fill
        masked_scatter nn.functional.embedding nn.functional.one_hot put scatter scatter_add scatter_reduce.amax
        scatter_reduce.amin scatter_reduce.mean scatter_reduce.prod scatter_reduce.sum searchsorted select_scatter
        slice_scatter diagonal_scatter take take_along_dim""",
    "sorting": "argsort kthvalue median msort quantile sort topk",
    "pooling": """
        nn.functional.adaptive_avg_pool1d nn.functional.adaptive_avg_pool2d nn.functional.adaptive_avg_pool3d
        nn.functional.adaptive_max_pool1d nn.functional.adaptive_max_pool2d nn.functional.adaptive_max_pool3d
        nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.max_pool1d
        nn.functional.max_pool2d nn.functional.max_pool3d nn.functional.max_unpool1d nn.functional.max_unpool2d
        nn.functional.max_unpool3d""",
    "convolutions": """
        nn.functional.conv1d nn.functional.conv2d nn.functional.conv3d nn.functional.conv_transpose1d
        nn.functional.conv_transpose2d nn.functional.conv_transpose3d nn.functional.unfold""",
    "normalizations": """
        native_group_norm native_layer_norm nn.functional.batch_norm nn.functional.group_norm
        nn.functional.instance_norm nn.functional.layer_norm nn.functional.local_response_norm nn.functional.normalize
        nn.functional.rms_norm renorm""",
    "resizing": """
        _upsample_bilinear2d_aa grid_sampler_2d grid_sampler_3d nn.functional.channel_shuffle
        nn.functional.grid_sample nn.functional.interpolate.area nn.functional.interpolate.bicubic
        nn.functional.interpolate.bilinear nn.functional.interpolate.linear nn.functional.interpolate.nearest
        nn.functional.interpolate.nearest-exact nn.functional.interpolate.trilinear nn.functional.pad.circular
        nn.functional.pad.constant nn.functional.pad.reflect nn.functional.pad.replicate
        nn.functional.pad.replicate_negative nn.functional.pixel_shuffle nn.functional.pixel_unshuffle
        nn.functional.upsample_bilinear nn.functional.upsample_nearest""",
    "attention": "nn.functional.scaled_dot_product_attention nn.functional.multi_head_attention_forward",
}


def names(families: list[str]) -> list[tuple[str, str]]:
    """Return (family, operator) of the families asked for, all of them where none is."""
    return [(family, name) for family in families or FAMILIES for name in FAMILIES[family].split()]
