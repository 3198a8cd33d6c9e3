"""What a prediction request holds, in whichever of three forms it came: raw image, multipart, JSON.

form = read_form(request, limits)
form.images, form.options.top, form.options.seed
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ...dataclass import dataclass
from ...errors import shown
from ...options import ALIASES, OPTION_NAMES, PredictOptions
from ..errors import MissingImage
from ..http.body import Bytes
from ..http.encoding import decompress
from ..http.errors import BadRequest, BodyTooLarge, UnsupportedContent
from ..http.messages import Request, json_text
from ..http.multipart import parse_multipart
from ..settings import ServerLimits

ImageBytes = bytes | memoryview
"""The bytes of an image's file."""
_SEND = (
    "send the image's bytes as the body (Content-Type: image/jpeg), files in multipart/form-data, "
    'or JSON like {"images": ["<base64>"]}'
)
_IMAGE_KEYS = ("images", "instances", "image")
_FILE_NAMES = ("image", "images", "file", "files")  # of parts that are pictures, whether they have a filename or not
_STREAM = "stream"
_KNOWN = (*OPTION_NAMES, *ALIASES, _STREAM)
_BASE64 = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE = b" \t\r\n"
_NUMBER_CHARS = 40
_DIGITS = re.compile("-?[0-9]{1,40}")
_TRUE, _FALSE = ("1", "true", "yes", "on", ""), ("0", "false", "no", "off")


@dataclass(frozen=True)
class PredictForm:
    """Images as bytes of files, and the options for all of them."""

    images: tuple[bytes | memoryview, ...]
    options: PredictOptions
    stream: bool = False
    """Whether a text is wanted as it is written."""
    made_bytes: int = 0
    """Memory that was made next to the request's body: what was unpacked, and pictures out of JSON."""


def read_form(request: Request, limits: ServerLimits) -> PredictForm:
    """Read a request. Raises MissingImage, BadRequest, WrongOption, UnsupportedContent, BodyTooLarge."""
    body = decompress(request.body, request.header("content-encoding"), limits.body_bytes)
    kind = request.header("content-type").partition(";")[0].strip().lower()
    fields: dict[str, Any] = dict(request.query)
    unknown = [name for name in fields if name not in _KNOWN]
    if unknown:
        raise BadRequest(f"the query has an unknown field {shown(unknown[0])}; there are {', '.join(OPTION_NAMES)}")
    made = len(body) if body is not request.body else 0
    if kind == "multipart/form-data":
        images: list[bytes | memoryview] = []
        for part in parse_multipart(body, request.header("content-type"), limits, _FILE_NAMES):
            if part.filename == "" and not part.content:  # a browser's file field that nobody filled
                continue
            if part.filename is not None or part.name in _FILE_NAMES:
                images.append(part.content)
            elif part.name in _KNOWN:
                fields[part.name] = _text(part.content)
            else:
                raise BadRequest(
                    f"the form has an unknown field {shown(part.name)}; there are {', '.join(OPTION_NAMES)}"
                )
        return _checked(images, fields, limits, made)
    if kind == "application/json" or kind.endswith("+json"):
        decoded = _from_json(body, fields, limits)
        return _checked(decoded, fields, limits, made + sum(map(len, decoded)))
    if kind.startswith("text/"):
        raise UnsupportedContent(f"content type {kind} holds no image: {_SEND}")
    # Any other type will do: the bytes say what they are, and curl sends a form's type by default.
    return _checked([memoryview(body)] if body else [], fields, limits, made)


def _from_json(body: Bytes, fields: dict[str, Any], limits: ServerLimits) -> list[bytes]:
    """Return the images of a JSON body; its options go to `fields`. Raises BadRequest, BodyTooLarge."""
    try:
        value = msgspec.json.decode(json_text(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error or 'nested too deeply'}") from None
    if not isinstance(value, Mapping):
        raise BadRequest('the JSON body must be an object, like {"images": ["<base64>"]}')
    given = [key for key in _IMAGE_KEYS if key in value]
    unknown = [key for key in value if key not in (*_KNOWN, *_IMAGE_KEYS)]
    if unknown:
        raise BadRequest(f"the JSON body has an unknown field {shown(unknown[0])}")
    if len(given) > 1:
        raise BadRequest(f"the JSON body has both {given[0]} and {given[1]}: give one")
    items = value[given[0]] if given else []
    items = items if isinstance(items, list) else [items]
    _check_count(len(items), limits)
    fields |= {name: value[name] for name in _KNOWN if value.get(name) is not None}
    return [read_base64(item, i) for i, item in enumerate(items)]


def read_base64(item: Any, index: int) -> bytes:
    """Return the bytes of one image of a JSON body. Raises BadRequest."""
    text = item.get("b64") if isinstance(item, dict) else item
    if not isinstance(text, str):
        raise BadRequest(f'image {index} is {shown(item)}, expected a base64 text or {{"b64": "..."}}')
    try:
        return _decoded(text)
    except ValueError as error:
        hint = "; this server fetches nothing, send the image itself" if "://" in text[:16] else ""
        raise BadRequest(f"image {index} is not base64: {error}{hint}") from None


def _decoded(text: str) -> bytes:
    """Decode base64 as it is written: in lines (RFC 2045), of the URLs' alphabet or the other, padded or not
    (RFC 4648 3.2 and 5), or in a data: URL (RFC 2397). Raises ValueError.
    """
    head = text[:256].lstrip().lower()
    if head.startswith("data:"):
        text = text[text.find(",") + 1 :] if ";base64," in head else text
    plain = text.encode("ascii").translate(_BASE64, delete=_WHITE_SPACE)
    bare = plain.rstrip(b"=")
    if len(plain) - len(bare) > 2 or (len(plain) > len(bare) and len(plain) % 4):
        raise ValueError("wrong padding")
    return base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)


def _check_count(count: int, limits: ServerLimits) -> None:
    if count > limits.images:
        raise BodyTooLarge(f"the request has {count} images, limit {limits.images} (--max-images)")


def _checked(
    images: Sequence[bytes | memoryview], fields: Mapping[str, Any], limits: ServerLimits, made: int
) -> PredictForm:
    if not images or all(len(image) == 0 for image in images):
        raise MissingImage(f"no image came with the request: {_SEND}")
    _check_count(len(images), limits)
    given: dict[str, Any] = {}
    stream = _flag(_STREAM, fields[_STREAM]) if _STREAM in fields else False
    for name, value in fields.items():
        if name == _STREAM:
            continue
        option = ALIASES.get(name, name)
        if option in given:
            raise BadRequest(f"both {option} and another name of it are given: give one")
        given[option] = read_option(option, value, name)
    return PredictForm(tuple(images), PredictOptions(**given), stream, made)


def _pipeline(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        raise BadRequest(f"{name} is {shown(value)}, expected the name of a pipeline")
    return value or None


def read_option(option: str, value: Any, name: str | None = None) -> Any:
    """Read an option, which the request calls `name`, as JSON has it or as text. Raises BadRequest."""
    return _READERS[option](name or option, value)


def _prompt(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{name} is {shown(value)}, expected text")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)  # whoever takes it says which are too large
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadRequest(f"{name} is {shown(value)}, expected a whole number")


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in (*_TRUE, *_FALSE):
        return value.lower() in _TRUE
    raise BadRequest(f"{name} is {shown(value)}, expected true or false")


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) and len(value) <= _NUMBER_CHARS:
        with contextlib.suppress(ValueError):
            return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise BadRequest(f"{name} is {shown(value)}, expected a number")


def _names(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip()) or None
    if isinstance(value, list | int) and not isinstance(value, bool):
        return value
    raise BadRequest(f"{name} is {shown(value)}, expected labels or indices of classes")


def _sides(name: str, value: Any) -> Any:
    return value  # whoever takes it reads 320x480, a number and a list


# How each option is written in a request: as JSON has it, or as the text of a query or of a form's field.
_READERS: dict[str, Callable[[str, Any], Any]] = {
    "preprocess": _pipeline,
    "top": _whole,
    "seed": _whole,
    "embedding": _flag,
    "score": _number,
    "iou": _number,
    "max_boxes": _whole,
    "classes": _names,
    "agnostic": _flag,
    "image_size": _sides,
    "tiles": _sides,
    "tile_overlap": _number,
    "prompt": _prompt,
    "max_tokens": _whole,
    "beams": _whole,
}


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise BadRequest("a field of the form is not UTF-8") from None
