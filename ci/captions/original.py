"""GIT as transformers runs it, with the weights of the artifact it is compared with.

net, programs = original_git("random:7")    # or a folder that save_pretrained wrote
"""

from __future__ import annotations

from typing import Any

from ovenbird.models.packages.captions.git import load_original


def original_git(weights: str) -> tuple[Any, Any]:
    """Return GitForCausalLM in evaluation mode, and the programs that it is compiled as, whose modules are its own."""
    net, found = load_original("git_base_textcaps", weights)
    return net, found.programs
