"""Ed25519 (RFC 8032): checking a signature, in plain Python, so that a target installs nothing for it.

    verify(public_key, message, signature)        # bytes of 32, any and 64; True or False

Only public values pass through here, so constant time is not needed; one check takes some milliseconds. Signing is the
compiler's (`cryptography`). The check is the strict one: S below the group's order, canonical points, and the encoding
of R compared byte for byte, as OpenSSL does it.
"""

from __future__ import annotations

import hashlib

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
KEY_BYTES = 32
SIGNATURE_BYTES = 64

CurvePoint = tuple[
    int, int, int, int
]  # extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z (RFC 8032, 5.1.4)

_D = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
_ROOT_OF_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)
_NEUTRAL: CurvePoint = (0, 1, 1, 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` (64 bytes) is that of `message` by the key `public_key` (32 bytes)."""
    key = decode_point(public_key)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:  # another S for the same signature: refused, so that a signature cannot be altered
        return False
    hashed = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(hashed, "little") % ORDER
    x, y, z, t = key
    negated = (PRIME - x, y, z, PRIME - t)
    return _encode(_add(_multiply(scalar, _BASE), _multiply(challenge, negated))) == signature[:32]


def usable_key(public_key: bytes) -> bool:
    """Return whether these 32 bytes are a point of large order: with one of small order anybody could sign."""
    point = decode_point(public_key)
    return point is not None and _encode(_multiply(8, point)) != _encode(_NEUTRAL)


def decode_point(data: bytes) -> CurvePoint | None:
    """Return the point that 32 bytes encode, None where they encode none (RFC 8032, 5.1.3)."""
    if len(data) != KEY_BYTES:
        return None
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= PRIME:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(x_squared, (PRIME + 3) // 8, PRIME)
    if (x * x - x_squared) % PRIME:
        x = x * _ROOT_OF_MINUS_ONE % PRIME
    if (x * x - x_squared) % PRIME or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = PRIME - x
    return (x, y, 1, x * y % PRIME)


def _encode(point: CurvePoint) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, PRIME - 2, PRIME)
    return ((y * inverse % PRIME) | (x * inverse % PRIME & 1) << 255).to_bytes(32, "little")


def _add(p: CurvePoint, q: CurvePoint) -> CurvePoint:
    a = (p[1] - p[0]) * (q[1] - q[0]) % PRIME
    b = (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c = 2 * p[3] * q[3] * _D % PRIME
    d = 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def _multiply(scalar: int, point: CurvePoint) -> CurvePoint:
    result = _NEUTRAL
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _base() -> CurvePoint:
    point = decode_point((4 * pow(5, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little"))
    assert point is not None
    return point


_BASE = _base()
