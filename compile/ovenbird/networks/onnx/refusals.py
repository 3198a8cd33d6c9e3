"""What is said of an operator that cannot be imported: its name, and what to do about it.

refusal("FusedConv", "com.microsoft.nchwc")
"""

from __future__ import annotations

from ovenbird.errors import UnsupportedOperator

TRAINING = "it trains the network; export it in evaluation mode"
TEXT = "it works on text; do that before the network"
COUNTS = "how many elements it gives depends on the values; write that part with a mask or with TopK"
BY_RUNTIME = (
    "ONNX Runtime's optimiser wrote it; give the model as it was exported, or as optimised at the level "
    "ORT_ENABLE_BASIC (GraphOptimizationLevel)"
)

HINTS = {
    **dict.fromkeys(("Adagrad", "Adam", "Gradient", "Momentum"), TRAINING),
    **dict.fromkeys(("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"), TEXT),
    **dict.fromkeys(("NonZero", "Unique"), COUNTS),
    "ImageDecoder": "pictures are decoded before the network, by the runtime; take the decoded image as input",
}
"""By the operator's name."""

MICROSOFT = "com.microsoft"
EXTENSIONS = "ai.onnx.contrib"


def refusal(operator: str, domain: str, name: str = "") -> UnsupportedOperator:
    """Return the error for an operator of a domain ("" for ONNX's own); `name`: the node's, if it has one."""
    full = f"{domain}.{operator}" if domain else operator
    what = f"{full} ({name})" if name else full
    return UnsupportedOperator(f"the operator {what} cannot be imported; {_hint(operator, domain)}")


def _hint(operator: str, domain: str) -> str:
    if domain == MICROSOFT or domain.startswith((f"{MICROSOFT}.", "com.ms.")):
        return BY_RUNTIME
    if domain == EXTENSIONS:
        return "onnxruntime-extensions have it; do that part before or after the network"
    if domain and not domain.startswith("ai.onnx"):
        return (
            f"the domain {domain} is none of ONNX's; put a function of that name into the model, or export without it"
        )
    return HINTS.get(operator, "rewrite that part of the network")
