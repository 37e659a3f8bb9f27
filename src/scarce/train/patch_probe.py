"""A head on the cells of pictures, taught by masks or boxes where there are some: small defects, few samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import ConfigError, TrainError
from scarce.execute.local import spread
from scarce.extras import need
from scarce.loss_spec import LossSpec
from scarce.train._base import AbstractTrainer, Setup, TrainRows, refuse_out_of_range, training_rows
from scarce.train._folds import absent, calibrated, far_below
from scarce.train._named_loss import ClassWeights, LossName, loss_of
from scarce.train._validation import group_names
from scarce.train.model import Model, base_card

WHO = "train.patch_probe"
BLOCK = 64
"""Pictures whose maps are held at once when predicting."""


@final
@dataclass(frozen=True, kw_only=True)
class PatchProbe(AbstractTrainer):
    """A small head on the cells of pictures, taught by masks or boxes where there are some; shows where defects lie.

    Use for defects that are a small part of the picture, with masks or boxes of at least some, and a few dozen
    samples: a mask tells more than a label. Without masks the label alone teaches the cells (the most telling ones
    speak for the picture). Do not use for what the whole picture shows (a kind of garment): linear_probe is as good and
    quicker.

    Needs: pictures; ``mask_uri`` or ``meta.boxes`` help. Features are of EfficientNet-Lite0 at the picture's own size.
    Writes: a model with a heat map of every picture; temperature and threshold come from out-of-fold answers of whole
    groups.
    Source: multiple-instance pooling after Ilse et al. 2018 (section 2), the few most telling instances in place of a
    learnt attention; three levels of cells as in Lin et al. 2017 (feature pyramids), the network itself kept frozen.

    Args:
        scales: of the pictures' own size; one head each, averaged.
        longest: pictures with a longer side, in pixels, are shrunk to it first.
        most: pictures of a class that is known to be sound, drawn at random where there are more.
        loss: of whole pictures; a name or a specification.
        class_weights: replace those of the loss: ``auto`` (inverse frequency) or one for each class.
        steps: of training, 12 pictures each.
        draws: pictures of one group and class that an epoch takes at most, so that no object is learnt by heart.
        width: hidden numbers of a cell.
        learning_rate: of AdamW, on a cosine schedule.
        dropout: share of numbers that are left out in a step.
        cells: weight of the loss on cells against that on pictures; 0 = masks and boxes are not looked at.
        members: heads of each scale that are averaged.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    extra: ClassVar[str | None] = "train"
    modalities: ClassVar[tuple[str, ...]] = ("image",)

    scales: tuple[float, ...] = (1.0,)
    longest: int = 512
    most: int = 2000
    loss: LossSpec | LossName = "cross_entropy"
    class_weights: ClassWeights | None = None
    steps: int = 250
    draws: int = 3
    width: int = 64
    learning_rate: float = 2e-3
    dropout: float = 0.3
    cells: float = 1.0
    members: int = 1
    folds: int = 3

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "longest": (32, 4096), "most": (2, 1_000_000), "steps": (1, 1_000_000), "draws": (1, 1_000_000),
            "width": (1, 4096), "learning_rate": (1e-7, 1.0), "dropout": (0.0, 0.95), "cells": (0.0, 1e6),
            "members": (1, 100), "folds": (0, 100),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)
        if not self.scales or not all(0.1 <= scale <= 4 for scale in self.scales):
            raise ConfigError(WHO, f"scales = {list(self.scales)}", "each is between 0.1 and 4", "give at least one")

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit on all labelled rows of the training side that can be opened."""
        need("torch", extra="train")
        setup, train = setup or Setup(), view.train
        used = training_rows(train, setup, who=WHO)
        used = self._fewer(train, used.only(np.asarray(train["keep"].astype(bool)[used.rows])), seed)
        if len(np.unique(used.codes)) < 2:
            raise TrainError(WHO, "fewer than two classes have pictures that can be opened", do="check the files")
        spec = setup.loss or loss_of(self.loss, used.counts, class_weights=self.class_weights)
        if spec.kind == "ldam" or spec.deferred is not None:
            raise TrainError(WHO, "LDAM and deferred weights are for networks that are trained for long",
                             do="take cross_entropy, balanced_softmax or class_balanced")  # fmt: skip
        material = Material.of(view, np.unique(used.rows), self)
        card = base_card(view, "patch_probe", self.params(), seed=seed) | {
            "loss": asdict(spec), "absent_classes": absent(train.schema.classes, used), **used.told(train),
            "marked_rows": material.marked,
        }  # fmt: skip
        model = PatchModel(card=card, heads=self.heads(material, used, spec, seed))

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            heads = self.heads(material, inside, spec, seed)
            return far_below(answers_of(heads, material.maps_of(judged))[0], absent_codes(inside))

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def heads(self, material: Material, used: TrainRows, spec: LossSpec, seed: int) -> list[list[dict[str, Array]]]:
        """Return the weights of each scale's members, trained on some rows of the material."""
        from scarce.train._cell_head import Course, Lesson, train_head
        from scarce.train._maps import one_thread_each

        course = Course(
            steps=self.steps, draws=self.draws, width=self.width, learning_rate=self.learning_rate,
            dropout=self.dropout, cells=self.cells,
        )  # fmt: skip
        lessons = [
            Lesson(
                maps=maps, soft=used.soft, weights=used.weights, units=material.units_of(used.rows, used.codes),
                marked=marked, normal=material.normal,
            )
            for maps, marked in zip(material.maps_of(used.rows), material.marks_of(used.rows, used.codes), strict=True)
        ]  # fmt: skip
        jobs = [(lesson, seed + 1000 * member) for lesson in lessons for member in range(self.members)]
        with one_thread_each():
            found = spread(lambda job: train_head(job[0], course, spec, seed=job[1]), jobs)
        return [found[start : start + self.members] for start in range(0, len(found), self.members)]

    def _fewer(self, train: Dataset, used: TrainRows, seed: int) -> TrainRows:
        normal = [train.schema.classes.index(name) for name in train.schema.normal_classes]
        sound = np.flatnonzero(np.isin(used.codes, normal))
        if len(sound) <= self.most:
            return used
        left = np.random.default_rng([seed, 0x70726F]).permutation(sound)[self.most :]
        keep = np.ones(len(used.rows), bool)
        keep[left] = False
        return used.only(keep)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the heads."""
        need("torch", extra="train")
        params = card["params"]
        heads: list[list[dict[str, Array]]] = [[{} for _ in range(params["members"])] for _ in params["scales"]]
        for name, array in tensors.items():
            scale, member, own = name.split("/")
            heads[int(scale)][int(member)][own] = array
        if any(len(one["pool_bias"]) != len(card["classes"]) for head in heads for one in head):
            raise KeyError(f"the weights are not of {len(card['classes'])} classes")
        return PatchModel(card=dict(card), heads=heads)


@dataclass(frozen=True, eq=False)
class Material:
    """What the rows of a training side teach.

    Attributes:
        rows: (M,) row numbers of the training side, ascending.
        maps: of each scale, for each row.
        shares: of each scale and row, (P,) the share of each cell that is marked; None where nobody said where.
        groups: (M,) the object that each row shows.
        normal: codes of the classes that are known to be sound.
        classes: K.
    """

    rows: Ints
    maps: list[list[Any]]
    shares: list[list[Floats | None]]
    groups: Array
    normal: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, view: FoldView, rows: Ints, trainer: PatchProbe) -> Material:
        """Open the pictures and their masks; grown rows are rendered from parents, which the whole dataset holds."""
        from scarce.train import _maps

        train, whole = view.train, view.dataset
        own = whole.rows_of(train.ids[rows])
        maps = [_maps.maps_of(whole, own, scale=scale, longest=trainer.longest) for scale in trainer.scales]
        none: list[Floats | None] = [None] * len(rows)
        shares = [_maps.shares_of(whole, own, one) if trainer.cells else none for one in maps]
        normal = tuple(whole.schema.classes.index(name) for name in whole.schema.normal_classes)
        return cls(rows, maps, shares, group_names(train)[rows].astype(str), normal, len(whole.schema.classes))

    @property
    def marked(self) -> int:
        """Rows whose cells a mask or a box marks."""
        return sum(share is not None for share in self.shares[0])

    def maps_of(self, rows: Ints) -> list[list[Any]]:
        """Return the maps of some rows, of each scale."""
        places = np.searchsorted(self.rows, rows)
        return [[maps[place] for place in places] for maps in self.maps]

    def marks_of(self, rows: Ints, codes: Ints) -> list[list[Ints]]:
        """Return what the cells of some rows with these classes teach, at each scale."""
        from scarce.train._cell_head import codes_of

        places = np.searchsorted(self.rows, rows)
        return [
            [
                codes_of(shares[place], int(code), sound=code in self.normal, cells=len(maps[place].fine),
                         classes=self.classes)
                for place, code in zip(places, codes, strict=True)
            ]
            for maps, shares in zip(self.maps, self.shares, strict=True)
        ]  # fmt: skip

    def units_of(self, rows: Ints, codes: Ints) -> Ints:
        """Return (n,) the number of each row's group and class."""
        groups = self.groups[np.searchsorted(self.rows, rows)]
        names = [f"{group}\n{code}" for group, code in zip(groups, codes, strict=True)]
        return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PatchModel(Model):
    """Heads on the cells of pictures, for each scale its members."""

    heads: list[list[dict[str, Array]]]

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) logits; pictures are opened in blocks, set-aside rows are NaN."""
        return self._both(ds)[0]

    def heat(self, ds: Dataset) -> list[Floats]:
        """Return for each row the (lines, columns) probability that a cell shows a defect; NaN where set aside."""
        return [one if one is not None else np.full((1, 1), np.nan) for one in self._both(ds)[1]]

    @property
    def heat_limits(self) -> tuple[float, float]:
        """Heat that is left as it is, and heat that is all color."""
        return 0.1, 0.9

    def tensors(self) -> dict[str, Array]:
        """Return the weights of all heads."""
        return {
            f"{scale}/{member}/{name}": array
            for scale, head in enumerate(self.heads) for member, one in enumerate(head) for name, array in one.items()
        }  # fmt: skip

    def _both(self, ds: Dataset) -> tuple[Floats, list[Floats | None]]:
        from scarce.train._maps import maps_of

        out: Floats = np.full((len(ds), len(self.classes)), np.nan)
        heat: list[Floats | None] = [None] * len(ds)
        params = self.card["params"]
        sound = [self.classes.index(name) for name in self.card["normal_classes"]]
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            maps = [maps_of(ds, block, scale=scale, longest=int(params["longest"])) for scale in params["scales"]]
            logits, cells = answers_of(self.heads, maps)
            out[block] = far_below(logits, self.absent_codes)
            for row, one, own in zip(block.tolist(), maps[0], cells, strict=True):
                clear = own[:, -1] + own[:, sound].sum(1)
                heat[row] = (1 - clear).reshape(one.grid)
        return out, heat


def answers_of(
    heads: Sequence[Sequence[dict[str, Array]]], maps: Sequence[Sequence[Any]]
) -> tuple[Floats, list[Floats]]:
    """Return (N, K) logits averaged over scales and members, and (P, K + 1) probabilities of cells at the first scale.

    Args:
        heads: weights of each scale's members.
        maps: of N pictures, for each scale.
    """
    from scipy.special import log_softmax

    from scarce.train._cell_head import judge
    from scarce.train._maps import one_thread_each

    jobs = [(one, own, scale) for scale, (head, own) in enumerate(zip(heads, maps, strict=True)) for one in head]
    with one_thread_each():
        told = spread(lambda job: judge(job[0], job[1]), jobs)
    logits = np.mean([log_softmax(found, axis=1) for found, _ in told], axis=0)
    first = [cells for (_, cells), (_, _, scale) in zip(told, jobs, strict=True) if scale == 0]
    return logits, [np.mean(one, axis=0) for one in zip(*first, strict=True)]


def absent_codes(used: TrainRows) -> list[int]:
    """Return the codes of the classes without a training sample."""
    return np.flatnonzero(used.soft.sum(0) == 0).tolist()
