"""What vision networks are made of, as functions of an image, a map or tokens, and of layers given before them.

    attended = sdpa(nn.Linear(16, 48), tokens)

Sizes are taken from the tensors, as real networks do it: exporters make little programs of that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def squeeze_excite(reduce: nn.Module, expand: nn.Module, x: Tensor) -> Tensor:
    """Scale channels by what their means say."""
    return x * F.hardsigmoid(expand(F.relu(reduce(x.mean((2, 3), keepdim=True)))))


def upsampled_like(x: Tensor) -> Tensor:
    """Add a smaller map, resized to the size of the larger."""
    small = F.avg_pool2d(x, 3, 2, 1)
    return x + F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)


def window_attention(qkv: nn.Module, x: Tensor) -> Tensor:
    """Swin's: windows of 4, shifted by 2."""
    b, c, h, w = x.shape
    x = torch.roll(x.permute(0, 2, 3, 1), (-2, -2), (1, 2))
    windows = x.view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
    q, k, v = qkv(windows).reshape(-1, 16, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
    found = ((q @ k.transpose(-2, -1)) * (c // 2) ** -0.5).softmax(-1) @ v
    found = found.transpose(1, 2).reshape(b, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
    return torch.roll(found, (2, 2), (1, 2)).permute(0, 3, 1, 2)


def sdpa(qkv: nn.Module, x: Tensor) -> Tensor:
    """Attend with a mask of truth values."""
    q, k, v = qkv(x).chunk(3, -1)
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def causal(qkv: nn.Module, x: Tensor) -> Tensor:
    """Attend to what came before."""
    q, k, v = qkv(x).chunk(3, -1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def multihead(attention: nn.Module, x: Tensor) -> Any:
    """Attend, by torch's own layer."""
    return attention(x, x, x)


def vit_embedding(patches: nn.Module, x: Tensor) -> Tensor:
    """Patches, a class token, and places interpolated to the number of patches."""
    y = patches(x)
    places = F.interpolate(torch.linspace(0, 1, 9).view(1, 1, 3, 3), size=y.shape[-2:], mode="bicubic")
    tokens = (y + places).flatten(2).transpose(1, 2)
    return torch.cat([tokens.mean(1, keepdim=True).expand(x.shape[0], -1, -1), tokens], 1)


def focus(conv: nn.Module, x: Tensor) -> Tensor:
    """YOLOv5's: every second pixel, four times."""
    return conv(torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1))


def yolo_head(conv: nn.Module, x: Tensor) -> Tensor:
    """YOLOv5's decoding: anchors, a grid made of the map's own size."""
    b, _, h, w = x.shape
    y = conv(x).view(b, 3, 6, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
    rows, columns = torch.meshgrid(torch.arange(h, device=x.device), torch.arange(w, device=x.device), indexing="ij")
    grid = torch.stack((columns, rows), 2).view(1, 1, h, w, 2).float()
    anchors = torch.tensor([[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]]).view(1, 3, 1, 1, 2)
    xy, wh, rest = y.split((2, 2, 2), 4)
    return torch.cat(((xy * 2 + grid - 0.5) * 8, (wh * 2) ** 2 * anchors, rest), 4).view(b, -1, 6)


def dfl(x: Tensor) -> Tensor:
    """YOLOv8's distances: the expectation over 4 bins a side, then corners about points."""
    b, _, h, w = x.shape
    bins = x.view(b, 4, 4, h * w).transpose(2, 1).softmax(1)
    distance = (bins * torch.arange(4, dtype=torch.float32).view(1, 4, 1, 1)).sum(1)
    sx, sy = torch.arange(w, dtype=x.dtype) + 0.5, torch.arange(h, dtype=x.dtype) + 0.5
    sy, sx = torch.meshgrid(sy, sx, indexing="ij")
    points = torch.stack((sx, sy), -1).view(-1, 2).transpose(0, 1).unsqueeze(0)
    low, high = distance.chunk(2, 1)
    return torch.cat(((points - low + points + high) / 2, high + low), 1) * 8


def crnn(conv: nn.Module, rnn: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
    """Read a line of text: columns in order."""
    y = F.max_pool2d(F.relu(conv(x)), (4, 1)).flatten(1, 2).permute(2, 0, 1)
    return F.log_softmax(head(rnn(y)[0]), -1)


def with_state(rnn: nn.Module, x: Tensor) -> Tensor:
    """Run a recurrent layer from a state of zeros."""
    state = torch.zeros(rnn.num_layers * (2 if rnn.bidirectional else 1), x.shape[0], rnn.hidden_size)
    output, last = rnn(x, (state, state) if isinstance(rnn, nn.LSTM) else state)
    return output, (last[0] if isinstance(last, tuple) else last)


def assigned(x: Tensor) -> Tensor:
    """Write into slices."""
    y = x.clone()
    y[:, 0] = 1.0
    y[:, 1:, 2:5, ::2] = y[:, 1:, 1:4, ::2] * 2
    y[..., -1] += 3
    return y


def masked(x: Tensor) -> Any:
    """Choose by comparison."""
    above = x > 0.3
    return x.masked_fill(above, -1.0), torch.where(above, x, x * 0.1), above.any(1), above.all(-1), above.sum((2, 3))


def channel_shuffle(x: Tensor) -> Tensor:
    """Deal channels out to two groups."""
    b, c, h, w = x.size()
    return x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)


def embedded(table: nn.Module, x: Tensor) -> Tensor:
    """Look numbers up in a table."""
    return table((x > 0).long().sum((1, 3)) % 8)


def gathered(x: Tensor) -> Any:
    """Take and put by places."""
    flat = x.flatten(2)
    values, places = flat.topk(4, 2)
    index = torch.tensor([2, 0, 1, 1])
    return (
        values, places, flat.gather(2, places), x[:, index], torch.index_select(x, 2, index), flat.argsort(2)[..., :2],
        torch.zeros_like(flat).scatter(2, places, values),         torch.zeros(x.shape[0], 3,
        flat.shape[2]).scatter_add(2, places, values),
    )  # fmt: skip


def relative_bias(x: Tensor) -> Tensor:
    """Look Swin's biases up by how far places are apart."""
    rows = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")).flatten(1)
    place = (rows[:, :, None] - rows[:, None, :]).permute(1, 2, 0) + 3
    index = place[..., 0] * 7 + place[..., 1]
    return x[:, 0, :, :].reshape(x.shape[0], -1)[:, :49][:, index.view(-1)].view(-1, 16, 16).softmax(-1)


def deep_tree(x: Tensor) -> dict[str, Tensor]:
    """Return a dict."""
    return {"small": F.max_pool2d(x, 4), "sum": x.sum(1), "pair": x.amax((2, 3))}


def einsums(x: Tensor) -> Any:
    """Multiply along named axes."""
    flat = x.flatten(2)
    return (
        torch.einsum("bcn,bdn->bcd", flat, flat), torch.einsum("bchw,bcxw->bhx", x, x), torch.einsum("bcii->bci", x),
        torch.bmm(flat, flat.transpose(1, 2)), torch.baddbmm(torch.ones(1), flat, flat.transpose(1, 2), beta=2,
        alpha=0.5),
    )  # fmt: skip


def spatial(x: Tensor) -> Any:
    """Move an image by an affine map."""
    theta = torch.tensor([[0.8, 0.1, 0.1], [-0.2, 1.1, 0.0]]).expand(x.shape[0], 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def shifted_rows(x: Tensor) -> Any:
    """Cut, turn over and take apart."""
    h, w = x.shape[-2:]
    return x[:, :, h // 2 :], x[:, :, : h // 2, w // 2 :], x.narrow(3, 1, 4), x[..., -3:-1], x.flip(-1), x.unbind(1)[1]


def arithmetic(x: Tensor) -> Any:
    """Compute element by element."""
    whole = (x * 4).to(torch.int64)
    return (
        whole // 3, whole % 3, torch.remainder(x, 0.7), torch.fmod(x, 0.7), x.floor(), x.round(), x.sign(),
        torch.div(x, 0.3, rounding_mode="floor"), torch.div(whole, 2, rounding_mode="trunc"), (x * x + 1).rsqrt(),
        x.abs().pow(1.5), torch.maximum(x, -x), torch.lerp(x, -x, 0.3), torch.addcmul(x, x, x, value=0.1),
        torch.atan2(x, x + 2), x.clamp(-0.5, 0.5), x.clamp(min=0), torch.sigmoid(x).logit(1e-3),
        x.reciprocal().clamp(-9, 9), torch.exp2(x), torch.log1p(x.abs()), torch.expm1(x), x.square(), torch.erf(x),
    )  # fmt: skip


def reductions(x: Tensor) -> Any:
    """Reduce along axes."""
    return (
        x.var((2, 3)), x.std(1, unbiased=False), x.norm(dim=1), F.normalize(x, dim=1), x.logsumexp(1), x.prod(1),
        x.max(1).values, x.max(1).indices, x.min(-1, keepdim=True)[0], x.argmin(2), x.cumsum(3), x.mean(), x.sum(-1),
        F.cosine_similarity(x, x.flip(1), dim=1), torch.var_mean(x, (1,))[1], x.abs().amax((1, 2), keepdim=True),
        x.softmax(1), F.softmin(x, 2), F.gumbel_softmax(x, dim=1) * 0, torch.cdist(x[:, 0], x[:, 1]), x.median(-1)[0],
    )[:18]  # fmt: skip


def made(x: Tensor) -> Any:
    """Make tensors of sizes."""
    b, _, h, w = x.shape
    return (
        torch.arange(h).float() + x.mean(), torch.linspace(0, 1, 5) * x.mean(), x.new_zeros(b, 2, h) + x[:, :2, :, 0],
        torch.full((b, w), 0.5) + x[:, 0, 0], torch.ones_like(x) - x, torch.eye(3) @ x.flatten(2), x.tril(), x.triu(1),
        torch.arange(0, w, 2) + x[..., ::2], F.one_hot((x[:, 0] > 0).long(), 3), x.repeat(1, 2, 1, 1),
        x.repeat_interleave(2, 2), x.expand(b, 3, h, w), torch.stack([x, x], 1), x.unsqueeze(1).squeeze(1),
        torch.tile(x, (1, 1, 2, 1)), x.movedim(1, -1), x.view(b, -1), x.reshape(b, 3, -1, 4).transpose(1, 2),
    )  # fmt: skip


def pools(x: Tensor) -> Any:
    """Pool in the ways there are."""
    return (
        F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, ceil_mode=True), F.max_pool2d(x, 2, dilation=2, stride=1),
        F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), F.avg_pool2d(x, (2, 3), ceil_mode=True),
        F.adaptive_avg_pool2d(x, 1), F.max_pool2d(x, 2, return_indices=True)[1], F.lp_pool2d(x.abs() + 0.1, 2, 2),
    )  # fmt: skip


def resized(x: Tensor) -> Any:
    """Resize in the ways there are."""
    return (
        F.interpolate(x, scale_factor=2), F.interpolate(x, scale_factor=1.6, mode="nearest"),
        F.interpolate(x, size=(24, 9), mode="bilinear", align_corners=True), F.interpolate(x, scale_factor=0.5),
        F.interpolate(x, scale_factor=(2.0, 1.5), mode="bilinear"), F.interpolate(x, size=(11, 21), mode="bicubic"),
        F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=True),
        F.interpolate(x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True),
    )  # fmt: skip


def padded(x: Tensor) -> Any:
    """Pad in the ways there are."""
    return (
        F.pad(x, (1, 2, 3, 0)), F.pad(x, (1, 1, 2, 2), value=-1.5), F.pad(x, (1, 2, 2, 1), mode="reflect"),
        F.pad(x, (1, 2, 2, 1), mode="replicate"), F.pad(x, (-1, 2, 0, -3)), F.pad(x, (0, 0, 0, 0, 1, 1)),
        F.pad(x, (0, -x.shape[-1] % 5, 0, -x.shape[-2] % 7)),
    )  # fmt: skip
