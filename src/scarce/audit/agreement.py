"""How far annotators agree beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, finding
from scarce.ballot import ratings_of
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.metric import agreement as co

MOST_SHOWN: Final = 12
BANDS: Final = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))


class Estimate(NamedTuple):
    """A coefficient with its interval: 1 = perfect, 0 = as chance would have it, NaN = not defined."""

    value: float
    low: float
    high: float


class Judged(NamedTuple):
    """All that is known about N items and R raters.

    Attributes:
        alpha, fleiss: Krippendorff's alpha (nominal) and Fleiss' kappa, with intervals.
        per_class: alpha of each class against all others.
        cohen: (R, R) Cohen's kappa of every pair; NaN on the diagonal and where two raters share no item.
        shared: (R, R) items that both rated.
        mean_cohen: mean over the pairs that share an item.
        per_rater: kappa of each rater against all others.
        items: number of items with at least two ratings.
    """

    alpha: Estimate
    fleiss: Estimate
    per_class: list[Estimate]
    cohen: Floats
    shared: Ints
    mean_cohen: float
    per_rater: list[Estimate]
    items: int

    def to_json(self, voters: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
        """Return plain values; None where a coefficient is not defined.

        Args:
            voters: names of the R raters.
            classes: names of the K classes.
        """

        def plain(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        def told(one: Estimate) -> dict[str, Any]:
            return {**{name: plain(value) for name, value in one._asdict().items()}, "word": in_words(one.value)}

        return {
            "items": self.items, "alpha": told(self.alpha), "fleiss": told(self.fleiss),
            "cohen": {
                "mean": plain(self.mean_cohen), "word": in_words(self.mean_cohen), "annotators": list(voters),
                "matrix": [[plain(value) for value in row] for row in self.cohen], "shared": self.shared.tolist(),
            },
            "per_class": {name: told(one) for name, one in zip(classes, self.per_class, strict=False)},
            "per_annotator": {name: told(one) for name, one in zip(voters, self.per_rater, strict=True)},
        }  # fmt: skip


def in_words(value: float) -> str:
    """Return the band of a coefficient in words.

    Source: Landis and Koch 1977.

    Example:
        >>> in_words(0.43)
        'moderate'
    """
    if np.isnan(value):
        return "not defined"
    if value < 0:
        return "poor"
    return next((word for limit, word in BANDS if value <= limit), "almost perfect")


def cohen_kappa(ratings: Array) -> float:
    """Return Cohen's kappa, for more than two raters the mean over all pairs that share an item.

    Args:
        ratings: (N, R) class codes, -1 = missing.

    Raises:
        DataError: wrong shape, or no class codes.
    """
    matrix, shared = cohen_matrix(ratings)
    return _mean_pair(matrix, shared)


def cohen_matrix(ratings: Array) -> tuple[Floats, Ints]:
    """Return (R, R) Cohen's kappa of every pair of raters, and how many items each pair shares.

    NaN where a pair shares no item or both always name one and the same class, and on the diagonal.

    Source: Cohen 1960.
    """
    rows, k = co.valid(ratings)
    raters = rows.shape[1]
    matrix, shared = np.full((raters, raters), np.nan), np.zeros((raters, raters), np.int64)
    known = co.all_pairs(rows, k)
    block = max(1, 2**15 // max(k * k, 1))
    for one in range(raters):
        for start in range(one + 1, raters, block):
            others = range(start, min(raters, start + block))
            counts = co.pair_counts(rows, k, one, others) if known is None else known[one, others]
            matrix[one, others] = matrix[others, one] = co.kappa(counts)
            shared[one, others] = shared[others, one] = counts.sum(axis=(1, 2))
    return matrix, shared


def fleiss_kappa(ratings: Array) -> float:
    """Return Fleiss' kappa over the items with at least two ratings; the numbers of ratings may differ.

    Args:
        ratings: (N, R) class codes, -1 = missing.

    Source: Fleiss 1971; items with fewer ratings count as much as others.
    """
    rows, k = co.valid(ratings)
    return float(co.fleiss(co.totals(rows, k)[None], k)[0])


def krippendorff_alpha(ratings: Array) -> float:
    """Return Krippendorff's alpha for nominal classes; items with fewer than two ratings do not count.

    Args:
        ratings: (N, R) class codes, -1 = missing.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    rows, k = co.valid(ratings)
    return float(co.alpha(co.totals(rows, k)[None], k)[0])


def judge_agreement(ratings: Array, *, repeats: int = 1000, seed: int = 0) -> Judged:
    """Return every coefficient with its 95 % interval, in a few passes over the ratings.

    Intervals come from a bootstrap over counts: items that got the same votes are counted together, and each draw is
    one multinomial draw of those counts, so that a million items cost little more than a thousand. Where more than
    16,384 combinations of votes are possible and there are more than 20,000 items, the sums are drawn from their
    normal limit instead.

    Args:
        ratings: (N, R) class codes, -1 = missing.
        repeats: draws, at least 1.
        seed: of the draws.

    Raises:
        DataError: wrong shape, or no class codes.
    """
    rows, k = co.valid(ratings)
    rng = np.random.default_rng([seed, 0x6167])
    value, draws = co.totals(rows, k), co.resampled(rows, k, repeats, rng)
    matrix, shared = cohen_matrix(rows)
    per_class = [
        _with_interval(co.class_alpha(value[None], k, code)[0], co.class_alpha(draws, k, code)) for code in range(k)
    ]
    return Judged(
        _with_interval(co.alpha(value[None], k)[0], co.alpha(draws, k)),
        _with_interval(co.fleiss(value[None], k)[0], co.fleiss(draws, k)),
        per_class, matrix, shared, _mean_pair(matrix, shared), _per_rater(rows, k, repeats, rng), int(value[2 * k]),
    )  # fmt: skip


def alpha_interval(ratings: Array, *, level: float = 0.95, repeats: int = 1000, seed: int = 0) -> tuple[Estimate, int]:
    """Return Krippendorff's alpha with its two-sided bootstrap interval, and how many items have two votes or more.

    Args:
        ratings: (N, R) class codes, -1 = missing.
        level: of the interval; 0.9 gives one-sided 95 % bounds.
        repeats: draws, at least 1.
        seed: of the draws.
    """
    rows, k = co.valid(ratings)
    draws = co.resampled(rows, k, repeats, np.random.default_rng([seed, 0x616C]))
    value = co.totals(rows, k)
    return _with_interval(co.alpha(value[None], k)[0], co.alpha(draws, k), level=level), int(value[2 * k])


def agreement_json(ds: Dataset, *, repeats: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return all coefficients of a dataset's votes as plain values; empty where no sample has two votes."""
    ratings, voters = ratings_of(ds)
    found = judge_agreement(ratings, repeats=repeats, seed=seed)
    return found.to_json(voters, ds.schema.classes) if found.items else {}


@final
@dataclass(frozen=True, kw_only=True)
class Agreement(AbstractCheck):
    """Measure how far annotators agree beyond chance, overall, per class, per annotator and per pair.

    Use when some samples were labelled by two people or more.
    Do not use on votes of models: models that err alike agree, and are wrong.
    Needs: votes (sample, voter, label).
    Writes: score (N,) = share of a sample's pairs of votes that disagree; NaN with fewer than two votes. Data findings
    with Krippendorff's alpha, Fleiss' and Cohen's kappa, their intervals and bands in words, and the matrix of pairs;
    class findings; one data finding per annotator; sample findings where no class has a majority.
    Source: Krippendorff 2011; Fleiss 1971; Cohen 1960; bands by Landis and Koch 1977.

    Args:
        wanted: alpha that is asked for; below it the finding's score is 0.5 and more.
        repeats: bootstrap draws.
        seed: of the draws.
    """

    wanted: float = 0.8
    repeats: int = 1000
    seed: int = 0

    unmet_votes: ClassVar[str] = "it needs votes of two annotators or more on the same samples"

    def unmet(self, ds: Dataset) -> str:
        """Return why it cannot run: no sample has two votes."""
        if not len(ds.votes) or not ds.schema.classes:
            return self.unmet_votes
        return "" if ((ratings_of(ds)[0] >= 0).sum(axis=1) >= 2).any() else self.unmet_votes

    def measure(self, ds: Dataset) -> Measurement:
        """Judge all votes."""
        ratings, voters = ratings_of(ds)
        found = judge_agreement(ratings, repeats=self.repeats, seed=self.seed)
        score = disagreement(ratings, len(ds.schema.classes))
        told = [*self._overall(found, voters), *self._classes(found, ds.schema.classes), *self._raters(found, voters)]
        return Measurement(score, [*told, *_undecided(ds, ratings, score)])

    def _overall(self, found: Judged, voters: list[str]) -> list[Finding]:
        lines = [
            finding("data", (), self._badness(found.alpha.value),
                    f"Krippendorff's alpha {_told(found.alpha)}; {len(voters)} annotators, {found.items} samples with "
                    f"two votes or more; {self.wanted:g} is asked for"),
            finding("data", (), self._badness(found.fleiss.value), f"Fleiss' kappa {_told(found.fleiss)}"),
        ]  # fmt: skip
        pairs = [(one, two) for one in range(len(voters)) for two in range(one) if found.shared[one, two]]
        mean = found.mean_cohen
        word = f"Cohen's kappa, mean of {len(pairs)} pairs: {_number(mean)} ({in_words(mean)})"
        if len(voters) <= MOST_SHOWN:
            table = "; ".join(
                f"{voters[row]}: " + " ".join(_number(value) for value in found.cohen[row])
                for row in range(len(voters))
            )
            word += f"; matrix of {', '.join(voters)}: {table}"
        lines.append(finding("data", (), self._badness(mean), word))
        return lines

    def _classes(self, found: Judged, classes: tuple[str, ...]) -> list[Finding]:
        known = [(one, name) for one, name in zip(found.per_class, classes, strict=False) if np.isfinite(one.value)]
        return [
            finding("class", (name,), self._badness(one.value), f"alpha of {name} against the rest {_told(one)}")
            for one, name in sorted(known, key=lambda item: item[0].value)
        ]

    def _raters(self, found: Judged, voters: list[str]) -> list[Finding]:
        known = [(one, name) for one, name in zip(found.per_rater, voters, strict=True) if np.isfinite(one.value)]
        known.sort(key=lambda item: (item[0].value, item[1]))
        told = [
            finding("data", (), self._badness(one.value), f"annotator {name} against the others: kappa {_told(one)}")
            for one, name in known[: 4 * MOST_SHOWN]
        ]
        constant = [name for one, name in zip(found.per_rater, voters, strict=True) if not np.isfinite(one.value)]
        if constant:
            more = f" and {len(constant) - MOST_SHOWN} more" * (len(constant) > MOST_SHOWN)
            named = ", ".join(constant[:MOST_SHOWN]) + more
            why = f"kappa is not defined for annotators who named one class only, or share no sample: {named}"
            told.append(finding("data", (), 0.0, why))
        return told

    def _badness(self, value: float) -> float:
        """Return 0 at 1, 0.5 at what is asked for, 1 at chance."""
        if np.isnan(value):
            return 0.0
        room = 1 - self.wanted
        return 0.5 * (1 - value) / max(room, 1e-9) if value >= self.wanted else 1 - 0.5 * value / max(self.wanted, 1e-9)


def disagreement(ratings: Array, k: int | None = None) -> Floats:
    """Return (N,) share of each item's pairs of ratings that differ; NaN with fewer than two ratings."""
    from scarce.metric import _votes

    rows, most = co.valid(ratings)
    k = max(most, k or 0)
    counts = np.zeros((len(rows), k), np.int32)
    _votes.item_counts(rows, counts)
    votes = counts.sum(axis=1).astype(float)
    same = (counts.astype(float) * (counts - 1)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(votes >= 2, 1 - same / (votes * (votes - 1)), np.nan)


def _undecided(ds: Dataset, ratings: Ints, score: Floats) -> list[Finding]:
    found = []
    for row in np.flatnonzero(np.nan_to_num(score) > 0.5)[
        np.argsort(-score[np.nan_to_num(score) > 0.5], kind="stable")
    ]:
        named, times = np.unique(ratings[row][ratings[row] >= 0], return_counts=True)
        if 2 * times.max() <= times.sum():
            said = ", ".join(f"{ds.schema.classes[code]} {n}" for code, n in zip(named, times, strict=True))
            found.append(finding("sample", [ds.ids[row]], float(score[row]), f"no majority: {said}"))
    return found


def _mean_pair(matrix: Floats, shared: Ints) -> float:
    known = matrix[np.triu(np.isfinite(matrix) & (shared > 0), 1)]
    return float(known.mean()) if len(known) else float("nan")


def _per_rater(rows: Ints, k: int, repeats: int, rng: np.random.Generator) -> list[Estimate]:
    from scarce.metric import _votes

    tables = np.zeros((rows.shape[1], k, k))
    _votes.against_others(rows, k, tables)
    found = []
    for table in tables:
        items = round(float(table.sum()))
        if not items or (table.sum(axis=1) > 0).sum() < 2:
            found.append(Estimate(float("nan"), float("nan"), float("nan")))
            continue
        drawn = rng.multinomial(items, table.ravel() / table.sum(), size=min(repeats, 400)).reshape(-1, k, k)
        found.append(_with_interval(float(co.kappa(table[None])[0]), co.kappa(drawn)))
    return found


def _with_interval(value: float, draws: Floats, *, level: float = 0.95) -> Estimate:
    good = draws[np.isfinite(draws)]
    if not len(good) or np.isnan(value):
        return Estimate(float(value), float("nan"), float("nan"))
    low, high = np.quantile(good, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _told(found: Estimate) -> str:
    return f"{found.value:.3f} ({in_words(found.value)}; 95 % interval {found.low:.3f} to {found.high:.3f})"
