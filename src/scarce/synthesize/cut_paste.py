"""Real defects pasted on sound parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError, DataError, ScarceError
from scarce.recipe import Params, Parents, checked, mask_opener
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize._material import LARGEST, Material
from scarce.synthesize._patch import cut_patch, encode_mask, patch_boxes, place, turn_patch

WHO: Final = "synthesize.cut_paste"


@final
@dataclass(frozen=True, kw_only=True)
class CutPaste(AbstractDefect):
    """Cut a real defect out along its mask and paste it on a sound part.

    Use when some real defects have pixel masks: shape, texture and contrast are real, only the place is new.
    Do not use when the defect belongs to a place (a frayed edge), or when it covers half of the part.
    Needs: training samples of the class with mask_uri; a sound class to paste on.
    Writes: picture, mask and box. The patch keeps its size relative to the picture, within a factor of 2.
    Source: Dwibedi, Misra and Hebert 2017, Cut, Paste and Learn; Li, Sohn, Yoon and Pfister 2021, CutPaste.

    Args:
        scale: smallest and largest zoom of the patch.
        rotate: largest turn in degrees; small by default, since ground, rolled and woven material has a grain (patches
            are mirrored both ways besides). 180 where there is none.
        match: share of the brightness difference to the new place that is taken out, in [0, 1].
    """

    words: ClassVar[frozenset[str]] = frozenset()

    scale: tuple[float, float] = (0.8, 1.25)
    rotate: float = 20.0
    match: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractDefect.__post_init__(self)
        if not 0.05 <= self.scale[0] <= self.scale[1] <= 20 or not 0 <= self.match <= 1 or not 0 <= self.rotate <= 180:
            what = f"scale = {self.scale}, match = {self.match}, rotate = {self.rotate} are out of range"
            raise ConfigError(WHO, what, do="use .05 <= low <= high <= 20, match in [0, 1], rotate in [0, 180]")

    def refusal(self, ds: Dataset, name: str) -> str:
        """Return why a class cannot be pasted: it has no masks."""
        rows = (ds["label"] == ds.schema.classes.index(name)) & (ds["split"] == "train")
        if any(ds["mask_uri"][rows]):
            return ""
        return f"no training sample of {name!r} has a mask, so there is nothing to cut out; draw some masks"

    def materials(self, ds: Dataset, rows: Ints) -> tuple[list[Material], str]:
        """Return one patch per connected defect in the masks of the given rows, and how many masks gave none."""
        opened, found, lost = mask_opener(ds), [], 0
        for row in rows.tolist():
            if not ds["mask_uri"][row]:
                continue
            try:
                mask = opened(str(ds.ids[row]))
            except ScarceError:
                mask = None
            if mask is None or not mask.any() or mask.mean() > LARGEST:
                lost += 1
                continue
            for box in patch_boxes(mask):
                params = {"patch": str(ds.ids[row]), **encode_mask(mask, box)}
                found.append(Material((row,), tuple(params.items())))
        return found, f"{lost} masks were empty, unreadable or cover over half of the picture" if lost else ""

    def params_for(self, rng: np.random.Generator, material: Material) -> dict[str, Any]:
        """Return zoom, turn, mirrors and the seed of the place."""
        drawn = {
            "scale": round(float(rng.uniform(*self.scale)), 4),
            "angle": round(float(rng.uniform(-self.rotate, self.rotate)), 3),
            "mirror": bool(rng.random() < 0.5),
            "upend": bool(rng.random() < 0.5),
        }
        return {
            "seed": int(rng.integers(2**31)),
            "stay": self.stay,
            "match": self.match,
            **drawn,
            **dict(material.params),
        }

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:
        """Return the picture with the patch of another sample, and the mask of the patch."""
        patch, mask = cut_patch(checked(parents.image(str(params["patch"]))), params)
        patch, mask = turn_patch(patch, mask, params, image.shape[:2])
        xy = place(np.random.default_rng(int(params["seed"])), mask, self.region(image, params), image.shape[:2])
        patch = match_light(same_channels(patch, image), mask, image, xy=xy, share=float(params["match"]))
        return paste(image, patch, mask, xy=xy, blend="feather"), placed_mask(mask, xy, image.shape[:2])


def paste(image: Array, patch: Array, mask: Array, *, xy: tuple[int, int], blend: str = "feather") -> Array:
    """Return the picture with a patch blended in; costs the patch and one copy of the picture.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        patch: uint8 (h, w) or (h, w, 3).
        mask: (h, w) bool, or opacity in [0, 1]; only these pixels are taken.
        xy: where the patch's left top pixel goes; parts outside the picture are cut off.
        blend: hard, or feather (a soft edge a few pixels wide around the mask).

    Raises:
        DataError: the mask is empty or has another size than the patch, or the patch lies outside.
    """
    image, patch, mask = checked(image), same_channels(checked(patch), image), np.asarray(mask)
    if mask.shape != patch.shape[:2] or not mask.any():
        what = f"the mask has shape {mask.shape}" if mask.shape != patch.shape[:2] else "the mask is empty"
        raise DataError(WHO, what, f"the patch is {patch.shape[0]} x {patch.shape[1]}", "give a mask of the patch")
    if blend not in ("hard", "feather"):
        raise ConfigError(WHO, f"blend = {blend!r} is unknown", "known are hard, feather")
    rows, cols, inner = _overlap(mask.shape, xy, image.shape)
    alpha = feather(mask) if blend == "feather" else np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8)
    out = image.copy()
    out[rows, cols] = _blend(out[rows, cols], patch[inner], alpha[inner])
    return out


def _blend(under: Array, over: Array, alpha: Array) -> Array:
    """Return ``under + alpha / 255 * (over - under)``, rounded."""
    import cv2

    weight = alpha if under.ndim == 2 else cv2.merge([alpha] * 3)
    change = cv2.subtract(over, under, dtype=cv2.CV_16S)
    change = cv2.multiply(change, weight, scale=1 / 255, dtype=cv2.CV_16S)
    return np.asarray(cv2.add(under, change, dtype=cv2.CV_8U))


def feather(mask: Array, *, pixels: float | None = None) -> Array:
    """Return (h, w) uint8 opacity, 255 on the mask, that falls to 0 over a few pixels around it.

    Args:
        mask: (h, w) bool.
        pixels: width of the edge (sigma); by default 2 % of the shorter side, .7 to 4.
    """
    import cv2

    if pixels is None:
        pixels = min(max(0.7, 0.02 * min(mask.shape)), 4.0)
    size = 2 * int(np.ceil(1.5 * pixels)) + 1
    hard = (mask > 0).astype(np.uint8) * np.uint8(255)
    wide = cv2.dilate(hard, np.ones((size, size), np.uint8))
    box = max(3, 2 * round((np.sqrt(6 * pixels**2 + 1) - 1) / 2) + 1)  # two box filters spread as much as a Gaussian
    once = cv2.blur(wide, (box, box), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.blur(once, (box, box), borderType=cv2.BORDER_CONSTANT))


def match_light(patch: Array, mask: Array, image: Array, *, xy: tuple[int, int], share: float = 1.0) -> Array:
    """Return the patch with its sound surroundings brought to the brightness and color of its new place.

    The factor is the ratio of the means outside the mask, within [.4, 2.5]; share 0 changes nothing.
    """
    rows, cols, inner = _overlap(mask.shape, xy, image.shape)
    ring = ~mask.astype(bool)[inner]
    if share == 0 or ring.sum() < 16:
        return patch
    old = np.maximum(patch[inner][ring].astype(np.float32).mean(axis=0), 4.0)
    new = np.maximum(image[rows, cols][ring].astype(np.float32).mean(axis=0), 4.0)
    factor = np.clip(new / old, 0.4, 2.5) ** share
    matched: Array = np.clip(np.rint(patch * factor.astype(np.float32)), 0, 255).astype(np.uint8)
    return matched


def placed_mask(mask: Array, xy: tuple[int, int], size: tuple[int, ...]) -> Array:
    """Return the (H, W) mask of a pasted patch."""
    rows, cols, inner = _overlap(mask.shape, xy, size)
    out = np.zeros(size[:2], bool)
    out[rows, cols] = mask.astype(bool)[inner]
    return out


def same_channels(patch: Array, image: Array) -> Array:
    """Return the patch in gray or RGB like the picture."""
    import cv2

    if patch.ndim == image.ndim:
        return patch
    return np.asarray(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY if patch.ndim == 3 else cv2.COLOR_GRAY2RGB))


def _overlap(
    patch: tuple[int, ...], xy: tuple[int, int], size: tuple[int, ...]
) -> tuple[slice, slice, tuple[slice, slice]]:
    left, top = int(xy[0]), int(xy[1])
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + patch[1], size[1]), min(top + patch[0], size[0])
    if x0 >= x1 or y0 >= y1:
        raise DataError(WHO, f"a {patch[1]} x {patch[0]} patch at {(left, top)} lies outside",
                        f"the picture is {size[1]} x {size[0]}", "move it inside")  # fmt: skip
    return slice(y0, y1), slice(x0, x1), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
