"""Time a detector in several engines in one process, in blocks of calls in turn; from photographs, and the network.

    python ci/detectors/timing.py REQUEST.json          # as trying.py writes it; prints one line of JSON

A time is the median of the blocks' shortest calls. With one thread it is the processor's, which says the same on a
machine with other work; with more threads it is the clock's, and nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PAUSE_SECONDS = 0.02
"""The pause between two engines' blocks: threads of the others stop waiting."""
CANDIDATES = 300
"""With random weights, whose scores mean nothing: so many are above the score that is asked for."""
ERROR = 1e-3
"""By which scores may differ from the artifact's."""
OWN, NATIVE = "ovenbird", "ovenbird-native"
"""The runtime in Python, and the one in C++ where its package is installed: it answers from a JPEG by itself."""
Calls = dict[str, Callable[[Any], Any]]


def main(arguments: Sequence[str]) -> int:
    """Time and print."""
    given = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given["threads"] :])
    photos = [path.read_bytes() for path in sorted(Path(given["photos"]).iterdir()) if path.suffix == ".jpg"]
    timed = Timed(given, photos)
    clock = time.process_time if given["threads"] == 1 else time.perf_counter
    what, effort = given["what"], (given["rounds"], given["seconds"])
    if what == "end_to_end":
        found = {what: blocks(timed.whole(), photos, clock, *effort), "photos": len(photos)}
        found |= {"score": timed.settings.score, "boxes": timed.boxes}
    else:
        batch = int(what.removeprefix("batch_"))
        found = {what: blocks(timed.networks(batch), [timed.tensor(batch)], clock, *effort)}
    found[f"missing_{what}"] = timed.missing
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # some engines' threads take seconds to end


class Timed:
    """The engines of a detector; `missing` has the reason for each that is left out."""

    def __init__(self, given: Mapping[str, Any], photos: Sequence[bytes]) -> None:
        import numpy as np  # only now: its libraries count the processors when they are loaded
        from peer import Settings, tensor_of

        from ovenbird.benchmarking.engines.own import runtime

        self._given, self.missing = given, {}  # type: dict[str, Any], dict[str, str]
        self._model = runtime().load(Path(given["artifact"]), threads=given["threads"])
        [step] = self._model.manifest.postprocess
        preprocess = self._model.manifest.preprocess
        self._steps = preprocess.pipelines[preprocess.default]
        self._one = tensor_of(photos[0], self._steps)[0]
        score = step.score
        if self._model.manifest.model.weights.random:
            scores = np.sort(self._model.run({"image": self._one})["scores"][0])
            score = max(float(scores[-min(CANDIDATES, len(scores))]), 0.0)
        self._output = step.output
        labels = next(iter(self._model.labels.values()), ())
        self.settings, self._photos = Settings(score, step.iou, step.max_boxes, labels), photos
        self.boxes: dict[str, list[int]] = {}

    def whole(self) -> Calls:
        """Return what gives a photograph's boxes; note in `boxes` how many of each."""
        score = self.settings.score
        found: Calls = {OWN: lambda jpeg: self._model.predict(jpeg, score=score)[0].boxes}
        found |= {name: self._around(run) for name, run in self.networks(1).items() if name != OWN}
        if (native := self._native()) is not None:
            found[NATIVE] = lambda jpeg: native.predict(jpeg, score=score)[0]["boxes"][self._output]
        if files := self._given["darknet"]:
            found["cv2.dnn"] = self._darknet(files)
        self.boxes = {name: [len(call(photo)) for photo in self._photos] for name, call in found.items()}
        return found

    def _native(self) -> Any:
        """Return the model in the C++ runtime; None where that is not installed, or cannot run it."""
        try:
            import ovenbird_native

            return ovenbird_native.load(self._given["artifact"], threads=self._given["threads"])
        except Exception as error:  # noqa: BLE001 - as of peers: the others are timed
            self.missing[NATIVE] = str(error).strip().splitlines()[0][:200]
            return None

    def _around(self, run: Callable[[Any], Any]) -> Callable[[bytes], Any]:
        """Return what its users write around a peer's network."""
        from peer import boxes_of, tensor_of

        def ask(jpeg: bytes) -> Any:
            tensor, back = tensor_of(jpeg, self._steps)
            return boxes_of(run(tensor), back, self.settings)

        return ask

    def _darknet(self, files: Sequence[str]) -> Callable[[bytes], Any]:
        from opencv_darknet import OpenCVDarknet

        net = OpenCVDarknet(Path(files[0]), Path(files[1]), self._one.shape[2:], self._given["threads"])
        return lambda jpeg: net.boxes(jpeg, self.settings)

    def networks(self, batch: int) -> Calls:
        """Return what runs the network alone, its decoding with it, for tensors of this batch."""
        import numpy as np

        from ovenbird.benchmarking.engines import find_engine
        from ovenbird.benchmarking.jobs import Job, onnx_file

        folder, tensor = Path(self._given["folder"]), self.tensor(batch)
        right, names = self._model.run({"image": tensor})["scores"], [spec.name for spec in self._model.outputs]
        found: Calls = {OWN: lambda value: self._model.run({"image": value})}
        for name in self._given["peers"]:
            try:
                engine = find_engine(name)
                if engine.needs == "onnx" and not onnx_file(folder, batch).is_file():
                    continue  # its reason is in network.json
                engine.load()
                start = engine.start(Job(name, str(folder), batch, self._given["threads"]))

                def run(value: Any, start: Any = start) -> Any:
                    return dict(zip(names, start({"image": value}).values(), strict=True))  # each spells them its way

                error = float(np.abs(np.sort(run(tensor)["scores"]) - np.sort(right)).max())
                if not error < ERROR:
                    raise ValueError(f"its scores differ by {error:.0e}")
                found[name] = run
            except Exception as error:  # noqa: BLE001 - whatever a peer raises, the others are timed
                self.missing[f"{name}, batch {batch}"] = str(error).strip().splitlines()[0][:200]
        return found

    def tensor(self, batch: int) -> Any:
        """Return the first photograph, as often as asked for."""
        import numpy as np

        return np.ascontiguousarray(np.repeat(self._one, batch, axis=0))


def blocks(
    calls: Calls, values: Sequence[Any], clock: Callable[[], float], rounds: int, seconds: float
) -> dict[str, Any]:
    """Return milliseconds of each engine, and each one's ratio of ours to it with its quartiles, paired by block of so
    many seconds, of which each engine has one a round; in `native` the ratio of ours in C++, where that is timed.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in sorted(calls, reverse=bool(turn % 2)):
            time.sleep(PAUSE_SECONDS)
            taken[name].append(_shortest(calls[name], values[turn % len(values)], clock, seconds))
    found: dict[str, Any] = {}
    for name, times in taken.items():
        found[name] = {"ms": statistics.median(times) * 1e3}
        if name != OWN:
            ratios = [own / other for own, other in zip(taken[OWN], times, strict=True)]
            found[name] |= dict(zip(("low", "ratio", "high"), statistics.quantiles(ratios, n=4), strict=True))
            if NATIVE in taken and name != NATIVE:
                found[name]["native"] = statistics.median(
                    own / other for own, other in zip(taken[NATIVE], times, strict=True)
                )
    return found


def _shortest(call: Callable[[Any], Any], value: Any, clock: Callable[[], float], seconds: float) -> float:
    shortest, end = float("inf"), clock() + seconds
    while True:
        start = clock()
        call(value)
        now = clock()
        shortest = min(shortest, now - start)
        if now > end:
            return shortest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
