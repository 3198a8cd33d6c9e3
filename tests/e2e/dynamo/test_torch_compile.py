"""`torch.compile(backend="ovenbird")` answers as torch does, whatever a program does with its module."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ovenbird
from ovenbird.dynamo.backend import backend
from ovenbird.dynamo.compiled import LIVE

CLOSE = 1e-5


class Net(nn.Module):
    """Works in place, and returns a view of a result and its own input."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * 36, 4)
        self.eval()

    def forward(self, image: torch.Tensor, *, gain: float = 2.0) -> dict[str, torch.Tensor]:
        found = self.norm(self.conv(image)).relu_() * gain
        flat = found.flatten(1)
        return {"map": found, "flat": flat, "logits": self.head(flat), "image": image}


class Halved(Net):
    """The same, in two graphs."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        found = self.norm(self.conv(image))
        torch._dynamo.graph_break()
        answer: torch.Tensor = self.head(found.relu().flatten(1))
        return answer


def compiled(net: nn.Module | Callable[..., Any], **options: Any) -> Any:
    return torch.compile(net, backend=backend, **options)


def graphs() -> list[Any]:
    """Return the graphs that run compiled code at the moment."""
    return [graph for graph in LIVE if graph.loaded is not None]


@contextmanager
def all_compiled() -> Iterator[None]:
    """Fail where a graph is left to torch."""
    before = set(graphs())
    with warnings.catch_warnings():
        warnings.simplefilter("error", ovenbird.EagerFallback)
        yield
    assert set(graphs()) - before, "nothing was compiled"


def assert_alike(given: Any, right: Any) -> None:
    """Compare two answers: numbers, and how they lie in memory."""
    if isinstance(right, dict):
        assert given.keys() == right.keys()
        for name, tensor in right.items():
            assert_alike(given[name], tensor)
        return
    assert (given.shape, given.dtype, given.stride()) == (right.shape, right.dtype, right.stride())
    torch.testing.assert_close(given, right, rtol=1e-4, atol=CLOSE)


def test_dicts_keywords_views_and_work_in_place() -> None:
    net, image = Net(), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), all_compiled():
        found = compiled(net)(image, gain=2.0)
        assert_alike(found, net(image, gain=2.0))
        assert found["image"] is image
        found["flat"].fill_(7.0)
        assert bool((found["map"] == 7.0).all()), "a view of a result shares its memory, as in torch"


@pytest.mark.parametrize("layout", [pytest.param("channels_last", marks=pytest.mark.slow), "transposed", "sliced"])
def test_inputs_may_lie_anyhow_in_memory(layout: str) -> None:
    net, image = Net(), torch.randn(2, 3, 8, 8)
    given = {
        "channels_last": image.to(memory_format=torch.channels_last),
        "transposed": image.transpose(2, 3).contiguous().transpose(2, 3),
        "sliced": torch.cat([image, image], 3)[..., :8],
    }[layout]
    with torch.no_grad(), all_compiled():
        assert_alike(compiled(net)(given, gain=2.0), net(given, gain=2.0))


def test_inference_mode() -> None:
    net, image = Net(), torch.randn(2, 3, 8, 8)
    with torch.inference_mode(), all_compiled():
        assert_alike(compiled(net)(image, gain=2.0), net(image, gain=2.0))


def test_changed_weights_are_seen() -> None:
    net, other, image = Net(), Net(1), torch.randn(2, 3, 8, 8)
    first = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    second = other.state_dict()
    call = compiled(net)

    def written() -> None:
        for name, tensor in net.state_dict().items():
            tensor.copy_(second[name])

    def hidden() -> None:
        for name, tensor in net.named_parameters():
            tensor.data.copy_(first[name])

    def replaced() -> None:
        for name, _ in list(net.named_parameters()):
            place, _, leaf = name.rpartition(".")
            setattr(net.get_submodule(place), leaf, nn.Parameter(first[name].clone()))

    with torch.no_grad():
        call(image)
        for change in (written, hidden, lambda: net.load_state_dict(second), replaced):
            before = net(image)["logits"]
            change()
            right = net(image)
            assert not torch.allclose(before, right["logits"], atol=1e-2)
            with warnings.catch_warnings():
                warnings.simplefilter("error", ovenbird.EagerFallback)
                assert_alike(call(image), right)


def test_gradients_are_torch_s_own() -> None:
    net, image = Net(), torch.randn(2, 3, 8, 8)
    call = compiled(net)
    with pytest.warns(ovenbird.EagerFallback, match="gradients are on, and 6 of its"):
        call(image)["logits"].sum().backward()
    assert net.conv.weight.grad is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(image)  # it is said once
    with torch.no_grad(), all_compiled():
        assert_alike(call(image), net(image))


@pytest.mark.slow
def test_any_batch() -> None:
    """From the second batch size on, Dynamo leaves the size open; code for one row and for as many runs all."""
    net, call = Net(), compiled(Net())
    with torch.no_grad(), all_compiled():
        for rows in (2, 3, 5, 7):
            image = torch.randn(rows, 3, 8, 8)
            assert_alike(call(image), net(image))
    assert len(graphs()) == 2


@pytest.mark.slow
def test_rows_that_mix_are_torch_s_own_in_any_batch() -> None:
    class Centred(Net):
        def forward(self, image: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            answer: torch.Tensor = self.head(self.conv(image - image.mean(0)).flatten(1))
            return answer

    net, call = Centred(), compiled(Centred())
    with torch.no_grad():
        with all_compiled():
            assert_alike(call(torch.ones(2, 3, 8, 8)), net(torch.ones(2, 3, 8, 8)))
        image = torch.randn(3, 3, 8, 8)
        with pytest.warns(ovenbird.EagerFallback, match=r"its batch is open \(dynamic\), but"):
            assert_alike(call(image), net(image))


@pytest.mark.slow
def test_graph_breaks() -> None:
    net, image = Halved(), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), all_compiled():
        call = compiled(net)
        assert_alike(call(image), net(image))
    with pytest.raises(ovenbird.errors.UsageError, match="was compiled in 2 graphs"):
        ovenbird.export(call, "nowhere")


def training() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return Net().train(), (torch.randn(2, 3, 8, 8),)


def writing() -> tuple[Any, tuple[torch.Tensor, ...]]:
    def call(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        image.mul_(2)
        return torch.nn.functional.conv2d(image, weight).relu()

    return call, (torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3))


def doubles() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return nn.Linear(4, 2).double().eval(), (torch.randn(1, 4, dtype=torch.float64),)


def numbers() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return nn.Embedding(10, 4).eval(), (torch.tensor([[1, 2, 9]]),)


def overlapping() -> tuple[Any, tuple[torch.Tensor, ...]]:
    def call(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = (image * 2 + 1).relu()
        return found[:, :3], found[:, 1:]

    return call, (torch.randn(2, 4),)


def random() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.ReLU()).train(), (torch.zeros(1, 4),)


class Attention(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line, self.dropout = nn.Linear(8, 24), dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        queries, keys, values = self.line(x).chunk(3, dim=-1)
        return nn.functional.scaled_dot_product_attention(queries, keys, values, dropout_p=self.dropout)


def dropping() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return Attention(0.5), (torch.randn(1, 2, 5, 8),)


def small() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return lambda x: x + 1, (torch.randn(3),)


def view_as_integers() -> tuple[Any, tuple[torch.Tensor, ...]]:
    return lambda x: ((x * 2 + 1).relu(), x.view(torch.int32)), (torch.randn(3),)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (training, "it writes to "),
        (writing, "it writes to 1 of its tensors"),
        (doubles, "is torch.float64, expected torch.float32 or torch.float16"),
        (numbers, "is torch.int64, expected"),
        (overlapping, "two of its results share memory in part"),
        (random, "it draws random numbers"),
        (dropping, "it draws random numbers"),
        (small, "it has 1 operators and no weights"),
        (view_as_integers, "a result is a view of another dtype"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_left_to_torch_is_said_and_right(case: Callable[[], Any], why: str) -> None:
    torch.manual_seed(0)
    net, inputs = case()
    copies = [tensor.clone() for tensor in inputs]
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()} if isinstance(net, nn.Module) else {}
    with torch.no_grad():
        torch.manual_seed(1)
        with pytest.warns(ovenbird.EagerFallback, match=why):
            found = compiled(net)(*inputs)
        after = {name: tensor.clone() for name, tensor in net.state_dict().items()} if state else {}
        if state:
            net.load_state_dict(state)
        torch.manual_seed(1)
        right = net(*copies)
    torch.utils._pytree.tree_map(torch.testing.assert_close, found, right)
    for given, expected in zip(inputs, copies, strict=True):
        torch.testing.assert_close(given, expected)  # what a graph writes to its inputs is written
    for name, tensor in after.items():
        torch.testing.assert_close(tensor, net.state_dict()[name])


def test_attention_without_dropout_draws_nothing() -> None:
    net, x = Attention().eval(), torch.randn(1, 2, 5, 8)
    with torch.no_grad(), all_compiled():
        assert_alike(compiled(net)(x), net(x))


def test_an_operator_that_the_compiler_lacks(cache: Path) -> None:
    class Values(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svd(x.relu() + 1)[1] * 2

    x = torch.randn(4, 6)
    with torch.no_grad():
        for _ in range(2):  # the second reads what the first found out
            torch.compiler.reset()
            ovenbird.dynamo.reporting.forget()
            with pytest.warns(ovenbird.EagerFallback, match="UnsupportedOperator: "):
                assert_alike(compiled(Values())(x), Values()(x))
    assert any("UnsupportedOperator" in path.read_text() for path in (cache / "graphs").glob("*.refused"))


@pytest.mark.slow
def test_half_precision_is_held_to_its_rounding() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).half().eval()
    image = torch.randn(1, 3, 8, 8).half()
    with torch.no_grad(), all_compiled():
        found = compiled(net)(image)
    assert found.dtype == torch.float16
    with torch.no_grad():
        right = net.float()(image.float())
    assert float((found.float() - right).abs().max()) < 5e-3


def test_several_threads() -> None:
    net, images = Net(), [torch.randn(2, 3, 8, 8) for _ in range(4)]
    call, wrong = compiled(net), []
    with torch.no_grad():
        rights = [net(image)["logits"] for image in images]
        call(images[0])

    def work(place: int) -> None:
        with torch.no_grad():
            for _ in range(50):
                if not torch.allclose(call(images[place])["logits"], rights[place], atol=CLOSE):
                    wrong.append(place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_artifact_of_what_was_compiled(tmp_path: Path) -> None:
    import ovenbird_runtime

    net, image = Net(), torch.randn(2, 3, 8, 8)
    call = compiled(net)
    with pytest.raises(ovenbird.errors.UsageError, match="no compiled graph"):
        ovenbird.export(call, tmp_path / "net")
    with torch.no_grad():
        call(image)
        right = net(image)
    with ovenbird_runtime.load(ovenbird.export(call, tmp_path / "net")) as model:
        (spec,) = model.inputs
        found = model.run({spec.name: image.numpy()})
    assert any(torch.allclose(torch.from_numpy(array), right["map"], atol=CLOSE) for array in found.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tune": True}, "there is no 'tune', only threads"),
        ({"threads": 0}, "threads is 0, expected a whole number from 1 to 1024"),
        ({"threads": "two"}, "threads is 'two', expected a whole number"),
        ({"check_weights": 1}, "check_weights is 1, expected True or False"),
    ],
)
def test_options_that_there_are_not(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words), torch.no_grad():
        compiled(Net(), options=options)(torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder, monkeypatch: monkeypatch.setenv("OVENBIRD_REQUIRE_SIGNATURE", "key.pem"), "is not signed"),
        (lambda folder, monkeypatch: folder.chmod(0o777), "open to all for writing"),
    ],
    ids=["signature", "writable"],
)
def test_code_that_others_may_have_written_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None], why: str
) -> None:
    (tmp_path / "graphs").mkdir()
    monkeypatch.setenv("OVENBIRD_CACHE", str(tmp_path))
    change(tmp_path / "graphs", monkeypatch)
    net, image = Net(), torch.randn(2, 3, 8, 8)
    with torch.no_grad(), pytest.warns(ovenbird.EagerFallback, match=why):
        assert_alike(compiled(net)(image), net(image))
    assert not list((tmp_path / "graphs").iterdir())
