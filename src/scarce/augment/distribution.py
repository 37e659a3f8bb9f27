"""What a policy does to a set: classes and simple features before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scarce.augment._partner import pool_of, same_kind
from scarce.augment.policy import Policy
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import DataError, ScarceError
from scarce.modality import open_samples
from scarce.recipe import Params, Parents, checked, growable, mask_opener, replay, replay_sample

WHO: Final = "augment.distribution"
MOST: Final = 100
"""So many originals are looked at, spread evenly over the classes."""


@dataclass(frozen=True)
class Distribution:
    """Classes and features of a training set without and with copies.

    Attributes:
        classes: class to (originals, originals and copies).
        features: feature to (mean, deviation) of originals and of copies.
    """

    classes: Mapping[str, tuple[int, int]]
    features: Mapping[str, tuple[tuple[float, float], tuple[float, float]]]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        classes = {name: {"before": pair[0], "after": pair[1]} for name, pair in self.classes.items()}
        told = {
            name: {when: {"mean": mean, "deviation": spread} for when, (mean, spread) in
                   zip(("before", "after"), pair, strict=True)}
            for name, pair in self.features.items()
        }  # fmt: skip
        return {"classes": classes, "features": told}

    def lines(self) -> list[str]:
        """Return sentences for people."""
        counts = ", ".join(f"{name} {old:,} to {new:,}" for name, (old, new) in self.classes.items())
        told = (f"{name} {old[0]:.3g} (+-{old[1]:.2g}) to {new[0]:.3g} (+-{new[1]:.2g})"
                for name, (old, new) in self.features.items())  # fmt: skip
        return [f"Classes, training: {counts}", f"Features of originals and copies: {', '.join(told)}"]


def distribution(ds: Dataset, policy: Policy, *, per_sample: int = 1, seed: int = 0) -> Distribution:
    """Return what a policy does to the classes and features of the training samples; no file is written.

    Args:
        ds: the data; only kept real training samples are used.
        policy: what is done.
        per_sample: copies of one original.
        seed: of the originals that are looked at and of the drawn parameters.

    Raises:
        LeakError: the data is not split.
        DataError: there is no training sample, or the policy is for another kind of data.
    """
    rows = growable(ds, who=WHO)
    same_kind(ds, policy)
    for operation in policy.parts():
        operation.ready()
    if not len(rows):
        raise DataError(WHO, "there is no kept, labelled, real training sample", do="label or split the data")
    codes = ds["label"][rows]
    counts = {ds.schema.classes[code]: int((codes == code).sum()) for code in np.unique(codes).tolist()}
    chosen = _spread(rows, codes, np.random.default_rng([seed, 0x64697374]))

    def opened(name: str) -> Any:
        return open_samples(ds, ds.rows_of([name]))[0]

    pool, parents = pool_of(ds, rows), Parents(opened, mask_opener(ds))
    measure, picture = MEASURES[ds.schema.modality], ds.schema.modality == "image"
    before, after = [], []
    for row in chosen.tolist():
        name = str(ds.ids[row])
        try:
            sample = parents.image(name)
            drawn = policy.draw_with(name, pool, seed=seed, copy=0)
            view = _view(sample, drawn, parents, name) if picture else replay_sample(sample, drawn, parents.image)
        except ScarceError:
            continue  # a broken sample is told where copies are made
        before.append(measure(sample))
        after.append(measure(view))
    if not before:
        raise DataError(WHO, f"none of {len(chosen)} training samples can be opened", do="restore the files")
    features = {
        name: (_moments([one[name] for one in before]), _moments([one[name] for one in after])) for name in before[0]
    }
    return Distribution({name: (n, n * (1 + per_sample)) for name, n in counts.items()}, features)


def _view(sample: Any, drawn: Sequence[tuple[str, Params]], parents: Parents, name: str) -> Array:
    image = checked(np.asarray(sample))
    return replay(parents.scene(name)._replace(image=image), drawn, parents).image


def _spread(rows: Ints, codes: Ints, rng: np.random.Generator) -> Ints:
    """Return at most :data:`MOST` rows, the rare classes whole where they fit."""
    classes = np.unique(codes)
    each = max(1, MOST // len(classes))
    return np.sort(np.concatenate([rng.permutation(rows[codes == code])[:each] for code in classes]))


def _moments(values: list[float]) -> tuple[float, float]:
    return round(float(np.mean(values)), 6), round(float(np.std(values)), 6)


def _picture(image: Any) -> dict[str, float]:
    import cv2

    values = np.asarray(image).astype(np.float32) / 255
    light = values if values.ndim == 2 else values.mean(axis=2)
    color = 0.0 if values.ndim == 2 else float((values.max(axis=2) - values.min(axis=2)).mean())
    edges = float(np.abs(cv2.Laplacian(light, cv2.CV_32F)).mean())
    return {"brightness": float(light.mean()), "contrast": float(light.std()), "color": color, "edges": edges}


def _text(text: Any) -> dict[str, float]:
    words = str(text).split()
    return {"words": len(words), "characters": len(str(text)), "distinct words": len(set(words))}


def _sound(sound: Any) -> dict[str, float]:
    values = np.asarray(sound, np.float32)
    turns = float((np.diff(np.signbit(values)) != 0).mean()) if values.size > 1 else 0.0
    return {"samples": values.size, "loudness": float(np.sqrt((values**2).mean())), "zero crossings": turns}


def _series(series: Any) -> dict[str, float]:
    values: Array = np.atleast_2d(np.asarray(series, np.float64))
    steps = np.nan_to_num(np.diff(values, axis=1)) if values.shape[1] > 1 else np.zeros((1, 1))
    return {"length": values.shape[1], "mean": float(np.nanmean(values)), "spread": float(np.nanstd(values)),
            "step": float(np.abs(steps).mean())}  # fmt: skip


MEASURES: Final[Mapping[str, Callable[[Any], dict[str, float]]]] = {
    "image": _picture, "text": _text, "audio": _sound, "time_series": _series,
}  # fmt: skip
"""Kind of data to simple features of one sample."""
