"""The group of commands: finds command files, and turns every error into one line and an exit code.

error: UnknownNetwork: unknown model 'resnet51'; did you mean resnet50? ...
"""

from __future__ import annotations

import atexit
import gc
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import click

from ovenbird.host.garbage import look_seldom
from ovenbird.process.interruption import Stopped, unwind
from ovenbird_runtime.console.output import end_with_output, fails
from ovenbird_runtime.console.signals import hold_back_signals
from ovenbird_runtime.console.spellings import GuidedGroup
from ovenbird_runtime.errors import OvenbirdError, one_line

WORK_FAILED = 1
WRONG_USAGE = 2


class CommandFolder(GuidedGroup):
    """A click group whose commands are the files of a package, `cli/`."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        name: f"the runtime has it, `ovenbird-rt {name}`" for name in ("copy", "load", "selftest")
    }

    def __init__(self, *, package: str, **attributes: Any) -> None:
        """Find the commands in the folder of `package`."""
        super().__init__(**attributes)
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, sorted."""
        package = importlib.import_module(self._package)
        found = {module.name for module in pkgutil.iter_modules(package.__path__)}
        return sorted(name.replace("_", "-") for name in found)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command asked for."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Nothing here asks at a prompt, where click takes an EOFError for Ctrl-D: it is an error."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise RuntimeError(f"EOFError: {error}") from error

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run a command line; unless `standalone_mode=False`, this ends the process with 0, 1 or 2."""
        if not extra.pop("standalone_mode", True):
            return super().main(args, prog_name, standalone_mode=False, **extra)
        given = list(sys.argv[1:] if args is None else args)
        look_seldom()
        atexit.register(gc.freeze)  # to look for circles in all of torch and TVM once more would take 1.3 s
        return end_with_output(lambda: self._end(given, prog_name or "ovenbird", extra))

    def _end(self, given: list[str], prog_name: str, extra: dict[str, Any]) -> NoReturn:
        def command() -> Any:
            # not standalone for click, which would turn our exits into its own messages and codes
            return super(CommandFolder, self).main(given, prog_name, standalone_mode=False, **extra)

        try:
            if next((word for word in given if not word.startswith("-")), None) == "serve":
                hold_back_signals()  # for the server, which will take this process's place
                code = command()
            else:
                code = unwind(command)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, Stopped, click.Abort):
            print("error: interrupted; nothing was left behind", file=sys.stderr)
            sys.exit(WORK_FAILED)
        except Exception as error:
            if fails(error):
                raise
            _fail(error, debug="--debug" in given)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(error: Exception, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    kind = type(error).__name__
    if isinstance(error, OvenbirdError):
        print(f"error: {kind}: {error}", file=sys.stderr)
    else:
        text = one_line(str(error).strip().splitlines()[0] if str(error).strip() else kind)
        print(f"error: internal: {kind}: {text} (a bug; --debug shows where)", file=sys.stderr)
    sys.exit(getattr(error, "exit_code", WORK_FAILED))
