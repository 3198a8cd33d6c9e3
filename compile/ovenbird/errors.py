"""Every error the compiler raises on purpose: one type a reason, one line a message.

A message says what is wrong, the value, the limit and the fix. `exit_code` is what the command line ends with: 1 the
work failed, 2 the command itself was wrong.

    try:
        load_network("resnet51")
    except ovenbird.errors.UnknownNetwork as error:
        print(error)       # unknown model 'resnet51'; did you mean resnet50, resnet18? (`ovenbird models` lists all)
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches

from ovenbird_runtime.errors import OvenbirdError


class CompilerError(OvenbirdError):
    """The base of the compiler's own errors."""

    exit_code = 1


class UsageError(CompilerError):
    """The command asks for something that cannot be."""

    exit_code = 2


class UnknownNetwork(UsageError):
    """No built-in network of that name, and no file or `module:callable` either."""


class UnknownTarget(UsageError):
    """No folder of that name in `targets/`."""


class TargetInvalid(CompilerError):
    """A `target.toml` that does not follow its schema, or a host that cannot be described."""


class ExtraMissing(CompilerError):
    """An optional package is not installed; the message names the command that installs it."""


# -- weights -----------------------------------------------------------------------------------------------------


class WeightsError(CompilerError):
    """The network's weights cannot be used."""


class WeightsUnavailable(WeightsError):
    """Nothing at that path, or no network to fetch them from."""


class WeightsUnreadable(WeightsError):
    """The file is there, but it is not a state_dict that torch reads without running code."""


class WeightsMismatch(WeightsError):
    """The weights belong to another network; the message names the tensors that differ."""


# -- the network -------------------------------------------------------------------------------------------------


class NetworkError(CompilerError):
    """The network cannot be compiled."""


class NetworkUnreadable(NetworkError):
    """A `module:callable`, `.pt2` or `.onnx` that cannot be loaded."""


class NetworkUnsafe(NetworkError):
    """A file that would run code of its own when read; `--trust` reads it all the same."""


class PreprocessInvalid(NetworkError):
    """A file of pre-processing, or one of labels, that cannot be used; the message names the line and the key."""


class NetworkUntraceable(NetworkError):
    """`torch.export` cannot trace the network."""


class UnsupportedOperator(NetworkError):
    """TVM has no import for an operator of the network; the message names it."""


class ImportFailed(NetworkError):
    """TVM refused the network for another reason than a missing operator."""


class BuildFailed(CompilerError):
    """The code generator or the linker failed."""


class NoCudaCompiler(CompilerError):
    """There is no nvcc here, or it is too old; the message says what to install."""


class LinkerMissing(BuildFailed):
    """No linker for the target is on this machine; the message names what was tried and what to install."""


# -- tuning ------------------------------------------------------------------------------------------------------


class TuningError(CompilerError):
    """Tuning cannot begin or go on."""


class TuningLogInvalid(TuningError):
    """The folder holds no tuning log."""


class TuningLogBusy(TuningError):
    """Another process writes this log."""


class TuningInterrupted(TuningError):
    """Ctrl-C; every record is kept."""


class DevicesUnavailable(TuningError):
    """No RPC tracker at that address, or no device under that key."""


class MeasurementFailed(TuningError):
    """The default schedule of a task could not be measured: nothing can be compared with it."""


# -- the artifact ------------------------------------------------------------------------------------------------


class OutputError(CompilerError):
    """The output folder cannot be written."""


class DiskFull(OutputError):
    """No space, or the file size limit, while writing; nothing was left behind."""


class KeyInvalid(CompilerError):
    """The private key cannot be read, is encrypted, or is of another type than Ed25519."""


class VerificationFailed(CompilerError):
    """The artifact does not give what the network gives; nothing was written."""


class RuntimeFailed(CompilerError):
    """The runtime's process ended without an answer (crash, missing installation, time limit)."""


# -- the container -----------------------------------------------------------------------------------------------


class BakeError(CompilerError):
    """The image cannot be built."""


class NoBuilder(BakeError):
    """None of docker, podman and buildah works here; the message says why each does not."""


class BaseUnavailable(BakeError):
    """A base image is neither here nor to be fetched."""


class ForeignArchitecture(BakeError):
    """A stage for another processor wanted to run a command, and nothing here emulates that processor."""


class ImageStorageFull(BakeError):
    """The builder's storage has no room."""


class BakeFailed(BakeError):
    """The builder failed for another reason; the message has its last error."""


# -- the registry ------------------------------------------------------------------------------------------------


class ReferenceInvalid(UsageError):
    """The text names no place in a registry or a folder, or nothing lies there under that tag."""


class RegistryFailed(CompilerError):
    """The registry cannot be reached, refused, or sent something else than an artifact of the digests it named."""


# -- the benchmark -----------------------------------------------------------------------------------------------


class BenchmarkError(CompilerError):
    """A comparison cannot be made."""


class OutputsDisagree(BenchmarkError):
    """An engine computes something else than the framework: its time is no time for this network."""


class EngineFailed(BenchmarkError):
    """An engine's process crashed, refused the network or took longer than its limit."""


class NoPeers(BenchmarkError):
    """None of the engines to compare with is installed or takes this network."""


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The `errno`s that mean: no more room (disk, quota, `ulimit -f`)."""


def output_error(error: OSError, what: str) -> OutputError:
    """Turn an OSError met while writing `what` into DiskFull or OutputError."""
    if error.errno in DISK_FULL:
        return DiskFull(f"no room to write {what} ({error.strerror}); free some space or give another --output")
    return OutputError(f"cannot write {what}: {error.strerror or error}")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean a, b?` for the names close to `name`, or nothing."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {', '.join(close)}?" if close else ""
