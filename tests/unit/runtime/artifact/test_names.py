"""A model's name: what is one, and what becomes of what is none."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird_runtime.artifact.names import check_model_name, model_name_from
from ovenbird_runtime.errors import WrongModelName


@pytest.mark.parametrize("name", ["a", "7", "resnet50", "tiny-yolov2-voc", "v1.2_b", "A" * 128, "a..b", "a-"])
def test_good_names_are_kept(name: str) -> None:
    assert check_model_name(name) == name
    assert model_name_from(name) == name
    assert quote(name, safe="") == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "a:b", "a/b", "../a", ".hidden", "_a", "-o", 'a"b', "a b", "a\n", "\na", "a\0", "é", "模型",
        "a%2Fb", "٣", "a" * 129, "a\\b", "a=b", "a?b", "a#b", "\ud800",
    ],
)  # fmt: skip
def test_no_names(name: str) -> None:
    with pytest.raises(WrongModelName) as caught:
        check_model_name(name)
    assert str(caught.value).isprintable()
    check_model_name(model_name_from(name))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("module:callable", "module-callable"),
        ("package.module:Class.method", "package.module-Class.method"),
        ("org/net", "org-net"),
        ("a : b", "a-b"),
        ("/models/net.pt2", "models-net.pt2"),
        ("../../etc", "etc"),
        ("_private", "private"),
        ("café", "cafe"),
        ("模型", "model"),
        ("", "model"),
        ("a:", "a"),
        ("x" * 127 + ":y", "x" * 127),
    ],
)
def test_names_made_from_text(text: str, name: str) -> None:
    assert model_name_from(text) == name


@given(st.text())
def test_any_text_makes_a_name(text: str) -> None:
    name = model_name_from(text)
    assert check_model_name(name) == name
    assert re.fullmatch(r"[A-Za-z0-9]\S*", name)
