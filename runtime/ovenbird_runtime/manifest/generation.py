"""How the programs of a model make text: which run once a picture, which at every step, and what stays between calls.

    states={"keys": KeptState("float32", (6, 12, 40, 64), 2, (Use("step", "keys"),), (Use("step", "new_keys"),))}
    loop=TextLoop(once=("encode", "prefill"), step="step", search=Beam(beams=4), ...)

A **state** is a tensor of one sequence: keys and values of attention, or what an encoder made of a picture. The runtime
holds it in memory of its own, hands it to programs as it is, and puts the rows that programs return behind those that
it has; a program never returns the whole of it. So sequences at different positions share one call.

A **loop** is the search for tokens (`greedy`, `beam`) with the settings of Hugging Face's `GenerationConfig`, under its
names where they mean the same. Tokens before the first that is chosen (`begin`, then a prompt) go through the step like
all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from ..dataclass import dataclass
from ..errors import ManifestInvalid, shown
from ..limits import MAX_BEAMS, MAX_DIM, MAX_PROGRAMS, MAX_RANK, MAX_TOKENS
from .fields import Dtype, FilePath, Name, ProgramName
from .schema import Count, Range

if TYPE_CHECKING:
    from .program import Program, TensorSpec

TokenId = Annotated[int, Range(0, MAX_DIM)]


@dataclass(frozen=True)
class Use:
    """A program's tensor that is a state: an input that is all of it, or an output of rows that follow."""

    program: ProgramName
    tensor: Name


@dataclass(frozen=True)
class KeptState:
    """One tensor of a sequence that stays with the runtime between calls."""

    dtype: Dtype
    shape: Annotated[tuple[Annotated[int, Range(1, MAX_DIM)], ...], Count(1, MAX_RANK - 1)]
    """Of one sequence, without the batch."""
    axis: Annotated[int, Range(0, MAX_RANK - 2)]
    """The axis of `shape` along which rows are added; its extent is the capacity."""
    reads: Annotated[tuple[Use, ...], Count(1, MAX_PROGRAMS)]
    writes: Annotated[tuple[Use, ...], Count(1, MAX_PROGRAMS)]

    @property
    def capacity(self) -> int:
        """How many rows a sequence may have."""
        return self.shape[self.axis]


@dataclass(frozen=True)
class Greedy:
    """The most probable token at each step."""

    kind: Literal["greedy"] = "greedy"


@dataclass(frozen=True)
class Beam:
    """The best of several sequences, by their sums of log probabilities over length ** `length_penalty`."""

    kind: Literal["beam"] = "beam"
    beams: Annotated[int, Range(2, MAX_BEAMS)] = 4
    length_penalty: Annotated[float, Range(-10.0, 10.0)] = 1.0
    early_stopping: bool | Literal["never"] = False
    """true: as soon as there are as many whole sequences as beams; false: when the best open one cannot win at its
    length; "never": at no length."""


@dataclass(frozen=True)
class WordPiece:
    """BERT's vocabulary, a piece a line; `##` continues a word."""

    kind: Literal["wordpiece"] = "wordpiece"
    file: FilePath = "vocabulary.txt"
    lower_case: bool = True
    """Whether a prompt is brought to lower case and bare of accents."""


@dataclass(frozen=True)
class TextLoop:
    """The search for the tokens of a text."""

    once: Annotated[tuple[ProgramName, ...], Count(1, MAX_PROGRAMS)]
    """Run for each picture, in this order; the first takes it, others what those before them gave, by names."""
    step: ProgramName
    """Run for each token."""
    token: Name
    """Its input int64 or int32 [N]: the last token of each sequence."""
    position: Name
    """Its input int64 or int32 [N]: how many tokens came before."""
    logits: Name
    """Its output float32 [N, V]."""
    begin: Annotated[tuple[TokenId, ...], Count(1, MAX_TOKENS)]
    end: Annotated[tuple[TokenId, ...], Count(0, 16)]
    hidden: Annotated[tuple[TokenId, ...], Count(0, 1024)]
    """Tokens that no text shows: those of begin and end, of padding and others."""
    max_length: Annotated[int, Range(2, MAX_TOKENS)]
    """Tokens of a sequence, those of `begin` among them."""
    vocabulary: WordPiece
    search: Greedy | Beam = Greedy()
    no_repeat_ngram_size: Annotated[int, Range(0, MAX_TOKENS)] = 0
    """No so many tokens in a row come a second time; 0: they may."""


def check_generation(
    programs: Mapping[str, Program],
    states: Mapping[str, KeptState],
    loop: TextLoop | None,
    files: Mapping[str, object],
    where: str,
) -> None:
    """Check states and loop against the programs. Raises ManifestInvalid."""
    if loop is None:
        if states:
            raise ManifestInvalid(f"{where} has the state {shown(min(states))} and no loop that keeps it")
        return
    for name in (*loop.once, loop.step):
        if name not in programs:
            raise ManifestInvalid(f"{where}.loop names the program {shown(name)}, there are {', '.join(programs)}")
    if loop.step in loop.once or len(set(loop.once)) != len(loop.once):
        raise ManifestInvalid(f"{where}.loop runs a program in two places: {', '.join((*loop.once, loop.step))}")
    if loop.vocabulary.file not in files:
        raise ManifestInvalid(f"{where}: the vocabulary {shown(loop.vocabulary.file)} is not in the file table")
    for name, state in states.items():
        _check_state(programs, state, f"{where}.states[{shown(name)}]")
    _check_once(programs, loop, where)
    _check_step(programs, states, loop, where)


def _check_state(programs: Mapping[str, Program], state: KeptState, where: str) -> None:
    if state.axis >= len(state.shape):
        raise ManifestInvalid(f"{where} has rows along axis {state.axis}, its shape is {shown(state.shape)}")
    for uses, kind in ((state.reads, "inputs"), (state.writes, "outputs")):
        for use in uses:
            program = programs.get(use.program)
            specs = {} if program is None else {spec.name: spec for spec in getattr(program, kind)}
            if use.tensor not in specs:
                raise ManifestInvalid(f"{where}: {use.program} has no {kind[:-1]} {shown(use.tensor)}")
            spec = specs[use.tensor]
            expected: tuple[int | str, ...] = ("N", *state.shape)
            if kind == "outputs" and len(spec.shape) == len(expected):
                rows = spec.shape[1 + state.axis]
                if isinstance(rows, int) and 1 <= rows <= state.capacity:
                    expected = (*expected[: 1 + state.axis], rows, *expected[2 + state.axis :])
            if (spec.dtype, spec.shape) != (state.dtype, expected):
                raise ManifestInvalid(
                    f"{where}: {spec.name} of {use.program} is {spec.dtype} {shown(spec.shape)}, the state "
                    f"{state.dtype} {shown(expected)}"
                )


def uses_of(states: Mapping[str, KeptState], program: str, kind: Literal["reads", "writes"]) -> dict[str, str]:
    """Return the states that a program reads or writes, by its tensors' names."""
    return {
        use.tensor: name for name, state in states.items() for use in getattr(state, kind) if use.program == program
    }


def _check_once(programs: Mapping[str, Program], loop: TextLoop, where: str) -> None:
    """Check that the first program takes a picture, and that every other input is what a program before it gave."""
    first = programs[loop.once[0]].inputs
    if len(first) != 1 or not first[0].batched or len(first[0].shape) != 4 or first[0].dtype != "float32":
        raise ManifestInvalid(f"{where}.loop begins with {loop.once[0]}, which takes no batch of pictures")
    given: dict[str, TensorSpec] = {first[0].name: first[0]}
    for name in loop.once:
        program = programs[name]
        if program.sizes:
            raise ManifestInvalid(f"{where}.loop runs {name}, which takes several image sizes")
        for spec in program.inputs:
            known = given.get(spec.name)
            if known is None or (known.dtype, known.shape) != (spec.dtype, spec.shape):
                raise ManifestInvalid(f"{where}.loop: nothing before {name} gives its input {shown(spec.name)}")
        given |= {spec.name: spec for spec in program.outputs}


def _check_step(programs: Mapping[str, Program], states: Mapping[str, KeptState], loop: TextLoop, where: str) -> None:
    step = programs[loop.step]
    inputs, outputs = ({spec.name: spec for spec in specs} for specs in (step.inputs, step.outputs))
    for name in (loop.token, loop.position):
        spec = inputs.get(name)
        if spec is None or spec.shape != ("N",) or spec.dtype not in ("int32", "int64"):
            raise ManifestInvalid(f"{where}.loop: {loop.step} has no input {shown(name)} of whole numbers [N]")
    rest = set(inputs) - {loop.token, loop.position} - set(uses_of(states, loop.step, "reads"))
    if rest:
        raise ManifestInvalid(f"{where}.loop: the input {shown(min(rest))} of {loop.step} is no state")
    logits = outputs.get(loop.logits)
    if logits is None or len(logits.shape) != 2 or logits.dtype != "float32":
        raise ManifestInvalid(f"{where}.loop: {loop.step} has no output {shown(loop.logits)}, float32 [N, V]")
    large = [token for token in (*loop.begin, *loop.end, *loop.hidden) if token >= int(logits.shape[1])]
    if large:
        raise ManifestInvalid(f"{where}.loop: token {large[0]} is beyond the {logits.shape[1]} of {loop.logits}")
    if len(loop.begin) >= loop.max_length:
        raise ManifestInvalid(f"{where}.loop begins with {len(loop.begin)} tokens of at most {loop.max_length}")
    for name, state in states.items():
        written = sum(_rows(programs, state, use) for use in state.writes if use.program in loop.once)
        steps = loop.max_length - 1  # the last token is not fed
        taken = written + steps * sum(_rows(programs, state, use) for use in state.writes if use.program == loop.step)
        if taken > state.capacity:
            raise ManifestInvalid(
                f"{where}.states[{shown(name)}] holds {state.capacity} rows, {loop.max_length} tokens take {taken}"
            )


def _rows(programs: Mapping[str, Program], state: KeptState, use: Use) -> int:
    """Return how many rows a write adds."""
    spec = next(one for one in programs[use.program].outputs if one.name == use.tensor)
    return int(spec.shape[1 + state.axis])
