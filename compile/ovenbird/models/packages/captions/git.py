"""GIT of transformers (GitForCausalLM) as three programs: `encode`, `prefill` and `step`.

    found = load_git("git_base_textcaps", "random:7")
    found.programs.parts["step"].module          # token, position and states in; logits and new rows out

A picture's patches see each other and no text, so their keys and values are made once (`prefill`) and stay. A token
sees all of them, the tokens before it, and itself. The modules are transformers' own, called from outside; only the
step's attention is written here, so that the cache is read where it lies: a copy of it, one row longer, would take
longer than all else that a step of many sequences does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ovenbird.errors import NetworkUnreadable, WeightsUnavailable
from ovenbird.models._default_weights import require
from ovenbird.models.packages.captions.recipe import Captioner
from ovenbird.networks.files.paths import check_path
from ovenbird.networks.files.state_dicts import fit_names, read_state_dict
from ovenbird.networks.programs import ProgramPart, Programs
from ovenbird.networks.torchvision import import_torchvision
from ovenbird.networks.weights import WeightsChoice, load_strictly, parse_weights
from ovenbird_runtime.manifest.generation import Beam, Greedy, KeptState, TextLoop, Use, WordPiece
from ovenbird_runtime.manifest.manifest import WeightsInfo
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pipeline, Resize

MAX_LENGTH = 50
"""Tokens of a caption where its `generation_config.json` says nothing, as in transformers' own examples."""
STEP_BATCHES = (1, 4, 16)
"""Sequences at a time that the step is compiled for: one, a beam search's, a server's."""
ONCE_BATCHES = (1, 8)
WHOLE_ROWS = 16
"""A cache has a multiple of so many rows, floats of the widest vector: those behind the last are masked."""
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""CLIP's, which GIT's processor takes."""
SHARPNESS = 6.0
"""Standard deviation of logits with random weights, as far apart as a trained network's: no tie decides a token."""


class NewRows:
    """What a layer's attention takes for a cache: it keeps the rows that are new."""

    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the keys and values that a layer sees: its own."""
        self.keys.append(keys)
        self.values.append(values)
        return keys, values

    def states(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys [N, layers, heads, head width, rows] and values [N, layers, heads, rows, head width]."""
        return torch.stack([keys.transpose(2, 3) for keys in self.keys], 1), torch.stack(self.values, 1)


class GitEncode(nn.Module):
    """The picture's patches, as the decoder's width."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.encoder, self.projection = net.git.image_encoder.vision_model, net.git.visual_projection

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take pictures [N, 3, H, W]; return features [N, patches, width]."""
        return {"features": self.projection(self.encoder(pixel_values).last_hidden_state)}


class GitPrefill(nn.Module):
    """The patches' keys and values in all layers of the decoder."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.decoder = net.git.encoder

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take features [N, patches, width]; return the first rows of the states."""
        rows = NewRows()
        self.decoder(features, attention_mask=None, cache=rows)
        keys, values = rows.states()
        return {"image_keys": keys, "image_values": values}


class GitStep(nn.Module):
    """One token of each sequence, at its own position."""

    def __init__(self, net: Any, patches: int, capacity: int) -> None:
        super().__init__()
        self.embeddings, self.decoder, self.output = net.git.embeddings, net.git.encoder, net.output
        self.heads = int(net.config.num_attention_heads)
        self.patches = patches
        self.places: torch.Tensor
        self.register_buffer("places", torch.arange(capacity)[None], persistent=False)

    def forward(
        self, token: torch.Tensor, position: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Take tokens and positions int64 [N], and states; return logits [N, V] and the rows that are new."""
        hidden = self.embeddings(input_ids=token[:, None], position_ids=position[:, None])
        mask = torch.where(self.places < position[:, None] + self.patches, 0.0, float("-inf"))[:, None, None]
        rows = NewRows()
        for place, layer in enumerate(self.decoder.layer):
            inner = layer.attention.self
            query, key, value = (self._by_heads(one(hidden)) for one in (inner.query, inner.key, inner.value))
            rows.update(key, value, place)
            context = attend(query, key, value, keys[:, place], values[:, place], mask)
            hidden = layer.feed_forward_chunk(layer.attention.output(context.flatten(1)[:, None], hidden))
        new_keys, new_values = rows.states()
        return {"logits": self.output(hidden[:, 0]), "new_keys": new_keys, "new_values": new_values}

    def _by_heads(self, hidden: torch.Tensor) -> torch.Tensor:
        """[N, 1, width] -> [N, heads, 1, head width]."""
        return hidden.view(-1, 1, self.heads, hidden.shape[2] // self.heads).transpose(1, 2)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Attend from a token [N, heads, 1, width] to the rows of a cache, keys [N, heads, width, rows], and to itself."""
    query = query * query.shape[-1] ** -0.5
    own = (query * key).sum(-1, keepdim=True)
    weights = torch.softmax(torch.cat([query @ keys + mask, own], -1), -1)
    return weights[..., :-1] @ values + weights[..., -1:] * value


def load_git(name: str, weights: str | None) -> Captioner:
    """Return GIT as programs. Raises as `load_original`."""
    return load_original(name, weights)[1]


def load_original(name: str, weights: str | None) -> tuple[Any, Captioner]:
    """Return transformers' own GIT, and the programs whose modules are its.

    Weights are those of a folder that `save_pretrained` wrote, of a file, or random ones.

    A folder brings its configuration as well, so that any GIT of one picture is compiled from it. Raises ExtraMissing,
    WeightsError, NetworkUnreadable, UsageError.
    """
    import_torchvision()  # transformers imports it
    try:
        import transformers
    except ImportError as error:
        raise require("transformers", error) from None

    library: Any = transformers
    folder = None if weights in (None, "default") else check_path("--weights", str(weights))
    if folder is not None and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise NetworkUnreadable(f"{folder}: no config.json there; net.save_pretrained(FOLDER) writes one")
        config = library.GitConfig.from_pretrained(folder)
        weights = str(folder / "model.safetensors")
    else:
        config, folder = library.GitConfig(), None
    choice = parse_weights(weights)
    if choice is None:
        raise WeightsUnavailable(
            f"{name} brings no weights: --weights FOLDER that holds microsoft/git-base-textcaps (config.json, "
            "model.safetensors), or random:SEED"
        )
    net = new_git(library, config)
    if choice.seed is not None:
        sharpen(net, choice.seed)
        info = WeightsInfo("random", f"seed {choice.seed}: not trained", random=True, seed=choice.seed)
    else:
        assert choice.file is not None
        state, done = fit_names(read_state_dict(choice.file), net.state_dict())
        load_strictly(net, {key: one for key, one in state.items() if "position_ids" not in key}, str(choice.file))
        info = WeightsInfo("file", choice.file.name + done)
    vocabulary = _vocabulary(folder, choice, config.vocab_size)
    return net, Captioner(git_programs(net, vocabulary, _generation(folder)), info)


def new_git(library: Any, config: Any) -> Any:
    """Return a GIT of a configuration, in evaluation mode, with attention written out. Raises NetworkUnreadable."""
    if config.num_image_with_embedding is not None:
        raise NetworkUnreadable(f"GIT for {config.num_image_with_embedding} pictures (video): only one is compiled")
    config._attn_implementation = "eager"
    config.vision_config._attn_implementation = "eager"
    return library.GitForCausalLM(config).eval()


def sharpen(net: Any, seed: int) -> None:
    """Draw all weights from a seed, and spread the logits as a trained network's are: no tie decides a token."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() >= 2:
                fan_in = parameter.shape[-1] if parameter.dim() == 2 else parameter[0].numel()
                parameter.normal_(0.0, fan_in**-0.5, generator=random)
            else:
                parameter.normal_(0.0, 0.1, generator=random)
        for module in net.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5, generator=random)
            if isinstance(module, nn.Embedding):
                module.weight.normal_(0.0, 1.0, generator=random)
        net.output.weight.mul_(SHARPNESS)


def git_programs(net: Any, vocabulary: bytes, generation: Mapping[str, Any] = {}) -> Programs:
    """Return the programs of a GIT, its states, and its loop by what `generation_config.json` says."""
    config = net.config
    vision, layers, heads = config.vision_config, config.num_hidden_layers, config.num_attention_heads
    width = config.hidden_size // heads
    patches = (int(vision.image_size) // int(vision.patch_size)) ** 2 + 1
    length = min(int(generation.get("max_length") or MAX_LENGTH), config.max_position_embeddings)
    capacity = -(-(patches + length - 1) // WHOLE_ROWS) * WHOLE_ROWS
    random = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    rows = 4
    pixels = drawn(rows, vision.num_channels, vision.image_size, vision.image_size)
    tokens = torch.randint(config.vocab_size, (rows,), generator=random)
    positions = torch.tensor([0, length - 2, length // 2, 1])
    shapes = {"keys": ((layers, heads, width, capacity), 3), "values": ((layers, heads, capacity, width), 2)}
    states = {
        name: KeptState(
            "float32",
            shape,
            axis,
            reads=(Use("step", name),),
            writes=(Use("prefill", f"image_{name}"), Use("step", f"new_{name}")),
        )
        for name, (shape, axis) in shapes.items()
    }
    examples = {"token": tokens, "position": positions}
    examples |= {name: drawn(rows, *state.shape) for name, state in states.items()}
    return Programs(
        {
            "encode": ProgramPart(GitEncode(net), {"pixel_values": pixels}, _pipeline(vision.image_size), ONCE_BATCHES),
            "prefill": ProgramPart(
                GitPrefill(net), {"features": drawn(rows, patches, config.hidden_size)}, (), ONCE_BATCHES
            ),
            "step": ProgramPart(GitStep(net, patches, capacity), examples, (), STEP_BATCHES),
        },
        states,
        _loop(config, generation, length),
        {"vocabulary.txt": vocabulary},
        licence="MIT (microsoft/git-base-textcaps)",
    )


def _loop(config: Any, generation: Mapping[str, Any], length: int) -> TextLoop:
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    beams = int(generation.get("num_beams") or 1)
    search: Greedy | Beam = Greedy()
    if beams > 1:
        stopping = generation.get("early_stopping") or False
        search = Beam(beams=beams, length_penalty=float(generation.get("length_penalty", 1.0)), early_stopping=stopping)
    return TextLoop(
        once=("encode", "prefill"),
        step="step",
        token="token",
        position="position",
        logits="logits",
        begin=(config.bos_token_id,),
        end=tuple(ends),
        hidden=tuple(dict.fromkeys((config.bos_token_id, *ends, config.pad_token_id))),
        max_length=length,
        vocabulary=WordPiece(),
        search=search,
        no_repeat_ngram_size=int(generation.get("no_repeat_ngram_size") or 0),
    )


def _pipeline(side: int) -> Pipeline:
    """Return what GIT's processor does: the shorter side by a bicubic filter, the centre, CLIP's mean and spread."""
    return (
        Resize(shorter=side, interpolation="bicubic"),
        CentreCrop(size=(side, side)),
        Normalise(mean=MEAN, std=STD),
    )


def _generation(folder: Path | None) -> Mapping[str, Any]:
    path = None if folder is None else folder / "generation_config.json"
    found: Mapping[str, Any] = json.loads(path.read_bytes()) if path is not None and path.is_file() else {}
    return found


def _vocabulary(folder: Path | None, choice: WeightsChoice, size: int) -> bytes:
    """Return `vocab.txt` next to the weights; for random ones, which mean nothing, pieces that are numbers.

    Raises WeightsUnavailable.
    """
    if choice.file is None:
        return "".join(f"t{number}\n" for number in range(size)).encode()
    place = (folder or choice.file.parent) / "vocab.txt"
    if not place.is_file():
        raise WeightsUnavailable(f"weights {choice.file}: no vocab.txt next to them, the tokenizer's vocabulary")
    return place.read_bytes()
