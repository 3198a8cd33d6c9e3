"""Put known faults into a copy of the repository, one at a time, and see that a test fails of each.

    make mutants                                  every fault of ci/mutation/*.toml: minutes on two cores
    make mutants FAULTS="signature winograd"      those whose name or file holds one of the words
    ci/mutation/mutate.py --check                 whether each still applies: no time
    ci/mutation/mutate.py --at-once 1 --results caught.jsonl    one at a time; faults caught there are not tried again

A fault is data: a file, text that is there exactly once, what stands in its place, the tests that must notice, chosen
as narrow as they can be. They pass without the fault, which is tried first, or being caught would say nothing.
The exit code is 1 where a fault is not caught, or where its text is no longer in the file: write it anew then.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
LIMIT_S = 600
"""A fault may make a test hang: that is noticed too."""
LIBRARIES = "runtime/ovenbird_runtime/lib"
"""TVM's runtime, which git ignores and nothing runs without."""
QUICK = "not slow and not load"
PASSED, FAILED = 0, 1  # pytest's exit codes


@dataclass(frozen=True)
class Fault:
    """`old`, found once in `file`, becomes `new`; one of `tests` (pytest's arguments) must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """`caught` by the test `by`, or not, and why."""

    fault: Fault
    caught: bool
    by: str
    seconds: float = 0.0


def read_faults(folder: Path) -> list[Fault]:
    """Read every table of faults in a folder; raise ValueError where one is incomplete or two have one name."""
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["fault"]:
            if set(one) != {"name", "file", "old", "new", "tests"} or not one["tests"]:
                raise ValueError(
                    f"{path.name}: {one.get('name')!r} needs name, file, old, new and tests, has {sorted(one)}"
                )
            faults.append(Fault(**one | {"tests": tuple(one["tests"].split())}))
    names = [fault.name for fault in faults]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two faults are named {', '.join(sorted(twice))}")
    return faults


def problem(root: Path, fault: Fault) -> str:
    """Return why a fault cannot be put into the files of `root`; nothing where it can."""
    path = root / fault.file
    if not path.is_file():
        return f"{fault.file} is gone"
    count = path.read_text(encoding="utf-8").count(fault.old)
    if count != 1:
        return f"its text is {count} times in {fault.file}, not once"
    return f"it changes nothing in {fault.file}" if fault.old == fault.new else ""


def problems(root: Path, faults: Iterable[Fault]) -> list[str]:
    """Return a line for each fault that no longer applies, or whose tests are gone."""
    found = []
    for fault in faults:
        gone = [test for test in fault.tests if "/" in test and not (root / test.partition("::")[0]).exists()]
        if why := problem(root, fault) or (f"{', '.join(gone)}: gone" if gone else ""):
            found.append(f"{fault.name}: {why}")
    return found


class Tree:
    """A copy of the repository as it is, changes that are not committed included, and the tests run in it."""

    def __init__(self, root: Path, folder: Path, environment: dict[str, str]) -> None:
        """Copy what git knows and what it does not ignore."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        if (root / LIBRARIES).is_dir():
            shutil.copytree(root / LIBRARIES, folder / LIBRARIES)
        self.folder = folder
        packages = os.pathsep.join(str(folder / name) for name in ("compile", "runtime"))
        # Byte code is told apart by size and second: a fault put in and taken out within one would be run again.
        self.environment = environment | {"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}

    def test(self, tests: Iterable[str]) -> tuple[int, str]:
        """Run tests until one fails; return pytest's exit code, and the test that failed or the last line."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", QUICK, *tests]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return FAILED, f"no end after {LIMIT_S} s"
        failed = re.search(r"^(?:FAILED|ERROR) ([^\s\[]+)", done.stdout, re.M)
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        return done.returncode, failed[1] if failed else lines[-1] if lines else ""

    def try_fault(self, fault: Fault) -> Outcome:
        """Put a fault in, run its tests, take it out."""
        if why := problem(self.folder, fault):
            return Outcome(fault, False, f"no longer applies: {why}")
        path = self.folder / fault.file
        sound, start = path.read_bytes(), time.monotonic()
        try:
            path.write_bytes(sound.decode("utf-8").replace(fault.old, fault.new).encode("utf-8"))
            code, summary = self.test(fault.tests)
        finally:
            path.write_bytes(sound)
        seconds = time.monotonic() - start
        if code in (PASSED, FAILED):
            return Outcome(fault, code == FAILED, summary if code == FAILED else "every test passes", seconds)
        return Outcome(fault, False, f"the tests cannot be run (pytest's exit code {code}): {summary}", seconds)


def sound_groups(faults: Sequence[Fault]) -> list[list[str]]:
    """Return all tests of these faults, those that may share a process together (as ci/steps/test.sh does).

    Those that options choose are a group of their own: the options are for them alone.
    """
    groups: dict[str, dict[str, None]] = {}
    for fault in faults:
        if any(word.startswith("-") for word in fault.tests):
            groups[" ".join(fault.tests)] = dict.fromkeys(fault.tests)
            continue
        for test in fault.tests:
            folder = str(Path(test.partition("::")[0]).parent) if ".py" in test else test
            name = re.sub(r"^(tests/unit/[a-z]+).*", r"\1", folder)
            groups.setdefault(name, {})[test] = None
    return [list(tests) for tests in groups.values()]


class Results:
    """A file with a line for each fault that was caught, so that a run goes on where another stopped."""

    def __init__(self, path: Path | None) -> None:
        """Read what another run caught, if there is a file."""
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.is_file() else []
        self.caught = {
            Fault(**one["fault"] | {"tests": tuple(one["fault"]["tests"])}): one for one in map(json.loads, lines)
        }

    def find(self, fault: Fault) -> Outcome | None:
        """Return the outcome of the same fault, caught by the same tests."""
        one = self.caught.get(fault)
        return one and Outcome(fault, True, one["by"], one["seconds"])

    def keep(self, outcome: Outcome) -> None:
        """Write a fault that was caught."""
        if self.path and outcome.caught:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")


def mutate(
    root: Path,
    faults: Sequence[Fault],
    environment: dict[str, str],
    at_once: int = AT_ONCE,
    results: Results | None = None,
) -> list[Outcome]:
    """Try every fault that `results` do not hold. Raises RuntimeError where a test fails without any fault."""
    results = results or Results(None)
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary, ThreadPoolExecutor(at_once) as pool:
        trees: queue.SimpleQueue[Tree] = queue.SimpleQueue()
        for index in range(at_once):
            (folder := Path(temporary) / str(index)).mkdir()
            trees.put(Tree(root, folder, environment))

        def sound(tests: list[str]) -> None:
            tree = trees.get()
            code, summary = tree.test(tests)
            trees.put(tree)
            if code != PASSED:
                raise RuntimeError(f"without any fault, {summary} (pytest's exit code {code})")

        def attempt(fault: Fault) -> Outcome:
            if known := results.find(fault):
                return known
            tree = trees.get()
            try:
                outcome = tree.try_fault(fault)
            finally:
                trees.put(tree)
            results.keep(outcome)
            print(
                f"{'caught' if outcome.caught else 'NOT CAUGHT':10} {fault.name} ({outcome.seconds:.0f} s)", flush=True
            )
            return outcome

        list(pool.map(sound, sound_groups([fault for fault in faults if not results.find(fault)])))
        return list(pool.map(attempt, faults))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a Markdown table."""
    rows = [f"| {o.fault.name} | {o.fault.file} | {'' if o.caught else '**NOT CAUGHT** '}{o.by} |" for o in outcomes]
    return "\n".join(["| fault | file | caught by |", "|---|---|---|", *rows])


def settings(folder: Path) -> dict[str, str]:
    """Return the environment of the tests: the tiny network compiled once for all, the real weights where they are."""
    tiny = folder / "tiny"
    subprocess.run(
        [sys.executable, str(ROOT / "tests/support/compile_tiny.py"), str(tiny)],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'compile'}{os.pathsep}{ROOT / 'runtime'}"},
        check=True,
    )
    data = os.environ.get("OVENBIRD_TEST_DATA", str(ROOT.parent / "shared" / "data"))
    return dict(os.environ) | {"OVENBIRD_TINY": str(tiny), "OVENBIRD_TEST_DATA": data}


def main(words: Sequence[str]) -> int:
    """Try the faults that the words choose; print the table; return the exit code."""
    parser = argparse.ArgumentParser(description="Put known faults in; see that a test fails of each.")
    parser.add_argument("words", nargs="*", help="Only faults whose name or file holds one of these words.")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="Trees, and so faults, at a time.")
    parser.add_argument("--results", type=Path, help="A file of faults that were caught, which are not tried again.")
    parser.add_argument("--check", action="store_true", help="Only look whether each fault still applies.")
    options = parser.parse_args(words)
    chosen = options.words
    faults = [
        fault
        for fault in read_faults(Path(__file__).parent)
        if not chosen or any(word.lower() in f"{fault.name} {fault.file}".lower() for word in chosen)
    ]
    if options.check:
        stale = problems(ROOT, faults)
        print("\n".join([*stale, f"{len(faults) - len(stale)} of {len(faults)} faults apply"]))
        return int(bool(stale) or not faults)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-tiny-") as temporary:
        try:
            outcomes = mutate(ROOT, faults, settings(Path(temporary)), options.at_once, Results(options.results))
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(f"\n{table(outcomes)}\n")
    caught = sum(outcome.caught for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} faults caught, in {time.monotonic() - start:.0f} s")
    return int(caught < len(outcomes) or not outcomes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
