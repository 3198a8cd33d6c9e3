"""One compile as data: what is compiled, how, and where to. The command line and the Python API carry out the same.

request = CompileRequest("resnet50", Path("artifacts/resnet50"))
request.check()                     # what can be refused before torch and TVM are imported
report = request.carry_out()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ovenbird.artifact.packaging import check_output
from ovenbird.artifact.report import CompileReport
from ovenbird.backends.precisions import check_precisions
from ovenbird.compiling import compile_network
from ovenbird.host.symbols import read_symbols_early
from ovenbird.loading.load import load_model
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.request import check_request, name_of
from ovenbird.options import DEFAULT_OPTIONS, CompileOptions
from ovenbird.process.progress import Progress
from ovenbird.targets import load_target


@dataclass(frozen=True)
class CompileRequest:
    """What MODEL names, the artifact's folder (None: `artifacts/NAME`), and the options of both."""

    model: str
    output: Path | None = None
    network: NetworkOptions = field(default_factory=NetworkOptions)
    options: CompileOptions = DEFAULT_OPTIONS

    @property
    def folder(self) -> Path:
        """Where the artifact goes. Raises UsageError."""
        return self.output or Path("artifacts") / name_of(self.model, self.network)

    def check(self) -> list[str]:
        """Refuse what can be seen before anything heavy is imported, and return notes on what is not heeded.

        Raises UsageError, NetworkError, WeightsError, ExtraMissing, OutputError.
        """
        check_request(self.model, self.network)
        check_output(Path.cwd() / self.folder)
        return check_precisions(self.options, [load_target(name) for name in self.options.targets])

    def carry_out(self, progress: Progress | None = None) -> CompileReport:
        """Load, compile, verify and write. Raises any CompilerError; then the folder is as it was before."""
        step = progress or Progress()
        step(f"loading {self.model}")
        read_symbols_early()
        network = load_model(self.model, self.network)
        for note in network.notes:
            step(note)
        return compile_network(network, self.folder, self.options, progress)
