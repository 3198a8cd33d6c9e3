"""GIT base (Wang et al. 2022), fine-tuned on TextCaps: microsoft/git-base-textcaps, as transformers defines it."""

from __future__ import annotations

from ovenbird.models.packages.captions.recipe import CaptionerRecipe


def _build(weights: str | None) -> object:
    from ovenbird.models.packages.captions.git import load_git

    return load_git("git_base_textcaps", weights)


MODEL = CaptionerRecipe(
    name="git_base_textcaps",
    summary="GIT base, 177 M parameters, captions of 224x224, weights by --weights FOLDER|FILE",
    licence="MIT (microsoft/git-base-textcaps)",
    detail="microsoft/git-base-textcaps of Hugging Face",
    load=_build,
)
