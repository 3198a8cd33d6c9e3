"""Every error the runtime raises on purpose: one type a reason, one line a message.

A message says what is wrong, the value, the limit and the fix. Catch `OvenbirdError` for all of them, or a
family (`ArtifactError`, `MachineError`, `InputError`, `ImageError`, `EngineError`):

    try:
        model = ovenbird_runtime.load("artifacts/resnet50")
    except ovenbird_runtime.MachineError as error:      # built for another processor
        print(error)

Anything else that leaves the runtime is a bug in it.
"""

from __future__ import annotations

from typing import Any

from .limits import MAX_MESSAGE_CHARS


def one_line(text: str) -> str:
    """Make `text` safe to print: control characters escaped, so that a hostile file cannot drive a terminal."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return clean if len(clean) <= MAX_MESSAGE_CHARS else clean[: MAX_MESSAGE_CHARS - 1] + "…"


def shown(value: Any) -> str:
    """Return `value` as a short one-line quotation for a message."""
    try:
        text = repr(value) if not isinstance(value, str) else repr(value[:81])
    except (ValueError, RecursionError):  # an integer of 5,000 digits, a list in a list in a list ...
        text = f"<{type(value).__name__}>"
    return one_line(text if len(text) <= 80 else text[:79] + "…")


def forget_frames(error: BaseException) -> None:
    """Drop the frames that an error came through, once it is reported: their variables are pictures and tensors,
    which a cycle (a frame, the error in it, its traceback) would keep until Python looks for cycles.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__


class OvenbirdError(Exception):
    """The base of all errors raised on purpose; `str(error)` is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


# -- the artifact
# ------------------------------------------------------------------------------------------------


class ArtifactError(OvenbirdError):
    """The artifact on disk is not one that this runtime may load."""


class ArtifactNotFound(ArtifactError):
    """There is no artifact at the path given."""


class ManifestInvalid(ArtifactError):
    """`manifest.json` or `target.json` does not follow the schema."""


class PlanInvalid(ManifestInvalid):
    """`plan.json` does not follow the schema, or what it calls does not fit together."""


class ManifestTooNew(ArtifactError):
    """The manifest was written for a later runtime."""


class FileMissing(ArtifactError):
    """A file that the manifest lists is not there, or cannot be read."""


class FileChanged(ArtifactError):
    """A file's size or sha256 is not what the manifest says."""


class PlanMissing(ArtifactError):
    """The code has no plan, which the C++ runtime needs: TVM's virtual machine runs it."""


class UnsafePath(ArtifactError):
    """A path leaves the artifact, or is a link, a device or anything but a plain file."""


class SignatureError(ArtifactError):
    """A signature is required, and the artifact has none that holds; nothing of it was loaded."""


class SignatureMissing(SignatureError):
    """The artifact is not signed."""


class SignatureForeign(SignatureError):
    """The artifact is signed, but by none of the keys that are required."""


class SignatureWrong(SignatureError):
    """The signature is not one of this manifest: the artifact was changed after it was signed."""


# -- the machine
# -------------------------------------------------------------------------------------------------


class MachineError(OvenbirdError):
    """The artifact is sound, but not for this machine or this installation."""


class NoVariant(MachineError):
    """None of the artifact's variants runs here; the message gives the reason for each."""


class WrongArchitecture(MachineError):
    """Compiled for another instruction set (`aarch64` on `x86_64` ...)."""


class MissingCpuFeatures(MachineError):
    """The code uses instructions that this processor lacks: running it would end in SIGILL."""


class GlibcTooOld(MachineError):
    """The C library here is older than the one the code was linked for."""


class VersionMismatch(MachineError):
    """Compiled with another pair of tvm and tvm-ffi than the one installed here."""


class DeviceUnavailable(MachineError):
    """The device asked for does not exist here, or the artifact has no code for it."""


class DriverMissing(DeviceUnavailable):
    """There is no NVIDIA driver on this machine."""


class DriverTooOld(DeviceUnavailable):
    """The NVIDIA driver is for an older CUDA than the code needs."""


class GpuMissing(DeviceUnavailable):
    """The driver sees no GPU of that number, or does not answer."""


class WrongChip(DeviceUnavailable):
    """The artifact's GPU code is for later chips than this one."""


# -- what the caller gives
# ---------------------------------------------------------------------------------------


class InputError(OvenbirdError):
    """What the caller gave to `run` or `predict` does not fit the network."""


class WrongInputNames(InputError):
    """An input is missing, or there is one that the network does not have."""


class WrongShape(InputError):
    """An input's shape does not fit."""


class WrongDtype(InputError):
    """An input's dtype cannot be converted without loss of meaning."""


class NotFinite(InputError):
    """An input holds NaN or infinity (allow them with `nan="allow"`)."""


class WrongOption(InputError):
    """An option (`threads`, `top`, `preprocess` ...) has a value out of its range."""


class UnknownProgram(InputError):
    """The model has no program of that name, or several and none is named."""


class WrongModelName(InputError):
    """A model's name has characters that a file, a route or a label cannot hold."""


class KeyUnreadable(InputError):
    """The file of public keys is not there, or holds no PEM public key."""


class WrongKeyType(KeyUnreadable):
    """A key of another type than an Ed25519 public one (RSA, ECDSA, a private key ...)."""


class InputUnreadable(InputError):
    """A file of tensors cannot be read."""


class OutputNotWritten(OvenbirdError):
    """A result cannot be written (disk full, no permission ...)."""


class PipelineError(InputError):
    """A pre-processing pipeline is unknown, or its steps do not fit the image or the network."""


class LabelsMismatch(ArtifactError):
    """The labels' count is not the number of classes."""


# -- images
# ------------------------------------------------------------------------------------------------------


class ImageError(OvenbirdError):
    """An image cannot be used."""


class ImageNotFound(ImageError):
    """No readable file at that path."""


class ImageUnreadable(ImageError):
    """The bytes are not an image in an allowed format, or they are truncated or damaged."""


class ImageTooLarge(ImageError):
    """More bytes or more pixels than the limit; nothing was decoded."""


# -- the engine
# --------------------------------------------------------------------------------------------------


class EngineError(OvenbirdError):
    """The compiled library, or TVM's runtime, refused."""


class LibraryMissing(EngineError):
    """`libtvm_runtime.so`, or the package `ovenbird_native` that was asked for, is not in this installation."""


class EngineLoadFailed(EngineError):
    """The operating system or TVM could not load `model.so`."""


class EngineCallFailed(EngineError):
    """A compiled function raised, or gave tensors that the manifest does not describe."""


class EngineForked(EngineError):
    """The model was loaded before `fork`; its threads do not exist in the child. Load it in the child."""


class SelftestFailed(OvenbirdError):
    """The artifact's golden outputs were not reproduced here."""
