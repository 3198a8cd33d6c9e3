"""MODEL as text: what it names, and that nothing in it is evaluated."""

import pytest

from ovenbird.errors import UsageError
from ovenbird.networks.reference import parse_keywords, parse_reference


@pytest.mark.parametrize(
    ("text", "kind", "place", "name", "model_name"),
    [
        ("resnet50", "built-in", "", "resnet50", "resnet50"),
        ("efficientnet-lite0", "built-in", "", "efficientnet-lite0", "efficientnet_lite0"),
        ("folder/Net.ONNX", "file", "", "folder/Net.ONNX", "Net"),
        ("net.pt2", "file", "", "net.pt2", "net"),
        ("mynets:build", "callable", "mynets", "build", "mynets-build"),
        ("package.nets:Net.small", "callable", "package.nets", "Net.small", "package.nets-Net.small"),
        ("my nets/a:b.py:build", "callable", "my nets/a:b.py", "build", "a-b-build"),
        ("../nets.py:build(size=320, name='x:y')", "callable", "../nets.py", "build", "nets-build-size-320-name-x-y"),
        ("torchvision:resnet18", "package", "torchvision", "resnet18", "torchvision-resnet18"),
        ("timm:resnet50.a1_in1k", "package", "timm", "resnet50.a1_in1k", "timm-resnet50.a1_in1k"),
        ("hf://google/vit-base", "package", "hf", "google/vit-base", "hf-google-vit-base"),
        ("hf:./folder", "package", "hf", "./folder", "hf-folder"),
    ],
)
def test_kinds(text: str, kind: str, place: str, name: str, model_name: str) -> None:
    found = parse_reference(text)
    assert (found.kind, found.place, found.name, found.model_name) == (kind, place, name, model_name)


def test_arguments_are_literals() -> None:
    found = parse_reference("nets:build(1, 'a(b)', [2, -3.5], size=(320, 320), deep={'a': None})", {"more": True})
    assert found.arguments.positional == (1, "a(b)", [2, -3.5])
    assert found.arguments.keywords == {"size": (320, 320), "deep": {"a": None}, "more": True}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nets:build(open('x'))", "argument 1 is no Python literal"),
        ("nets:build(size=__import__('os').getpid())", "size is no Python literal"),
        ("nets:build(*[1])", "argument 1 is no Python literal"),
        ("nets:build(**{'a': 1})", r"by \*\* are not read"),
        ("nets:build(1)(2)", "one call is expected"),
        ("nets:build(1) + f(2)", "one call is expected"),
        ("nets:build(1); f(2)", "no arguments"),
        ("nets:build(" + "[" * 5000 + ")", "no arguments"),
        ("nets:build(" + "1," * 9000 + ")", "characters, limit"),
        ("nets:build(a=1, a=2)", "a is given twice"),
        ("timm:", "a name after the colon"),
        ("", "expected a name or a file's path"),
        ("a" * 300, "300 bytes, limit 4095"),
        ("a/" * 3000 + "net.onnx", "6008 bytes, limit 4095"),
        ("net\0.onnx", "expected a name or a file's path"),
    ],
)
def test_what_is_no_literal_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_reference(text)


def test_keywords_of_the_command_line() -> None:
    pairs = ("size=320", "pre=True", "name=resnet/18", "text='a b'", "list=[1, 2]", "x=-1e-3")
    assert parse_keywords(pairs) == {
        "size": 320, "pre": True, "name": "resnet/18", "text": "a b", "list": [1, 2], "x": -1e-3
    }  # fmt: skip


@pytest.mark.parametrize("pair", ["size", "=3", "a b=3", "x=true", "x=f(1)", "x=a b", "x=" + "9" * 20_000, "x="])
def test_keywords_that_are_none(pair: str) -> None:
    with pytest.raises(UsageError, match="--arg"):
        parse_keywords((pair,))


def test_keywords_twice_and_without_a_callable() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_keywords(("a=1", "a=2"))
    with pytest.raises(UsageError, match="gives it, too"):
        parse_reference("nets:build(a=1)", {"a": 2})
    with pytest.raises(UsageError, match=r"--arg is for module:callable, 'net\.onnx' is none"):
        parse_reference("net.onnx", {"a": 2})
