"""Real defects pasted on sound parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError, DataError
from scarce.recipe import Params, Parents, checked
from scarce.synthesize._base import VARIED, AbstractDefect
from scarce.synthesize._blend import (
    BLENDS,
    change,
    feather,
    match_light,
    opacity,
    overlap,
    placed_mask,
    poisson,
    same_channels,
    with_rim,
)
from scarce.synthesize._blend import blend as blend_in
from scarce.synthesize._library import file_params, patch_of, read_patches
from scarce.synthesize._material import LARGEST, Material, has_marks, marks_of
from scarce.synthesize._patch import cut_patch, encode_mask, patch_boxes, place, turn_patch

WHO: Final = "synthesize.cut_paste"
KEPT: Final = 0.5
"""Poisson blending must keep this share of the change that a soft edge would make."""


@final
@dataclass(frozen=True, kw_only=True)
class CutPaste(AbstractDefect):
    """Cut a real defect out along its mask and paste it on a sound part.

    Use when some real defects have pixel masks or boxes, or are cut out already: shape, texture and
        contrast are real, only the place is new.
    Do not use when the defect belongs to a place (a frayed edge), or when it covers half of the part.
    Needs: training samples of the class with mask_uri or boxes, or a folder of patches; a sound class to paste on.
    Writes: picture, mask and box. The patch keeps its size relative to the picture, within a factor of 2.
    Source: Dwibedi, Misra and Hebert 2017, Cut, Paste and Learn; Li, Sohn, Yoon and Pfister 2021, CutPaste.

    Args:
        scale: smallest and largest zoom of the patch.
        rotate: largest turn in degrees; small by default, since ground, rolled and woven material has a grain (patches
            are mirrored both ways besides). 180 where there is none.
        match: share of the brightness and color difference to the new place that is taken out, in [0, 1].
        blend: alpha, feather or poisson; feather where a defect would fade under poisson.
        patches: a folder with ``NAME_patch.png`` and ``NAME_mask.png``, or PNG files with transparency, used in place
            of the samples' own masks; its patches belong to every class that is asked for.
    """

    words: ClassVar[frozenset[str]] = frozenset()

    scale: tuple[float, float] = (0.5, 1.5)
    rotate: float = 20.0
    match: float = 1.0
    blend: str = "feather"
    patches: str = ""

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        AbstractDefect.__post_init__(self)
        if not 0.05 <= self.scale[0] <= self.scale[1] <= 20 or not 0 <= self.match <= 1 or not 0 <= self.rotate <= 180:
            what = f"scale = {self.scale}, match = {self.match}, rotate = {self.rotate} are out of range"
            raise ConfigError(WHO, what, do="use .05 <= low <= high <= 20, match in [0, 1], rotate in [0, 180]")

        if self.blend not in BLENDS:
            raise ConfigError(WHO, f"blend = {self.blend!r} is unknown", f"known are {', '.join(BLENDS)}")

    def refusal(self, ds: Dataset, name: str) -> str:
        """Return why a class cannot be pasted: it has no masks and no boxes."""
        rows = (ds["label"] == ds.schema.classes.index(name)) & (ds["split"] == "train")
        if self.patches or has_marks(ds, np.flatnonzero(rows)):
            return ""
        return f"no training sample of {name!r} has a mask or box, so there is nothing to cut out; draw some masks"

    def materials(self, ds: Dataset, rows: Ints) -> tuple[list[Material], str]:
        """Return one patch per connected defect of the given rows, and how many of them gave none."""
        if self.patches:
            return [Material((), tuple(file_params(path).items())) for path, _, _ in read_patches(self.patches)], ""
        found, lost = [], 0
        for row, mask in marks_of(ds, rows):
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
            "blend": self.blend,
            **({"n": self.n_defects} if self.n_defects > 1 else {}),
            **drawn,
            **dict(material.params),
        }

    def varied(self, params: Params) -> dict[str, Any]:
        """Return the parameters of one of several patches: each has its own zoom, turn and mirrors."""
        rng = np.random.default_rng([int(params["seed"]), VARIED])
        scale = float(np.clip(float(params["scale"]) * np.exp(rng.normal(0, 0.35)), 0.05, 20))
        angle = float(params["angle"]) * float(rng.uniform(-1, 1))
        mirrors = {name: bool(rng.random() < 0.5) for name in ("mirror", "upend")}
        return {**params, "scale": round(scale, 4), "angle": round(angle, 3), **mirrors}

    def draw(self, image: Array, params: Params, parents: Parents) -> tuple[Array, Array]:
        """Return the picture with the patch of another sample, and the mask of the patch."""
        if "file" in params:
            patch, mask = patch_of(params)
            params = {**params, "of": image.shape[:2]}
        else:
            patch, mask = cut_patch(checked(parents.image(str(params["patch"]))), params)
        patch, mask = turn_patch(patch, mask, params, image.shape[:2])
        xy = place(np.random.default_rng(int(params["seed"])), mask, self.region(image, params), image.shape[:2])
        patch = match_light(same_channels(patch, image), mask, image, xy=xy, share=float(params["match"]))
        held, blend = placed_mask(mask, xy, image.shape[:2]), str(params.get("blend", "feather"))
        made = paste(image, patch, mask, xy=xy, blend="feather" if blend == "poisson" else blend)
        if blend == "poisson":  # with a rim of what is around it, the edge of the defect keeps its contrast
            wider = mask if "file" in params else with_rim(mask)
            solved = paste(image, patch, wider, xy=xy, blend=blend)
            if change(image, solved, held) >= KEPT * change(image, made, held):
                made = solved
        return made, held


def paste(image: Array, patch: Array, mask: Array, *, xy: tuple[int, int], blend: str = "feather") -> Array:
    """Return the picture with a patch blended in; costs the patch and one copy of the picture.

    Args:
        image: uint8 (H, W) or (H, W, 3); not changed.
        patch: uint8 (h, w) or (h, w, 3).
        mask: (h, w) bool, or opacity in [0, 1]; only these pixels are taken.
        xy: where the patch's left top pixel goes; parts outside the picture are cut off.
        blend: alpha (the mask as it is), feather (a soft edge a few pixels wide around it), or poisson (the patch's
            texture in the picture's colors; soft where the mask is too thin for it).

    Raises:
        DataError: the mask is empty, no numbers or of another size than the patch, or the patch lies outside.
    """
    image, patch, mask = checked(image), same_channels(checked(patch), image), np.asarray(mask)
    if mask.shape != patch.shape[:2] or not mask.any():
        what = f"the mask has shape {mask.shape}" if mask.shape != patch.shape[:2] else "the mask is empty"
        raise DataError(WHO, what, f"the patch is {patch.shape[0]} x {patch.shape[1]}", "give a mask of the patch")
    if mask.dtype.kind not in "buif" or not np.isfinite(mask).all():
        raise DataError(WHO, f"the mask of type {mask.dtype} holds what is no number", do="give True, or 0 to 1")
    if blend not in BLENDS:
        raise ConfigError(WHO, f"blend = {blend!r} is unknown", f"known are {', '.join(BLENDS)}")
    spot: Any = xy
    if np.shape(spot) != (2,) or not all(isinstance(one, int | float | np.number) and np.isfinite(one) for one in spot):
        raise DataError(WHO, f"xy = {xy!r} is no place", do="give the column and row of the patch's left top pixel")
    rows, cols, inner = overlap(mask.shape, xy, image.shape)
    solved = poisson(image[rows, cols], patch[inner], mask[inner] > 0) if blend == "poisson" else None
    if solved is not None:
        out: Array = image.copy()
        out[rows, cols] = solved
        return out
    alpha = opacity(mask) if blend == "alpha" else feather(mask)
    out = image.copy()  # as late as can be: what was copied is still in the cache
    blend_in(out, patch[inner], alpha[inner], left=cols.start, top=rows.start)
    return out
