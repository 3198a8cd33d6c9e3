"""`ovenbird compile evil.pt2`, as a session: refused in one line, nothing in it ran; honest files need no option."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support.hostile_programs import HOSTILE, SILENCED, write_honest

Sizes = dict[str, torch.Tensor]


class Nested(nn.Module):
    """Inputs in a dict and a tuple, one by keyword, one that is no tensor."""

    def forward(self, images: Sizes, pair: tuple[torch.Tensor, int], *, scale: torch.Tensor) -> Sizes:
        with torch.no_grad():
            left = images["left"].relu() * scale
        return {"sum": left + images["right"], "scaled": pair[0] * pair[1]}


@pytest.mark.parametrize("command", [["compile"], ["tune", "--trials", "1"], ["verify", "ARTIFACT", "--model"]])
def test_pickled_examples_do_not_run(ovenbird: Any, compiled: Any, tmp_path: Path, command: list[str]) -> None:
    evil, marker = tmp_path / "evil.pt2", tmp_path / "it-ran"
    write_honest(tmp_path / "net.pt2")
    HOSTILE["pickled example inputs"].write(tmp_path / "net.pt2", evil, marker)
    words = [str(compiled("networks:tokens")) if word == "ARTIFACT" else word for word in command]
    done = ovenbird(*words, evil, "-q", *([] if "verify" in words else ["-o", tmp_path / "output"]))
    assert done.code == 1
    assert done.error.startswith(f"error: NetworkUnsafe: {evil}: its example inputs are more than tensors"), done.err
    assert "--trust" in done.error
    assert not marker.exists()
    assert not (tmp_path / "output").exists()


def test_trust_is_what_runs_it(ovenbird: Any, tmp_path: Path) -> None:
    evil, marker = tmp_path / "evil.pt2", tmp_path / "it-ran"
    write_honest(tmp_path / "net.pt2")
    HOSTILE["pickled weight"].write(tmp_path / "net.pt2", evil, marker)
    done = ovenbird("compile", evil, "--trust", "-q", "-o", tmp_path / "artifact")
    assert (done.code, marker.exists()) == (1, True), done.err
    assert done.error.startswith("error: NetworkUnreadable: "), done.err


def test_guards_are_left_out(ovenbird: Any, tmp_path: Path) -> None:
    evil, marker = tmp_path / "evil.pt2", tmp_path / "it-ran"
    write_honest(tmp_path / "net.pt2")
    SILENCED["guards"].write(tmp_path / "net.pt2", evil, marker)
    done = ovenbird("compile", evil, "-q", "-o", tmp_path / "artifact")
    assert (done.code, marker.exists()) == (0, False), done.err


def test_nested_inputs_keywords_and_an_open_batch_need_no_trust(ovenbird: Any, tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    images = {"left": torch.randn(2, 5), "right": torch.randn(2, 5)}
    program = torch.export.export(
        Nested(), (images, (torch.randn(2, 3), 7)), {"scale": torch.rand(2, 5)},
        dynamic_shapes={
            "images": {"left": {0: batch}, "right": {0: batch}}, "pair": ({0: batch}, None), "scale": {0: batch}
        },
    )  # fmt: skip
    torch.export.save(program, tmp_path / "nested.pt2")
    done = ovenbird("compile", tmp_path / "nested.pt2", "--batch-sizes", "1,3", "-o", tmp_path / "artifact")
    assert done.code == 0, done.err
    assert "verified for host against torch" in done.out
    shown = ovenbird("inspect", tmp_path / "artifact")
    for line in ("images_left float32 [N, 5]", "pair_0 float32 [N, 3]", "scale float32 [N, 5]", "sum", "scaled"):
        assert line in shown.out
