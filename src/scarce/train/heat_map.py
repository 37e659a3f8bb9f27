"""Where a model sees a defect: pictures with the suspicious places in color, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.errors import ConfigError
from scarce.modality import open_samples
from scarce.train.model import Model

SIDE = 384
"""Pixels of the longer side of a heat map."""


@runtime_checkable
class Seeing(Protocol):
    """A model that says which places of a picture speak for a defect."""

    @property
    def heat_limits(self) -> tuple[float, float]:
        """Heat that is left as it is, and heat that is all color."""

    def heat(self, ds: Dataset) -> Sequence[Floats] | Floats:
        """Return for each row the heat of its places, (lines, columns)."""


def overlay(image: Array, heat: Floats, *, low: float, high: float) -> Array:
    """Return an RGB picture with heat over it.

    Args:
        image: uint8 (H, W) or (H, W, 3).
        heat: (lines, columns), of any scale.
        low: heat that is left as it is.
        high: heat that is all color.
    """
    import cv2

    color = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    scale = SIDE / max(color.shape[:2])
    size = max(1, round(color.shape[1] * scale)), max(1, round(color.shape[0] * scale))
    color = cv2.resize(np.ascontiguousarray(color), size)
    share = np.clip((heat - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    share = np.clip(cv2.resize(share, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    hot = cv2.cvtColor(cv2.applyColorMap(np.rint(255 * share).astype(np.uint8), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    mix = 0.6 * share[..., None]
    return np.asarray(np.rint((1 - mix) * color + mix * hot), np.uint8)


def for_files(model: Model, paths: Sequence[str | Path], folder: str | Path) -> list[Path]:
    """Write one PNG for each readable picture among files and folders; see :func:`write`."""
    from scarce.train.predict import opened

    ds, files = opened(model, paths)
    return write(model, ds, [path.stem for path in files], folder) if files else []


def write(model: Model, ds: Dataset, names: Sequence[str], folder: str | Path) -> list[Path]:
    """Write one PNG a row: the picture, colored where the model sees a defect.

    Args:
        model: of a trainer that looks at places: anomaly, patch_probe.
        ds: the rows, all of them usable.
        names: of the files, without ending; a repeated one gets a number.
        folder: made where it is missing.

    Raises:
        ConfigError: the model has no places.
    """
    if not isinstance(model, Seeing):
        raise ConfigError("train.heat_map", f"a model of {model.card['trainer']} says nothing of places",
                          do="train with --model anomaly, or with patch-probe")  # fmt: skip
    import cv2

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    heat, done, taken = model.heat(ds), [], set[str]()
    low, high = model.heat_limits
    images: Any = open_samples(ds, np.arange(len(ds)))
    for image, one, name in zip(images, heat, names, strict=True):
        unique, turn = name, 2
        while unique in taken:
            unique, turn = f"{name}-{turn}", turn + 1
        taken.add(unique)
        path = folder / f"{unique}.png"
        drawn = overlay(np.asarray(image), one, low=low, high=high)
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1].tobytes())
        done.append(path)
    return done
