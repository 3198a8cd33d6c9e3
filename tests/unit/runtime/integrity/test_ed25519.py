"""Ed25519 as RFC 8032 has it: its own vectors, OpenSSL's verdict on random ones, and what must be refused."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird_runtime.integrity.ed25519 import ORDER, PRIME, decode_point, usable_key, verify

# RFC 8032, section 7.1: public key, message, signature
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


def pair(seed: bytes) -> tuple[Ed25519PrivateKey, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.parametrize(
    ("key", "message", "signature"), VECTORS, ids=["empty", "one byte", "two bytes", "sha512 of abc"]
)
def test_the_vectors_of_the_rfc(key: str, message: str, signature: str) -> None:
    assert verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))
    assert not verify(bytes.fromhex(key), bytes.fromhex(message) + b"x", bytes.fromhex(signature))


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 8 * 64 - 1))
def test_openssl_agrees(seed: bytes, message: bytes, bit: int) -> None:
    key, public = pair(seed)
    signature = key.sign(message)
    assert usable_key(public)
    assert verify(public, message, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verify(public, message, bytes(changed))
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(bytes(changed), message)


def test_another_s_for_the_same_signature_is_refused() -> None:
    key, public = pair(bytes(32))
    signature = key.sign(b"message")
    shifted = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify(public, b"message", signature[:32] + shifted.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_another_length_is_no_signature(length: int) -> None:
    key, public = pair(bytes(32))
    assert not verify(public, b"m", (key.sign(b"m") + b"\0")[:length])
    assert not verify(public[:-1], b"m", key.sign(b"m"))


@pytest.mark.parametrize(
    "point",
    [
        (1).to_bytes(32, "little"),  # the neutral point: S = 0, R = 1 would sign everything
        (PRIME - 1).to_bytes(32, "little"),
        bytes(32),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ],
)
def test_keys_of_small_order_are_not_usable(point: bytes) -> None:
    assert decode_point(point) is not None
    assert not usable_key(point)


@pytest.mark.parametrize(
    "data", [(PRIME + 1).to_bytes(32, "little"), (2).to_bytes(32, "little"), b"\1" + bytes(30) + b"\x80", b""]
)
def test_bytes_that_are_no_point(data: bytes) -> None:
    assert decode_point(data) is None
    assert not usable_key(data)
