"""Write the reference pages that come from the code, so that they cannot drift from it.

.venv/bin/python ci/steps/reference.py            # writes docs/reference/*.md, *.schema.json
.venv/bin/python ci/steps/reference.py --check    # exit 1 and names the file when one is out of date
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"ovenbird": "ovenbird.cli", "ovenbird-rt": "ovenbird_runtime.cli"}
ERRORS = {
    "The runtime's (`ovenbird_runtime.errors`)": "ovenbird_runtime.errors",
    "The compiler's (`ovenbird.errors`)": "ovenbird.errors",
}
WRITTEN = "<!-- Written by ci/steps/reference.py from the code; do not edit. -->\n"


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the reference pages that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    check = parser.parse_args().check
    stale = []
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(ROOT)}")
    if stale and check:
        print("error: run .venv/bin/python ci/steps/reference.py and commit what it writes", file=sys.stderr)
    return int(bool(stale and check))


def server_page() -> str:
    """Return the server's routes, statuses and metrics."""
    from ovenbird_runtime.serve.errors import STATUSES
    from ovenbird_runtime.serve.routes.table import ROUTES
    from ovenbird_runtime.serve.telemetry.metric_names import ALL

    lines = [WRITTEN, "# The server's routes, statuses and metrics\n"]
    lines += ["Limits are options of `ovenbird-rt serve`: see the [command line](cli.md).\n"]
    lines += ["## Routes\n", "| method | path | |", "|---|---|---|"]
    lines += [f"| {route.method} | `{route.path}` | {route.summary} |" for route in ROUTES]
    lines += [
        "\nRequests may say `X-Request-Timeout-Ms` and `X-Request-Id`; answers carry `X-Request-Id`, `Server-Timing`",
        "where a model ran, and `Retry-After` where trying again makes sense. gRPC has the id as metadata,",
        "`x-request-id`, and the log as a line's `request_id`. An error is JSON:",
        '`{"error": "...", "type": "..."}`.\n',
        "## Errors\n",
        "| error | HTTP | gRPC | |",
        "|---|---|---|---|",
    ]
    for kind, status in STATUSES.items():
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(f"| `{kind.__name__}` | {status.http} | {status.grpc} | {meaning} |")
    lines += ["\n## Metrics\n", "| name | kind | labels | |", "|---|---|---|---|"]
    for name in ALL:
        lines.append(f"| `{name.name}` | {name.kind} | {', '.join(name.labels)} | {name.help} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Return every page's path and text."""
    found = {
        ROOT / "docs/reference/cli.md": cli_page(),
        ROOT / "docs/reference/c-api.md": c_api_page(),
        ROOT / "docs/reference/errors.md": errors_page(),
        ROOT / "docs/reference/server.md": server_page(),
    }
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "ovenbird_runtime.artifact.json_schema", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for path in Path(folder).iterdir():
            found[ROOT / "artifacts" / path.name] = path.read_text(encoding="utf-8")
    return found


# -- command line ------------------------------------------------------------------------------------------------


COMPLETION = """Shells complete commands and options. Put the line into the file that your shell reads at its start:

| shell | file | line |
|---|---|---|
| bash | `~/.bashrc` | `eval "$(_OVENBIRD_COMPLETE=bash_source ovenbird)"` |
| zsh | `~/.zshrc` | `eval "$(_OVENBIRD_COMPLETE=zsh_source ovenbird)"` |
| fish | `~/.config/fish/completions/ovenbird.fish` | `_OVENBIRD_COMPLETE=fish_source ovenbird \\| source` |

For `ovenbird-rt` the variable is `_OVENBIRD_RT_COMPLETE`.
"""


def cli_page() -> str:
    """Return the page of both programs: every command, argument and option."""
    parts = [
        WRITTEN,
        "# Command line\n",
        "Exit codes of both programs: 0 good, 1 the work failed (one line on stderr says why; of `run`, a line "
        "for each image that cannot be read, and the others are answered), 2 wrong usage. "
        "No traceback is shown without `--debug`. Output that cannot be written (a full disk, a closed descriptor, a "
        "reader that has gone, which is not worth a line) is 1 as well. SIGTERM and SIGHUP end `ovenbird-rt` with 143 "
        "and 129, `ovenbird` with 1 and nothing left behind; a server has its own ways with them.\n",
        COMPLETION,
    ]
    for program, module in PROGRAMS.items():
        command = importlib.import_module(module).main
        context = click.Context(command, info_name=program)
        parts.append(f"## `{program}`\n")
        parts += [*command_part(command, context)]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None and not child.hidden:
                    parts.append(f"### `{program} {name}`\n")
                    parts += [*command_part(child, click.Context(child, info_name=name, parent=context))]
    return "\n".join(parts)


def command_part(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield one command's text: usage, help, table of options."""
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}\n"
    if command.help:
        # click marks paragraphs that must not be wrapped again with \b.
        yield inspect.cleandoc(command.help).replace("\b\n", "").strip() + "\n"
    options = [param for param in command.params if isinstance(param, click.Option)]
    rows = [option_row(record) for option in options if (record := option.get_help_record(context))]
    if rows:
        yield "| option | what |\n|---|---|\n" + "\n".join(rows) + "\n"


def option_row(record: tuple[str, str]) -> str:
    """Return one row of a table of options: its names, and what it does."""
    names, what = (" ".join(cell.split()).replace("|", "\\|") for cell in record)
    return f"| `{names}` | {what} |"


# -- errors ------------------------------------------------------------------------------------------------------


def c_api_page() -> str:
    """Return the page of the C interface: each part of `ovenbird.h`, what its comment says above its code."""
    header = (ROOT / "runtime/cpp/include/ovenbird.h").read_text(encoding="utf-8")
    intro, _, rest = header.partition("*/")
    body = rest[rest.index("#define OVENBIRD_ABI_VERSION") :].partition("\n#ifdef __cplusplus")[0]
    summary, example, more = ("\n".join(line[3:] for line in intro.splitlines()).split("\n\n") + ["", ""])[:3]
    parts = [
        WRITTEN,
        "# The C interface\n",
        f"{summary}\n",
        f"```c\n{inspect.cleandoc(example)}\n```\n",
        f"{more.strip()}\n",
    ]
    parts.append("[How to use it](../how-to/use-from-cpp.md); `ovenbird.hpp` is a thin layer over it for C++.\n")
    for block in body.strip().split("\n\n"):
        comment, code = ("", block) if not block.startswith("/*") else block[2:].split("*/", 1)
        if comment:
            parts.append(" ".join(line.strip().removeprefix("* ") for line in comment.splitlines()).strip() + "\n")
        parts.append(f"```c\n{code.strip().replace('OVENBIRD_API ', '')}\n```\n")
    return "\n".join(parts)


def errors_page() -> str:
    """Return the page of every error type, by family, with its exit code."""
    parts = [
        WRITTEN,
        "# Errors\n",
        "Every error raised on purpose is an `OvenbirdError`. Its message is one line: what is wrong, the value, the "
        "limit, the fix. The command line prints its type and its message; `--debug` adds the traceback.\n",
    ]
    for title, name in ERRORS.items():
        module = importlib.import_module(name)
        parts += [f"## {title}\n", "| error | is a | exit code | when |\n|---|---|---|---|"]
        for error in errors_of(module.__name__):
            when = inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            base = error.__mro__[1].__name__
            parts.append(f"| `{error.__name__}` | `{base}` | {getattr(error, 'exit_code', 1)} | {when} |")
        parts.append("")
    return "\n".join(parts)


def errors_of(module: str) -> list[type[Exception]]:
    """Return the error types that a module defines, in its order."""
    found = vars(importlib.import_module(module)).values()
    return [
        kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == module
    ]


if __name__ == "__main__":
    sys.exit(main())
