"""How strong is too strong: the label must stay readable, and copies must stay near real pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np

from scarce.augment._base import AbstractOperation
from scarce.augment.policy import OneOf, Policy, guess_domain
from scarce.augment.policy import policy as preset
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.encode.efficientnet_lite0 import EfficientnetLite0
from scarce.errors import DataError, MissingExtraError
from scarce.modality import open_samples
from scarce.probe import FittedProbe, LinearProbe, Projection, fold_of
from scarce.recipe import ALONE, Scene, checked, growable, replay

WHO: Final = "augment.strength"
LEAST_KEPT: Final = 0.75
"""Of the balanced accuracy above chance on real held-out pictures, this share must be left on their copies."""
MOST_SHIFT: Final = 0.25
"""Copies may move the mean picture (16 x 16) by so many times the root of the pictures' total variance."""
TAUGHT: Final = frozenset(("flip", "rotate_90"))
"""Moves without a strength: where the domain's preset has them, they keep the label, and the probe is shown them."""
TAUGHT_COPIES: Final = 3
MOST_SHOWN: Final = 12
MOST_PICTURES: Final = 800
SIDE: Final = 16
FACTORS: Final = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15)
Embed = Callable[[list[Array]], Floats]


@dataclass(frozen=True, eq=False)
class Lost:
    """A picture, its copy, the class, and what the copy is taken for."""

    image: Array
    view: Array
    true: str
    taken: str


@dataclass(frozen=True)
class Strength:
    """What one policy does to pictures that the probe did not see.

    Attributes:
        policy: it.
        factor: the share of the asked strength.
        real, copies: balanced accuracy of the probe on held-out pictures and on their copies.
        kept: share of the accuracy above chance that is left.
        shift: how far the mean picture moved, in roots of the pictures' total variance.
        per_class: class to recall on pictures and on copies.
        lost: pictures that the probe knew and whose copies it takes for something else.
    """

    policy: Policy
    factor: float
    real: float
    copies: float
    kept: float
    shift: float
    per_class: dict[str, tuple[float, float]]
    lost: tuple[Lost, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the label is still readable and the copies look real enough."""
        return self.kept >= LEAST_KEPT and self.shift <= MOST_SHIFT

    def line(self) -> str:
        """Return one sentence."""
        verdict = "passes" if self.passes else "is too strong"
        return (
            f"{self.factor:.0%} of the strength {verdict}: a probe knows {self.copies:.1%} of the copies and "
            f"{self.real:.1%} of the originals (balanced), the mean picture moves by {self.shift:.2f}"
        )


@dataclass(frozen=True)
class Tuned:
    """The settings that were tried, strongest first.

    Attributes:
        tried: in order; the last one passes unless none does.
    """

    tried: tuple[Strength, ...]

    @property
    def chosen(self) -> Strength | None:
        """The strongest that passes."""
        return next((one for one in self.tried if one.passes), None)

    def lines(self) -> list[str]:
        """Return sentences for people."""
        said = [one.line() for one in self.tried]
        if not self.tried[0].passes:
            said[0] = f"Warning: {said[0]}"
        if self.chosen is None:
            worst = min(self.tried[0].per_class.items(), key=lambda item: item[1][1] - item[1][0])
            return [*said, f"No strength passes; the class that suffers most is {worst[0]}. Leave operations out."]
        return (
            said
            if self.chosen is self.tried[0]
            else [*said, "The strongest setting that passes:", self.chosen.policy.to_toml()]
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [
            {"factor": one.factor, "passes": one.passes, "real": one.real, "copies": one.copies, "kept": one.kept,
             "shift": one.shift, "per_class": {name: list(pair) for name, pair in one.per_class.items()}}
            for one in self.tried
        ]  # fmt: skip
        return {"tried": rows, "toml": self.chosen.policy.to_toml() if self.chosen else None}


class Judge:
    """A probe that was trained on one half of the real training pictures and judges copies of the other half.

    Pictures of one group lie in one half. Mirrors and quarter turns have no strength; where the domain's preset says
    that they keep the label, the probe is trained on them as well, so that it judges what else a policy does.

    Args:
        ds: the data; only kept real training samples are used.
        seed: of the halves and of the copies.
        embed: pictures to (B, D) features; None = EfficientNet-Lite0, or :func:`small_pixels` where the extra
            ``train`` is not installed.
        domain: whose mirrors and turns keep the label; None = told by the data.
    """

    def __init__(self, ds: Dataset, *, seed: int = 0, embed: Embed | None = None, domain: str | None = None) -> None:
        if ds.schema.modality != "image":
            raise DataError(WHO, f"the strength of changes of {ds.schema.modality} samples is not tuned",
                            "the probe reads pictures", "use --preview, or let scarce run judge them")  # fmt: skip
        rows = growable(ds, who=WHO)
        rng = np.random.default_rng([seed, 0x73747265])
        half, held = _halves(ds, rows, rng, seed)
        if len(np.unique(ds["label"][held])) < 2 or len(np.unique(ds["label"][half])) < 2:
            raise DataError(WHO, "fewer than two classes have training pictures of two groups",
                            do="label more pictures")  # fmt: skip
        self.embed, self.seed = embed or _network_of(ds), seed
        self.classes = ds.schema.classes
        self.ids, self.labels = ds.ids[held], ds["label"][held]
        self.images = [checked(np.asarray(image)) for image in open_samples(ds, held)]
        seen = [checked(np.asarray(image)) for image in open_samples(ds, half)]
        labels = np.asarray(ds["label"][half])
        taught = _taught(domain or guess_domain(ds)[0])
        if taught.operations:
            seen += [
                replay(Scene(image), taught.draw_for(str(name), seed=seed, copy=copy), ALONE).image
                for copy in range(TAUGHT_COPIES) for image, name in zip(seen[: len(labels)], ds.ids[half], strict=True)
            ]  # fmt: skip
            labels = np.tile(labels, 1 + TAUGHT_COPIES)
        features = self.embed(seen)
        plain = Projection.identity(features.shape[1])  # scaling still features up would make it afraid of any noise
        self.probe: FittedProbe = LinearProbe().fit(features, labels, len(self.classes), projection=plain)
        self.features, self.small = self.embed(self.images), small_pixels(self.images)

    def measure(self, policy: Policy, *, factor: float = 1.0) -> Strength:
        """Return what a policy does to the held-out half."""
        alone = policy.without_mixes()  # their labels are shared, so that no probe can be right about them
        drawn = (alone.draw_for(str(name), seed=self.seed) for name in self.ids)
        views = [replay(Scene(image), steps, ALONE).image for image, steps in zip(self.images, drawn, strict=True)]
        features = self.embed(views)
        real, copies = (self.probe.predict_proba(one).argmax(axis=1) for one in (self.features, features))
        seen, shown = self.small, small_pixels(views)  # a network also sees that small pictures were resampled
        spread = float(np.sqrt(seen.var(axis=0).sum()))
        shift = float(np.linalg.norm(shown.mean(axis=0) - seen.mean(axis=0)) / max(spread, 1e-9))
        known = np.unique(self.labels)
        recalls = [[float((found[self.labels == code] == code).mean()) for code in known] for found in (real, copies)]
        first, second = (float(np.mean(one)) for one in recalls)
        chance = 1 / len(known)
        kept = (second - chance) / max(first - chance, 1e-9)
        per_class = {self.classes[code]: pair for code, pair in zip(known, zip(*recalls, strict=True), strict=True)}
        gone = np.flatnonzero((real == self.labels) & (copies != self.labels))[:MOST_SHOWN].tolist()
        lost = tuple(Lost(self.images[row], views[row], self.classes[self.labels[row]], self.classes[copies[row]])
                     for row in gone)  # fmt: skip
        return Strength(policy, factor, first, second, kept, shift, per_class, lost)

    def tune(self, policy: Policy) -> Tuned:
        """Return how strong a policy may be: it is weakened step by step until it passes."""
        tried: list[Strength] = []
        for factor in FACTORS:
            tried.append(self.measure(weaker(policy, factor), factor=factor))
            if tried[-1].passes:
                break
        return Tuned(tuple(tried))


def tune(ds: Dataset, policy: Policy, *, seed: int = 0, embed: Embed | None = None, domain: str | None = None) -> Tuned:
    """Return how strong a policy may be: it is weakened step by step until it passes.

    Raises:
        DataError: fewer than two classes have training pictures of two groups.
    """
    return Judge(ds, seed=seed, embed=embed, domain=domain).tune(policy)


def _taught(domain: str) -> Policy:
    """Return the mirrors and quarter turns of a domain's preset."""
    own = preset(domain)
    return replace(own, operations=tuple(one for one in own.parts() if one.plugin_name() in TAUGHT))


def _network_of(ds: Dataset) -> Embed:
    """Return the features of the network that is installed, else small pixels."""
    encoder = EfficientnetLite0().prepare(ds)
    try:
        with encoder.session():
            pass
    except MissingExtraError:
        return small_pixels
    return encoder.features_of


def weaker(policy: Policy, factor: float) -> Policy:
    """Return the policy with every range drawn towards no change by a factor in (0, 1]."""
    entries = tuple(
        replace(entry, choices=tuple(tuple(_weaker(one, factor) for one in choice) for choice in entry.choices))
        if isinstance(entry, OneOf)
        else _weaker(entry, factor)
        for entry in policy.operations
    )
    return replace(policy, operations=entries) if factor != 1 else policy


_NEUTRAL: Final[dict[str, float]] = {
    "crop.area": 1.0, "crop.ratio": 1.0, "shift_scale_rotate.scale": 1.0, "gamma.gamma": 1.0, "jpeg.quality": 100.0,
    "posterize.bits": 8.0, "solarize.threshold": 1.0, "copy_paste.scale": 1.0,
}  # fmt: skip
"""Settings whose value without effect is not 0."""
_FIXED: Final = frozenset(
    (
        "probability",
        "pivot",
        "cells",
        "holes",
        "ratio",
        "cut",
        "horizontal",
        "vertical",
        "diagonal",
        "sharpen.radius",
        "mixup.alpha",
        "cutmix.alpha",
        "mosaic.spread",
    )
)
"""Settings that are no strength."""


def _weaker(operation: AbstractOperation, factor: float) -> AbstractOperation:
    changed: dict[str, Any] = {}
    for field in fields(operation):
        value, name = getattr(operation, field.name), f"{operation.plugin_name()}.{field.name}"
        if isinstance(value, str | bool) or (name not in _NEUTRAL and _FIXED & {field.name, name}):
            continue
        calm = _NEUTRAL.get(name, 0.0)
        if isinstance(value, tuple) and all(isinstance(one, float) for one in value):
            changed[field.name] = tuple(round(calm + (one - calm) * factor, 6) for one in value)
        elif isinstance(value, tuple) and name in _NEUTRAL:
            changed[field.name] = tuple(round(calm + (one - calm) * factor) for one in value)
        elif isinstance(value, float):
            changed[field.name] = round(calm + (value - calm) * factor, 6)
    return replace(operation, **changed)


def _halves(ds: Dataset, rows: Ints, rng: np.random.Generator, seed: int) -> tuple[Ints, Ints]:
    """Return two halves of every class, no group in both, at most :data:`MOST_PICTURES`; rare classes whole."""
    codes = ds["label"][rows]
    groups = next((ds[name][rows] for name in ("split_group", "group") if name in ds), np.full(len(rows), None))
    fold = fold_of(codes, groups, 2, seed=seed)
    most = max(1, MOST_PICTURES // (2 * len(np.unique(codes))))
    parts = [
        np.concatenate([rng.permutation(rows[(codes == code) & (fold == side)])[:most] for code in np.unique(codes)])
        for side in (0, 1)
    ]
    return np.sort(parts[0]), np.sort(parts[1])


def small_pixels(images: list[Array]) -> Floats:
    """Return (B, 768) features: the pictures as 16 x 16 RGB in [0, 1], which fine noise does not move."""
    import cv2

    color = (one if one.ndim == 3 else np.repeat(one[..., None], 3, axis=2) for one in images)
    small = [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel() for one in color]
    return np.stack(small).astype(np.float32) / 255
