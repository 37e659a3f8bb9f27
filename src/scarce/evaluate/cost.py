"""What the mistakes cost, and which answers would cost least."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scarce.dataset import Array, Floats
from scarce.errors import ConfigError, ReadError
from scarce.evaluate._base import plain
from scarce.evaluate.operating_point import defect_score
from scarce.evaluate.threshold import at_cost, decide
from scarce.metric.interval import cluster_bootstrap

WHO = "evaluate.cost"


def costs_of(text: str, classes: Sequence[str], normal: Sequence[str]) -> Floats:
    """Return the (K, K) matrix of costs that a user wrote: rows = truth, columns = answer.

    Args:
        text: ``MISS,ALARM`` (a defect that passes, a sound sample that is rejected), or a CSV file whose first row
            holds the answers and whose first column holds the truths.
        classes: K names.
        normal: names of the sound classes.

    Raises:
        ConfigError: two costs without a sound class, numbers that are none, or names that do not fit.
        ReadError: the file cannot be read.
    """
    parts = text.split(",")
    if len(parts) == 2 and not Path(text).exists():
        miss, alarm = (_number(part, text) for part in parts)
        sound = np.isin(list(classes), list(normal))
        if not sound.any() or sound.all():
            raise ConfigError(WHO, f"--costs {text} tells misses from alarms, and no class is known to be sound",
                              do="name it (normal_classes in scarce.toml), or give a CSV file of costs")  # fmt: skip
        return np.where(~sound[:, None] & sound[None], miss, 0.0) + np.where(sound[:, None] & ~sound[None], alarm, 0.0)
    try:
        with Path(text).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(WHO, f"--costs {text} cannot be read ({error})",
                        do="give MISS,ALARM, for example 10,1, or a CSV file") from error  # fmt: skip
    head, found = [name.strip() for name in rows[0][1:]] if rows else [], {row[0].strip(): row[1:] for row in rows[1:]}
    if sorted(head) != sorted(classes) or sorted(found) != sorted(classes):
        raise ConfigError(WHO, f"{text} has the answers {head} and the truths {sorted(found)}",
                          f"the classes are {sorted(classes)}", "name each class once in both")  # fmt: skip
    out = np.zeros((len(classes), len(classes)))
    for true, cells in found.items():
        if len(cells) != len(head):
            raise ConfigError(WHO, f"the row {true!r} of {text} has {len(cells)} costs", f"wanted are {len(head)}")
        for answer, cell in zip(head, cells, strict=True):
            out[list(classes).index(true), list(classes).index(answer)] = _number(cell, text)
    return out


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigError(
            WHO, f"--costs {whole}: {text.strip()!r} is no number", do="write for example 10,1"
        ) from error
    if not (np.isfinite(value) and value >= 0):
        raise ConfigError(WHO, f"--costs {whole}: {value:g} is no cost", do="give numbers from 0 on")
    return value


def cost_report(  # noqa: PLR0913  the parts of one judgement
    y: Array, probs: Floats, costs: Floats, classes: Sequence[str], *, groups: Array, normal: Sequence[int] = (),
    natural: Floats | None = None, out_of_fold: tuple[Array, Floats] | None = None, draws: int = 1000, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Return what each way to answer costs per 1,000 samples as common as these, with intervals.

    Args:
        y: (N,) true codes.
        probs: (N, K) the model's probabilities.
        costs: (K, K), rows = truth, columns = answer.
        classes: K names.
        groups: (N,) drawn whole.
        normal: codes of the sound classes; where costs depend on sound or not alone, a threshold is chosen.
        natural: (N, K) probabilities where classes are as common as in use; None = ``probs``.
        out_of_fold: (labels, probabilities) that the threshold is chosen on.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        ``matrix``, ``classes``, ``always`` (the cheapest class that is always answered), ``ways``: name to ``value``,
        ``low``, ``high`` per 1,000, and ``threshold`` of the defect score with the least cost out of fold, or None.
    """
    answers = {
        "likeliest class": probs.argmax(1),
        "least expected cost": decide(probs if natural is None else natural, costs),
    }
    always = int(np.argmin([costs[y, code].mean() for code in range(len(classes))]))
    threshold = None
    sides = _sides(costs, normal)
    if sides is not None and out_of_fold is not None:
        defect = ~np.isin(out_of_fold[0], list(normal))
        if defect.any() and not defect.all():
            score = defect_score(out_of_fold[1], tuple(normal))
            threshold = at_cost(defect, score, miss=sides[0], alarm=sides[1]).threshold
    every = {name: costs[y, answer] for name, answer in answers.items()}
    if threshold is not None and sides is not None:
        rejected, bad = defect_score(probs, tuple(normal)) >= threshold, ~np.isin(y, list(normal))
        every["frozen threshold of least cost"] = np.where(
            bad & ~rejected, sides[0], np.where(~bad & rejected, sides[1], 0)
        )
    every[f"always {classes[always]}"] = costs[y, always]
    ways = {}
    for name, paid in every.items():
        found = cluster_bootstrap(
            groups, lambda weights, paid=paid: weights @ paid / np.maximum(weights.sum(1), 1),  # type: ignore[misc]
            repeats=draws, seed=seed, strata=y,
        )  # fmt: skip
        ways[name] = {"value": 1000 * found.value, "low": 1000 * found.low, "high": 1000 * found.high}
    return plain({  # type: ignore[no-any-return]
        "classes": list(classes), "matrix": costs.tolist(), "ways": ways, "threshold": threshold,
    })  # fmt: skip


def _sides(costs: Floats, normal: Sequence[int]) -> tuple[float, float] | None:
    """Return the cost of a miss and of an alarm where nothing else costs anything, or None."""
    sound = np.isin(np.arange(len(costs)), list(normal))
    if not sound.any() or sound.all():
        return None
    misses, alarms = costs[np.ix_(~sound, sound)], costs[np.ix_(sound, ~sound)]
    rest = costs[np.ix_(sound, sound)].any() or costs[np.ix_(~sound, ~sound)].any()
    if rest or np.ptp(misses) or np.ptp(alarms):
        return None
    return float(misses.flat[0]), float(alarms.flat[0])
