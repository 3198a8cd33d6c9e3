"""What the site does to pages: sections in the order of docs/README.md, and links out of docs/ as the files' names.

mkdocs calls these functions (mkdocs.yml: hooks).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
SECTIONS = {
    "Do": "how-to",
    "Look up": "reference",
    "Understand": "explanation",
    "Figures": "benchmarks",
}
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Lay out the pages: those of a folder are a section, the tutorial comes first."""
    config["nav"] = ["README.md", {"Learn": ["tutorial.md"]}]
    for title, folder in SECTIONS.items():
        pages = sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / folder).glob("*.md"))
        overview = [f"{folder}.md"] if (DOCS / f"{folder}.md").is_file() else []
        config["nav"].append({title: overview + pages})
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name a file of the repository that is no page, where a link would lead out of the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def named(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, match[2]))
        if target.startswith("docs/"):
            return match[0]
        return f"{match[1]} (`{target}`)"

    return _LINK.sub(named, markdown)
