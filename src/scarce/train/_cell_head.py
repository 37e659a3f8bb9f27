"""A head on the cells of pictures: what each cell shows, and from its cells what the picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from scarce.dataset import Array, Floats, Ints
from scarce.loss_spec import LossSpec
from scarce.train._maps import CHANNELS, Maps
from scarce.train.loss._base import ImbalanceLoss

FULL: Final = 0.25
"""From this share of a cell on it shows the defect; of a smaller defect the cell that holds most of it."""
TOP: Final = 3
"""The cells whose mean speaks for a picture, beside that of a tenth of its cells and of all."""
BATCH: Final = 12
WARM: Final = 20
"""Steps until the learning rate is full."""
SAMPLED: Final = 150
"""Pictures that mean and deviation of the features are measured on."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a head is trained.

    Args:
        steps: of :data:`BATCH` pictures.
        draws: pictures of one group and class that an epoch takes, at most.
        width: hidden numbers of a cell.
        learning_rate, weight_decay, dropout: of AdamW on a cosine schedule.
        cells: weight of the loss on cells against that on pictures.
    """

    steps: int = 250
    draws: int = 3
    width: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    cells: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson:
    """What a head is taught.

    Args:
        maps: of N pictures.
        soft: (N, K) float32 targets.
        weights: (N,) weights, mean 1.
        units: (N,) number of the group and class of each picture.
        marked: (P,) codes of the cells of each picture: a class, K = nothing of note, -1 = nobody knows.
        normal: codes of the classes that are known to be sound.
    """

    maps: Sequence[Maps]
    soft: Floats
    weights: Floats
    units: Ints
    marked: Sequence[Ints]
    normal: Sequence[int] = ()


def codes_of(share: Floats | None, code: int, *, sound: bool, cells: int, classes: int) -> Ints:
    """Return (P,) what the cells of a picture teach: its class, ``classes`` = nothing of note, -1 = nothing.

    Args:
        share: (P,) of each cell that is marked; None = nobody said where.
        code: the picture's class.
        sound: its class is known to be sound.
        cells: P.
        classes: K.
    """
    if sound:
        return np.full(cells, classes)
    if share is None or not share.max() > 0:
        return np.full(cells, -1)
    return np.where(share >= min(FULL, float(share.max())), code, np.where(share > 0, -1, classes))


def train_head(lesson: Lesson, course: Course, spec: LossSpec, *, seed: int) -> dict[str, Array]:
    """Return the weights of a head; the same for the same lesson and seed, whatever else runs beside it."""
    rng, generator = np.random.default_rng([seed, 0x63656C]), torch.Generator().manual_seed(seed)
    classes = lesson.soft.shape[1]
    moments = _moments(lesson.maps, rng)
    weights = _fresh(classes, course.width, lesson.normal, generator)
    optimizer = torch.optim.AdamW(list(weights.values()), lr=course.learning_rate, weight_decay=course.weight_decay)
    loss_of = ImbalanceLoss.from_spec(spec)
    step = 0
    while step < course.steps:
        drawn = _epoch(lesson.units, course.draws, rng)
        parts = -(-len(drawn) // BATCH)
        for part in range(min(parts, course.steps - step)):
            rows = drawn[part::parts]
            rate = course.learning_rate * min(1.0, (step + 1) / WARM)
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / course.steps))
            cells, pictures = _forward(
                {**weights, **moments}, [lesson.maps[row] for row in rows], dropout=course.dropout, generator=generator
            )
            target = torch.from_numpy(lesson.soft[rows])
            weight = torch.from_numpy(lesson.weights[rows].astype(np.float32))
            loss = loss_of(pictures, target, weight)
            loss = loss + course.cells * _cell_loss(cells, [lesson.marked[row] for row in rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return {name: value.detach().numpy().copy() for name, value in {**weights, **moments}.items()}


def judge(weights: dict[str, Array], maps: Sequence[Maps]) -> tuple[Floats, list[Floats]]:
    """Return (N, K) logits of pictures, and (P, K + 1) probabilities of the cells of each."""
    held = {name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()}
    logits, cells = np.zeros((len(maps), len(weights["pool_bias"]))), []
    with torch.inference_mode():
        for row, one in enumerate(maps):
            own, picture = _forward(held, [one])
            logits[row] = picture[0].numpy()
            cells.append(own.softmax(1).numpy())
    return logits, cells


def _epoch(units: Ints, draws: int, rng: np.random.Generator) -> Ints:
    """Return rows in random order, at most so many of each unit."""
    order = rng.permutation(len(units))
    order = order[np.argsort(units[order], kind="stable")]
    _, first = np.unique(units[order], return_index=True)
    turn = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    return np.asarray(rng.permutation(order[turn < draws]), np.int64)


def _moments(maps: Sequence[Maps], rng: np.random.Generator) -> dict[str, Any]:
    some = [maps[row] for row in rng.permutation(len(maps))[:SAMPLED]]
    out = {}
    for name in ("fine", "middle", "coarse"):
        seen = np.concatenate([getattr(one, name)[::7] for one in some]).astype(np.float32)
        out[f"{name}_mean"] = torch.from_numpy(seen.mean(0))
        out[f"{name}_scale"] = torch.from_numpy(seen.std(0) + 1e-3)
    return out


def _fresh(classes: int, width: int, normal: Sequence[int], generator: Any) -> dict[str, Any]:
    """Return weights to start from: a picture shows what its most telling cells show, and is sound otherwise."""

    def drawn(inputs: int, outputs: int, bound: float) -> Any:
        return (2 * torch.rand(inputs, outputs, generator=generator) - 1) * bound

    fine, middle, coarse = CHANNELS
    pool = 0.01 * torch.randn(3 * classes, classes, generator=generator)
    bias = torch.zeros(classes)
    for code in range(classes):
        if code in normal:
            bias[code] = 2.0
        else:
            pool[code, code] += 0.7
            pool[classes + code, code] += 0.3
    out = {
        "fine": drawn(fine, width, fine**-0.5), "middle": drawn(middle, width, middle**-0.5),
        "coarse": drawn(coarse, width, coarse**-0.5), "edges": drawn(4, width, 0.5),
        "whole": torch.zeros(sum(CHANNELS), width), "hidden_bias": torch.zeros(width),
        "out": drawn(width, classes + 1, width**-0.5), "out_bias": torch.zeros(classes + 1),
        "pool": pool, "pool_bias": bias,
    }  # fmt: skip
    return {name: value.requires_grad_() for name, value in out.items()}


def _forward(
    weights: dict[str, Any], maps: Sequence[Maps], *, dropout: float = 0.0, generator: Any = None
) -> tuple[Any, Any]:
    """Return (C, K + 1) logits of all cells of the pictures and (n, K) of the pictures."""
    levels, counts = {}, {}
    for name in ("fine", "middle", "coarse"):
        parts = [getattr(one, name) for one in maps]
        counts[name] = [len(part) for part in parts]
        values = torch.from_numpy(np.concatenate(parts)).float()
        levels[name] = ((values - weights[f"{name}_mean"]) / weights[f"{name}_scale"]).clamp(-5, 5)
    around = [one.around() for one in maps]
    hidden = levels["fine"] @ weights["fine"] + weights["hidden_bias"]
    for place, name in enumerate(("middle", "coarse")):
        starts = np.concatenate([[0], np.cumsum(counts[name])])
        rows = np.concatenate([pair[place] + start for pair, start in zip(around, starts, strict=False)])
        hidden = hidden + (levels[name] @ weights[name])[torch.from_numpy(rows)]
    hidden = hidden + torch.from_numpy(np.concatenate([one.edges() for one in maps])) @ weights["edges"]
    split = [levels[name].split(counts[name]) for name in levels]
    whole = torch.stack([torch.cat([part.mean(0) for part in own]) for own in zip(*split, strict=True)])
    own = _dropped(whole, dropout, generator) @ weights["whole"]
    hidden = hidden + torch.repeat_interleave(own, torch.tensor(counts["fine"]), 0)
    cells = _dropped(hidden.relu(), dropout, generator) @ weights["out"] + weights["out_bias"]
    telling = [_pooled(one) for one in (cells[:, :-1] - cells[:, -1:]).split(counts["fine"])]
    return cells, torch.stack(telling) @ weights["pool"] + weights["pool_bias"]


def _pooled(cells: Any) -> Any:
    """Return (3 K,) means over the few most telling cells of each class, over a tenth of the cells, and over all."""
    few, many = (cells.topk(count, 0)[0].mean(0) for count in (min(TOP, len(cells)), max(1, len(cells) // 10)))
    return torch.cat([few, many, cells.mean(0)])


def _dropped(values: Any, share: float, generator: Any) -> Any:
    if not share or generator is None:
        return values
    return values * (torch.rand(values.shape, generator=generator) >= share) / (1 - share)


def _cell_loss(cells: Any, marked: Sequence[Ints]) -> Any:
    """Return the loss of the cells; in a picture with a defect, the defect's cells count as much as all others."""
    nothing = cells.shape[1] - 1
    weights = []
    for codes in marked:
        defect, clear = (codes >= 0) & (codes < nothing), codes == nothing
        share = 0.5 if defect.any() and clear.any() else 1.0
        weights.append(share * (defect / max(1, defect.sum()) + clear / max(1, clear.sum())))
    target = torch.from_numpy(np.concatenate(marked))
    found = cross_entropy(cells, target, reduction="none", ignore_index=-1)
    return (found * torch.from_numpy(np.concatenate(weights).astype(np.float32))).sum() / len(marked)
