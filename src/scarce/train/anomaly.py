"""A memory of what sound parts look like, place by place: finds defects that nobody has seen yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Schema
from scarce.errors import TrainError
from scarce.execute.local import spread
from scarce.metric.ranking import threshold_at_false_positive_rate
from scarce.probe import fold_of
from scarce.train._base import AbstractTrainer, Setup, fitted_rows, refuse_out_of_range
from scarce.train._validation import FALSE_POSITIVE_RATE, group_names
from scarce.train.linear_probe import encoded, encoder_params, features_of
from scarce.train.model import Model, base_card

WHO = "train.anomaly"
COLUMN: Final = "embedding.patch"
DEFECT: Final = "defect"
SOUND: Final = "sound"
"""What several normal classes, which the model does not tell apart, are called where it is judged."""
DRAWN: Final = 40_000
"""Places that the memory is chosen from."""


@final
@dataclass(frozen=True, kw_only=True)
class Anomaly(AbstractTrainer):
    """Remember the places of sound pictures, and call defective what has a place unlike all of them.

    Use with no known defect, or a handful. Do not use where defects are known by the dozen: linear_probe and finetune
    learn what they look like; nor where sound parts differ more among themselves than a defect does from them.

    Needs: pictures of a class known to be normal; ``embedding.patch`` (N, D), which is made where it is missing.
    Writes: a model of two answers, the normal class and ``defect``, with a heat map of every picture. Known defects are
    not looked at. Its threshold lets the wanted share of sound parts through a memory that does not hold their group.
    Source: Roth et al. 2022 (PatchCore); the core-set is chosen greedily (Sener and Savarese 2018) from a random draw.

    Args:
        size: side of the picture that is looked at, in pixels, a multiple of 16.
        memory: places that are remembered.
        top: share of a picture's places whose mean distance is its score; the farthest place alone at 0.
        most: sound pictures that are looked at, drawn at random where there are more.
        folds: of whole groups, for the threshold.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    encoder: ClassVar[str | None] = "patch"

    size: int = 192
    memory: int = 2000
    top: float = 0.005
    most: int = 2000
    folds: int = 4

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "size": (32, 1024), "memory": (1, 1_000_000), "top": (0.0, 1.0), "most": (2, 1_000_000), "folds": (2, 100),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Remember the sound pictures of the training side; rows and losses of the setup change nothing."""
        del setup
        schema = view.dataset.schema
        if not schema.normal_classes:
            raise TrainError(WHO, "no class is known to be normal", f"the classes are {', '.join(schema.classes)}",
                             "name it: --normal CLASS when the data is read")  # fmt: skip
        train, rows = self._sound(view, seed)
        if COLUMN not in train.wide:
            train = encoded(train.take(rows), "patch", {"size": self.size})
            rows = np.arange(len(train))
        features = train[COLUMN]
        rows = rows[np.isfinite(features[rows]).all(1)]
        if len(rows) < 2:
            raise TrainError(WHO, f"there are {len(rows)} sound pictures to remember", do="add some; ten are a start")
        params = encoder_params(train, "patch")
        width = int(params.get("width", 48))
        card = base_card(view, "anomaly", self.params(), seed=seed) | {
            "classes": [*schema.normal_classes, DEFECT], "embedding": COLUMN, "encoder": "patch", "width": width,
            "encoder_params": params, "dimensions": int(features.shape[1]), "absent_classes": [], "sound_only": True,
            **fitted_rows(train, rows, train["label"][rows]),
        }  # fmt: skip
        places = np.ascontiguousarray(features, np.float32).reshape(len(features), -1, width)
        remembered = core_set(places[rows], self.memory, seed=seed)
        model = AnomalyModel(card=card, remembered=remembered)
        return replace(model, card=card | self._limits(places, rows, group_names(train)[rows], seed))

    def _sound(self, view: FoldView, seed: int) -> tuple[Dataset, Ints]:
        train = view.train
        normal = [train.schema.classes.index(name) for name in train.schema.normal_classes]
        rows = np.flatnonzero(np.isin(train["label"], normal) & (train["origin"] == "real"))
        if len(rows) > self.most:
            rows = np.sort(np.random.default_rng([seed, 0x616E6F]).permutation(rows)[: self.most])
        return train, rows

    def _limits(self, places: Floats, rows: Ints, groups: Array, seed: int) -> dict[str, Any]:
        """Return what scores sound pictures get from a memory without their group: middle, limit and threshold."""
        fold = fold_of(np.zeros(len(rows), np.int64), groups, min(self.folds, len(rows)), seed=seed)

        def judge(one: int) -> tuple[Floats, Ints]:
            inside, outside = rows[fold != one], np.flatnonzero(fold == one)
            if not len(inside):
                return np.zeros(0), np.zeros(0, np.int64)
            memory = core_set(places[inside], self.memory, seed=seed)
            return np.array([score_of(distances(places[rows[at]], memory), self.top) for at in outside]), outside

        scores = np.concatenate([part[0] for part in spread(judge, [int(one) for one in np.unique(fold)])])
        middle, limit = float(np.median(scores)), _limit(scores)
        return {
            "middle": middle, "limit": max(limit, middle + 1e-9), "held_back_rows": len(scores),
            "operating_point": {
                "threshold": 0.5, "false_positive_rate": FALSE_POSITIVE_RATE, "in_sample": True,
                "chosen_on": "sound training parts, each judged by a memory without its group",
                "normals": len(scores), "defects": 0, "caught": 0, "recall": None, "recall_low": None,
            },
        }  # fmt: skip

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the memory."""
        if tensors["remembered"].shape[1] != card["width"]:
            raise KeyError(f"places of {tensors['remembered'].shape[1]} numbers, the card says {card['width']}")
        return AnomalyModel(card=dict(card), remembered=tensors["remembered"])


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class AnomalyModel(Model):
    """Remembered places (M, D)."""

    remembered: Floats

    def stale(self, schema: Schema) -> str | None:
        """Return why the model no longer fits: its normal classes are gone. New defects change nothing."""
        if schema.classes == (SOUND, DEFECT):
            return None
        gone = sorted(set(self.card["normal_classes"]) - set(schema.classes))
        return f"the model knows {gone} as normal, which the data no longer has" if gone else None

    def probabilities(self, logits: Floats, schema: Schema) -> Floats:
        """Return (N, K) probabilities; each side is shared evenly among the classes that are on it.

        Raises:
            DataError: the normal classes are gone.
        """
        self.refuse_stale(schema)
        defect = 1 / (1 + np.exp(-logits[:, -1] / self.temperature))
        names = schema.classes or self.classes
        normal = np.isin(names, [SOUND] if names == (SOUND, DEFECT) else self.card["normal_classes"])
        out = np.zeros((len(logits), len(names)))
        out[:, normal] = ((1 - defect) / normal.sum())[:, None]
        if not normal.all():
            out[:, ~normal] = (defect / (~normal).sum())[:, None]
        return out

    def judged_on(self, ds: Dataset) -> Dataset:
        """Return the data with two classes: sound, by its own name where there is one such class, and ``defect``.

        Classes that the data calls normal are sound, and so are those that the model learned as such.
        """
        own = tuple(self.card["normal_classes"])
        sound = own[0] if len(own) == 1 else SOUND
        good = {*own, *ds.schema.normal_classes}
        labels = [
            None if label is None else sound if label in good else DEFECT for label in ds.table["label"].to_pylist()
        ]
        schema = replace(ds.schema, classes=(sound, DEFECT), normal_classes=(sound,))
        table = ds.table.drop_columns([name for name in ("label_probs",) if name in ds.table.column_names])
        return replace(ds, schema=schema, table=table).with_columns({"label": labels})

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) logits, 0 for the normal classes; NaN where a row was set aside.

        A defect's logit is 0 at the score that the wanted share of sound parts reaches, and -4 at their middle.
        """
        out = np.zeros((len(ds), len(self.classes)))
        middle, limit = float(self.card["middle"]), float(self.card["limit"])
        scores = np.array([
            score_of(heat, float(self.card["params"]["top"])) for heat in self.heat(ds).reshape(len(ds), -1)
        ])  # fmt: skip
        out[:, -1] = 4 * (scores - limit) / (limit - middle)
        out[np.isnan(scores)] = np.nan
        return out

    def heat(self, ds: Dataset) -> Floats:
        """Return (N, G, G) distances of every place to the nearest remembered one; NaN where a row was set aside."""
        features = features_of(ds, self.card)
        places = features.reshape(len(features), -1, int(self.card["width"]))
        side = round(places.shape[1] ** 0.5)
        out = np.full((len(ds), places.shape[1]), np.nan, np.float32)
        for row in np.flatnonzero(np.isfinite(features).all(1)):
            out[row] = distances(places[row], self.remembered)
        return out.reshape(len(ds), side, side)

    @property
    def heat_limits(self) -> tuple[float, float]:
        """Heat that is left as it is: that of sound pictures; heat that is all color."""
        middle, limit = float(self.card["middle"]), float(self.card["limit"])
        return middle, 2 * limit - middle

    def tensors(self) -> dict[str, Array]:
        """Return the remembered places."""
        return {"remembered": self.remembered}


def core_set(places: Floats, size: int, *, seed: int) -> Floats:
    """Return (M, D) places such that every drawn place is near one of them: the farthest one is added each time.

    Args:
        places: (N, P, D).
        size: M at most.
        seed: of the draw of :data:`DRAWN` places.
    """
    flat = places.reshape(-1, places.shape[-1])
    rng = np.random.default_rng([seed, 0x636F72])
    if len(flat) > DRAWN:
        flat = flat[np.sort(rng.choice(len(flat), DRAWN, replace=False))]
    flat = np.ascontiguousarray(flat, np.float32)
    if len(flat) <= size:
        return flat
    length = np.einsum("nd,nd->n", flat, flat)
    chosen = [int(((flat - flat.mean(0)) ** 2).sum(1).argmin())]
    nearest = np.full(len(flat), np.inf, np.float32)
    while len(chosen) < size:
        last = chosen[-1]
        np.minimum(nearest, length - 2 * (flat @ flat[last]) + length[last], out=nearest)
        chosen.append(int(nearest.argmax()))
    return flat[chosen]


def distances(places: Floats, memory: Floats) -> Floats:
    """Return (P,) distances of (P, D) places to the nearest of (M, D)."""
    squared = (places**2).sum(1)[:, None] - 2 * places @ memory.T + (memory**2).sum(1)
    return np.asarray(np.sqrt(np.maximum(squared.min(1), 0)), np.float32)


def score_of(heat: Floats, top: float) -> float:
    """Return the mean of the largest share of (P,) distances, at least of one."""
    count = max(1, round(top * len(heat)))
    return float(np.partition(heat, len(heat) - count)[-count:].mean()) if np.isfinite(heat).all() else float("nan")


def _limit(scores: Floats) -> float:
    """Return the score that the wanted share of sound parts reaches, at most."""
    found = threshold_at_false_positive_rate(np.zeros(len(scores), bool), scores, FALSE_POSITIVE_RATE)
    return float(found) if np.isfinite(found) else float(scores.max()) * (1 + 1e-6)
