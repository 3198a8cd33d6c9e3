"""An artifact for several image sizes: compiled, run from many threads, refused where a size is none of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from e2e.networks import OneRow, coarse, segmenter
from ovenbird.process.children import python_process
from ovenbird_runtime.artifact.artifact import open_artifact
from ovenbird_runtime.artifact.golden import golden_file
from ovenbird_runtime.manifest.manifest import Manifest
from support.tiny_artifact import reseal

Compiled = Callable[..., Path]
SIZES = ("48,32x64", "--batch-sizes", "1,4")
RUN = """
import json, sys, threading
import numpy as np, ovenbird_runtime
model = ovenbird_runtime.load(sys.argv[1], threads=2)
cases = dict(np.load(sys.argv[2]))
found, errors = {}, []
def work(names):
    for name in names:
        try:
            for output, array in model.run({"image": cases[name]}).items():
                found[f"{name}.{output}"] = array
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
groups = [list(cases)[i::4] for i in range(4)]
threads = [threading.Thread(target=work, args=(group,)) for group in groups]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
np.savez(sys.argv[3], **found)
print(json.dumps(errors))
"""


@pytest.fixture(scope="session")
def sized(compiled: Compiled) -> Path:
    return compiled("networks:segmenter", "--image-sizes", *SIZES)


@pytest.fixture(scope="session")
def net() -> torch.nn.Module:
    return segmenter()[0].eval()


def answers(net: torch.nn.Module, image: Any) -> dict[str, Any]:
    with torch.no_grad():
        return {name: tensor.numpy() for name, tensor in net(torch.from_numpy(image)).items()}


def images(*shapes: tuple[int, int, int]) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {f"case{i}": random.standard_normal((n, 3, h, w), np.float32) for i, (n, h, w) in enumerate(shapes)}


def test_the_manifest_says_which_sizes_and_what_follows_them(sized: Path) -> None:
    artifact = open_artifact(sized)
    program = artifact.manifest.program()
    assert program.image_sizes == ((48, 48), (32, 64))
    assert program.inputs[0].shape == ("N", 3, "H", "W")
    assert [spec.shape for spec in program.outputs] == [("N", 5, "H", "W"), ("N", 7), ("N", 5, "?")]
    target = artifact.read_target(artifact.manifest.variants[0])
    assert [(entry.size, entry.batch) for entry in target.entries] == [
        ((48, 48), 1), ((48, 48), 4), ((32, 64), 1), ((32, 64), 4),
    ]  # fmt: skip
    plan = artifact.read_plan(artifact.manifest.variants[0], target)
    assert plan is not None
    assert [(entry.size, entry.batch) for entry in plan.entries] == [(e.size, e.batch) for e in target.entries]
    assert {golden_file(size=size) for size in program.image_sizes} <= set(artifact.manifest.files)


def test_weights_are_stored_once(sized: Path, compiled: Compiled) -> None:
    """All sizes share what one size packs; what a size has of its own are no weights of layers."""
    one = open_artifact(compiled("networks:segmenter", "--batch-sizes", "1,4"))
    several = open_artifact(sized)

    def weights(artifact: Any) -> int:
        return sum(record.size for name, record in artifact.manifest.files.items() if name.startswith("weights/"))

    entries = several.read_target(several.manifest.variants[0]).entries
    shared = set(entries[0].weights)
    assert all(len(shared & set(entry.weights)) >= len(shared) - 2 for entry in entries)
    assert weights(several) < 1.1 * weights(one)


def test_threads_with_different_sizes_get_their_own_answers(sized: Path, net: torch.nn.Module, tmp_path: Path) -> None:
    cases = images(*[(n, *size) for n in (1, 2, 3, 4, 5, 9) for size in ((48, 48), (32, 64))] * 3)
    np.savez(tmp_path / "in.npz", **cases)
    done = python_process(["-c", RUN, str(sized), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    with np.load(tmp_path / "out.npz") as found:
        for name, image in cases.items():
            for output, right in answers(net, image).items():
                np.testing.assert_allclose(found[f"{name}.{output}"], right, atol=2e-5, err_msg=f"{name} {image.shape}")


@pytest.mark.parametrize("shape", [(1, 48, 64), (1, 47, 48), (2, 64, 32), (1, 96, 96)])
def test_another_size_is_refused_with_those_there_are(sized: Path, tmp_path: Path, shape: tuple[int, int, int]) -> None:
    np.savez(tmp_path / "in.npz", **images(shape))
    done = python_process(["-c", RUN, str(sized), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")])
    (error,) = json.loads(done.stdout)
    assert error.startswith(f"WrongShape: image has shape {(shape[0], 3, *shape[1:])}")
    assert "compiled for images of 48x48, 32x64 (height x width)" in error


def test_the_commands_know_the_sizes(sized: Path, ovenbird: Any, tmp_path: Path) -> None:
    runtime = ["-m", "ovenbird_runtime"]
    assert "sizes    48x48, 32x64" in python_process([*runtime, "inspect", str(sized)]).stdout
    assert "sizes      48x48, 32x64" in ovenbird("inspect", sized).out
    done = python_process([*runtime, "selftest", str(sized)])
    assert "4 golden rows reproduced" in done.stdout, done.stderr
    done = python_process([*runtime, "bench", str(sized), "-b", "1,4", "--image-size", "32x64,48", "--iterations", "2",
                           "--warmup", "0", "--json"])  # fmt: skip
    assert [(one["size"], one["batch"]) for one in json.loads(done.stdout)["timings"]] == [
        ([32, 64], 1), ([32, 64], 4), ([48, 48], 1), ([48, 48], 4),
    ]  # fmt: skip
    done = python_process([*runtime, "bench", str(sized), "--image-size", "50"])
    assert (done.returncode, "WrongShape: images of 50x50: the network was compiled for" in done.stderr) == (1, True)
    done = ovenbird("verify", sized, "--model", "networks:segmenter", "-q")
    assert "is its network" in done.out, done.err
    photo = Path(__file__).parents[2] / "examples" / "chelsea.png"
    for pipeline, shape in (("imagenet", (5, 48, 48)), ("imagenet-32x64", (5, 32, 64))):
        done = python_process([*runtime, "run", str(sized), str(photo), "--preprocess", pipeline])
        assert f"mask: float32 {shape}" in done.stdout, done.stderr


def spoilt(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Return what writes a manifest whose only program's JSON is changed, sealed as if nothing were."""

    def write(folder: Path) -> None:
        from support.hostile import change_manifest

        change_manifest(folder, lambda manifest: change(manifest["programs"]["main"]))

    return write


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no sizes": (lambda p: p.update(sizes=[]), "there are no image sizes"),
    "a size twice": (lambda p: p["sizes"].append(p["sizes"][0]), "two image sizes"),
    "two sizes of one shape": (lambda p: p["sizes"][1].update(inputs=p["sizes"][0]["inputs"]), "image is|same shapes"),
    "a size of one side": (lambda p: p["sizes"][1].update(size=[32]), "1 items"),
    "a size of zero": (lambda p: p["sizes"][1].update(size=[0, 64]), "expected 1 to"),
    "a size without code": (
        lambda p: p["sizes"].append({"size": [8, 8], "inputs": [["N", 3, 8, 8]],
                                     "outputs": [["N", 5, 8, 8], ["N", 7], ["N", 5, 16]]}),
        "no entry is of program main for images of 8x8",
    ),
    "a size without a shape": (lambda p: p["sizes"][1].update(outputs=[]), "0 items|has 1 inputs and 0 outputs"),
    "one output less": (lambda p: p["sizes"][1]["outputs"].pop(), "1 inputs and 2 outputs"),
    "another height": (lambda p: p["sizes"][1]["inputs"][0].__setitem__(2, 33), "image is"),
    "another rank": (lambda p: p["sizes"][1]["inputs"][0].append(1), "image is"),
    "a shape that differs where it must not": (lambda p: p["sizes"][1]["outputs"][1].__setitem__(1, 8), "logits is"),
    "a batch in the middle": (lambda p: p["sizes"][1]["outputs"][2].__setitem__(2, "N"), "places is"),
    "a huge size": (
        lambda p: (p["sizes"][1].update(size=[32768, 32768]),
                   p["sizes"][1]["inputs"][0].__setitem__(slice(2, 4), [32768, 32768]),
                   p["sizes"][1]["outputs"][0].__setitem__(slice(2, 4), [32768, 32768])),
        "GiB",
    ),
    "1,000 sizes": (lambda p: p.update(sizes=p["sizes"] * 500), "1000 items"),
    "a pipeline of no size": (
        lambda p: p["preprocess"]["pipelines"].update(imagenet=[{"step": "pad", "size": [40, 40]}]),
        "gives images of 40x40, the program takes 48x48, 32x64",
    ),
    "an open dimension without a name": (lambda p: p["inputs"][0].update(shape=["N", 3, "X", "W"]), "expected"),
    "an output for a real size that is another's": (
        lambda p: p["sizes"][1]["outputs"][2].__setitem__(2, 999), "the manifest says|outputs are",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sizes_are_refused(sized: Path, tmp_path: Path, name: str) -> None:
    import re
    import shutil

    change, why = HOSTILE[name]
    folder = tmp_path / "artifact"
    shutil.copytree(sized, folder)
    spoilt(change)(folder)
    done = python_process(["-m", "ovenbird_runtime", "selftest", str(folder)])
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert re.match(r"error: (ManifestInvalid|PlanInvalid|EngineCallFailed|SelftestFailed|WrongShape): ", line), line
    assert re.search(why, line), line


def test_a_golden_file_of_one_size_is_missed(sized: Path, tmp_path: Path) -> None:
    import dataclasses
    import shutil

    folder = tmp_path / "artifact"
    shutil.copytree(sized, folder)
    gone = golden_file(size=(32, 64))
    (folder / gone).unlink()

    def without(manifest: Manifest) -> Manifest:
        return dataclasses.replace(manifest, files={n: f for n, f in manifest.files.items() if n != gone})

    reseal(folder, without)
    done = python_process(["-m", "ovenbird_runtime", "selftest", str(folder)])
    assert f"holds no {gone}" in done.stderr


@pytest.mark.parametrize("file", ["open.pt2", pytest.param("open.onnx", marks=pytest.mark.slow)])
def test_files_with_open_sides_have_sizes(
    compiled: Compiled, network_files: Path, net: torch.nn.Module, tmp_path: Path, file: str
) -> None:
    sized = compiled(network_files / file, "--image-sizes", "48,40x24", "--batch-sizes", "1")
    cases = images((1, 48, 48), (2, 40, 24))
    np.savez(tmp_path / "in.npz", **cases)
    done = python_process(["-c", RUN, str(sized), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")])
    assert json.loads(done.stdout) == [], done.stderr
    with np.load(tmp_path / "out.npz") as found:
        for name, image in cases.items():
            if file == "open.onnx":
                right = {"places": coarse(net)(torch.from_numpy(image)).detach().numpy()}
            else:
                right = answers(net, image)
            for output, array in right.items():
                np.testing.assert_allclose(found[f"{name}.{output}"], array, atol=2e-5)


def test_a_file_with_closed_sides_is_refused_with_the_recipe(
    ovenbird: Any, network_files: Path, tmp_path: Path
) -> None:
    done = ovenbird("compile", network_files / "closed.pt2", "--image-sizes", "48,64", "-o", tmp_path / "a")
    assert done.code == 1
    assert "at 64x64: the program was exported for images of 48x48: export it with dynamic_shapes" in done.error
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("file", ["row.pt2", pytest.param("row.onnx", marks=pytest.mark.slow)])
def test_one_row_s_network_takes_any_number(ovenbird: Any, network_files: Path, tmp_path: Path, file: str) -> None:
    done = ovenbird("compile", network_files / file, "-q", "-o", tmp_path / "a")
    assert done.code == 0, done.err
    assert "rows go through one by one" in done.out
    artifact = open_artifact(tmp_path / "a")
    assert artifact.manifest.inputs[0].shape == ("N", 6)
    assert [entry.batch for entry in artifact.read_target(artifact.manifest.variants[0]).entries] == [1]
    rows = np.random.default_rng(0).standard_normal((5, 6), np.float32)
    np.savez(tmp_path / "in.npz", **{artifact.manifest.inputs[0].name: rows})
    done = ovenbird("run", tmp_path / "a", "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "out.npz") as found:
        right = np.concatenate([OneRow()(torch.from_numpy(row[None])).numpy() for row in rows])
        np.testing.assert_allclose(next(iter(found.values())), right, atol=1e-6)
