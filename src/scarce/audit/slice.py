"""Groups of samples on which a model is weak, found without being told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from scarce.audit._base import AbstractCheck, Finding, Measurement, ds_embedding, finding
from scarce.audit._group import tied
from scarce.audit._property import Property, properties
from scarce.dataset import Array, Dataset, Floats, Ints, Mask
from scarce.errors import DataError
from scarce.kin import COPIES

MOST_ROWS, MOST_SLICES, MOST_CLUSTERS, COLUMNS = 50_000, 3_000, 32, 256
BANDS = ((0.0, 0.1, "lowest tenth"), (0.0, 0.25, "lowest quarter"), (0.75, 1.0, "highest quarter"),
         (0.9, 1.0, "highest tenth"))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Part:
    """A candidate: N samples' membership, in words.

    Attributes:
        words: what its samples have in common.
        members: (N,) mask.
        about: the properties it speaks of.
    """

    words: str
    members: Mask
    about: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Weakness:
    """What the search says about C candidates.

    Attributes:
        excess: (C,) error rate above what the candidate's classes explain.
        low: (C,) lower bound that holds for all candidates together, at 95 %.
        p: (C,) probability that the best of all candidates looks as weak by chance.
        z: (C,) excess in standard errors.
    """

    excess: Floats
    low: Floats
    p: Floats
    z: Floats


def weakness(
    wrong: Mask, labels: Ints, members: Array, groups: Ints | None = None, *, draws: int = 400, seed: int = 0
) -> Weakness:
    """Return how much weaker the model is on each candidate than its classes explain, corrected for the search.

    Errors are compared within the class, so that a slice is not weak for holding a hard or rare class. The null
    distribution is that of the largest value over all candidates when errors are dealt out anew within each class;
    where samples come in groups, a candidate's error is widened by how alike errors are inside the groups.

    Args:
        wrong: (N,) whether the out-of-sample prediction was wrong.
        labels: (N,) codes.
        members: (N, C) bool.
        groups: (N,) numbers of groups that belong together; None = none.
        draws: random deals.
        seed: of the deals.
    """
    rest, spread = _within_class(wrong, labels)
    rng = np.random.default_rng([seed, draws])
    dealt = np.empty((len(rest), draws), np.float32)
    for code in np.unique(labels):
        rows = np.flatnonzero(labels == code)
        dealt[rows] = rng.permuted(np.repeat(rest[rows, None].astype(np.float32), draws, axis=1), axis=0)
    highest = np.full(draws, -np.inf)
    count, total, error = (np.zeros(members.shape[1]) for _ in range(3))
    widening = np.ones(members.shape[1])
    for a in range(0, members.shape[1], COLUMNS):
        block = members[:, a : a + COLUMNS].astype(np.float32)
        part = slice(a, a + COLUMNS)
        count[part], total[part] = block.sum(0), rest @ block
        error[part] = _chance_error(block, labels, spread)
        if groups is not None:
            widening[part] = _widening(block, rest, groups)
        error[part][error[part] < 1e-6] = np.inf  # whole classes: nothing can be dealt differently
        highest = np.maximum(highest, ((block.T @ dealt) / error[part][:, None]).max(0))
    error = error * np.sqrt(widening)
    z = total / error
    p = (1 + (highest[None] >= z[:, None]).sum(1)) / (draws + 1)
    excess = total / np.maximum(count, 1)
    low = excess - float(np.quantile(highest, 0.95)) * error / np.maximum(count, 1)
    return Weakness(excess, low, p, z)


def _within_class(wrong: Mask, labels: Ints) -> tuple[Floats, Floats]:
    """Return (N,) errors minus the mean of their class, and (K,) variances."""
    member = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(member)
    rate = np.bincount(member, wrong.astype(np.float64)) / counts
    return wrong - rate[member], rate * (1 - rate) * counts / np.maximum(counts - 1, 1)


def _chance_error(block: Array, labels: Ints, spread: Floats) -> Floats:
    member = np.unique(labels, return_inverse=True)[1]
    sizes = np.bincount(member)
    table = np.stack([block[member == code].sum(0, dtype=np.float64) for code in range(len(sizes))])
    return np.asarray(np.sqrt((table * (1 - table / sizes[:, None]) * spread[:, None]).sum(0)))


def _widening(block: Array, rest: Floats, groups: Ints) -> Floats:
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) > 0])
    shares = (block * rest[:, None].astype(np.float32))[order]
    together = (np.add.reduceat(shares, starts, axis=0).astype(np.float64) ** 2).sum(0)
    alone = (shares.astype(np.float64) ** 2).sum(0)
    return np.asarray(np.maximum(together / np.maximum(alone, 1e-12), 1.0))


@final
@dataclass(frozen=True, kw_only=True)
class Slice(AbstractCheck):
    """Find groups of samples on which a model is weak: dark pictures, one camera, a cluster of look-alikes.

    Use to learn what to collect or label next. ``evaluate`` scores the columns of the manifest on test data; this check
    searches, and so looks at out-of-fold predictions of development samples only, never at test samples.
    Do not use where a class has fewer than about 20 samples to search inside it: nothing can be shown there.
    Needs: embedding (N, D), label. Test rows are left out where there is a split. Groups of the user, copies and
    pictures of one object are never on both sides; the predictions are those that label_error judges by.
    Writes: score (N,), the error rate of the weakest slice found around a sample, 0 outside, NaN where not judged;
    findings with the slice in words, its error rate, what its classes explain, and a lower bound of the difference that
    holds for everything that was tried.
    Source: max-T permutation, Westfall and Young 1993; slices in the spirit of Slice Finder, Chung et al. 2019.

    Args:
        smallest: samples that a slice must have.
        least: error rate above what the classes explain, in (0, 1), from which a slice is named.
        most: slices that are named.
        folds: for the predictions.
        encoder: whose features; empty = the newest.
        files: open the files of pictures for camera and time.
        seed: of folds, clusters and permutations.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "label")
    after: ClassVar[tuple[str, ...]] = COPIES
    smallest: int = 20
    least: float = 0.1
    most: int = 10
    folds: int = 5
    encoder: str = ""
    files: bool = True
    seed: int = 0

    def measure(self, ds: Dataset) -> Measurement:
        """Predict out of fold, then search.

        Raises:
            DataError: fewer than two classes or groups to predict.
        """
        from scarce.audit._shared import out_of_fold

        _, features = ds_embedding(ds, self.encoder)
        order = self._judged(ds, features)
        rows, features = ds.take(order), features[order]
        labels, k = rows["label"], len(ds.schema.classes)
        if len(np.unique(labels)) < 2:
            raise DataError("audit.slice", "fewer than two classes have samples outside the test set")
        groups = tied(ds)[order]
        own = groups if 2 <= len(np.unique(groups)) < len(groups) else None
        probs = out_of_fold(features, labels, k, groups=own, folds=self.folds, seed=self.seed)
        wrong = probs.argmax(1) != labels
        parts = list(self._parts(rows, features))
        score = np.full(len(ds), np.nan)
        score[order] = 0.0
        if not parts or not wrong.any():
            return Measurement(score)
        members = np.stack([part.members for part in parts], axis=1)
        weak = weakness(wrong, labels, members, own, seed=self.seed)
        found: list[Finding] = []
        for index in self._chosen(parts, members, weak):
            inside = members[:, index]
            score[order[inside]] = np.maximum(score[order[inside]], wrong[inside].mean())
            found.append(_told(rows, parts[index], wrong, (weak, index), len(parts)))
        if found:
            share = float(np.nanmean(score > 0))
            why = f"{len(found)} weak slices among {len(parts)} tried on {len(rows)} out-of-fold predictions"
            found.insert(0, finding("data", (), share, f"{why}; {100 * wrong.mean():.1f} % wrong in all"))
        return Measurement(score, found)

    def _judged(self, ds: Dataset, features: Floats) -> Ints:
        good = np.isfinite(features).all(axis=1) & (ds["label"] >= 0)
        if "split" in ds:
            good &= ds["split"] != "test"
        order = np.argsort(ds.ids.astype(str), kind="stable")
        order = order[good[order]]
        if len(order) > MOST_ROWS:
            order = np.sort(np.random.default_rng([self.seed, len(order)]).choice(len(order), MOST_ROWS, replace=False))
        return np.asarray(order, np.int64)

    def _parts(self, rows: Dataset, features: Floats) -> Iterator[Part]:
        """Yield the candidates; they depend on properties and features alone, never on errors."""
        single: list[Part] = []
        for item in properties(rows, files=self.files):
            single += [part for part in _bands(item) if self._large(part.members)]
        pairs = [_both(a, b) for i, a in enumerate(single) for b in single[i + 1 :] if a.about != b.about]
        clusters = [part for part in _clusters(rows, features, self.seed) if self._large(part.members)]
        classes = [
            Part(f'class "{name}"', rows["label"] == code, ("class",)) for code, name in enumerate(rows.schema.classes)
        ]
        crossed = [_both(a, b) for a in classes for b in single]
        found = [part for part in [*single, *clusters, *crossed, *pairs] if self._large(part.members)]
        yield from found[:MOST_SLICES]

    def _large(self, members: Mask) -> bool:
        return self.smallest <= int(members.sum()) <= 0.6 * len(members)

    def _chosen(self, parts: Sequence[Part], members: Array, weak: Weakness) -> list[int]:
        """Return the weak candidates, the clearest and simplest first, none that mostly repeats an earlier one."""
        simple = np.array([len(part.about) for part in parts])
        order = np.argsort(-(weak.z - 0.5 * simple), kind="stable")
        chosen: list[int] = []
        for index in order[(weak.p[order] <= 0.05) & (weak.excess[order] >= self.least)].tolist():
            mine = members[:, index]
            same = [(mine & members[:, other]).sum() / min(mine.sum(), members[:, other].sum()) for other in chosen]
            if max(same, default=0.0) <= 0.5:
                chosen.append(index)
        return chosen[: self.most]


def _bands(item: Property) -> Iterator[Part]:
    if not item.is_number:
        for kind in np.unique(item.values):
            words = f'{item.name} "{kind}"' if kind else f"{item.name} not known"
            yield Part(words, item.values == kind, (item.name,))
        return
    known = np.isfinite(item.values)
    for low, high, words in BANDS:
        edge = float(np.quantile(item.values[known], high if low == 0.0 else low))
        side = item.values <= edge if low == 0.0 else item.values >= edge
        if (side & known).sum() <= 2 * (high - low) * known.sum():
            way = "at most" if low == 0.0 else "at least"
            yield Part(f"{item.name} {way} {item.text(edge)} ({words})", side & known, (item.name,))
    if not known.all():
        yield Part(f"{item.name} not known", ~known, (item.name,))


def _both(a: Part, b: Part) -> Part:
    return Part(f"{a.words} and {b.words}", a.members & b.members, (*a.about, *b.about))


def _clusters(rows: Dataset, features: Floats, seed: int) -> Iterator[Part]:
    """Yield clusters of features.

    They are not crossed with classes: a class inside the cluster of another one is the mistake itself, not its reason.
    """
    from sklearn.cluster import KMeans

    from scarce.probe import Projection

    k = int(np.clip(len(features) // 60, 2, MOST_CLUSTERS))
    if len(features) < 4 * k:
        return
    coordinates = Projection.fit(features, components=32)(features)
    member = KMeans(k, n_init=1, random_state=seed).fit_predict(coordinates)
    for code in range(k):
        inside = member == code
        counts = np.bincount(rows["label"][inside], minlength=len(rows.schema.classes))
        mostly = " and ".join(f'"{rows.schema.classes[one]}"' for one in np.argsort(-counts)[:2] if counts[one])
        yield Part(f"samples look alike (a cluster, mostly {mostly})", inside, ("cluster",))


def _told(rows: Dataset, part: Part, wrong: Mask, at: tuple[Weakness, int], tried: int) -> Finding:
    weak, index = at
    n, rate = int(part.members.sum()), float(wrong[part.members].mean())
    expected = rate - float(weak.excess[index])
    why = (
        f"weak where {part.words}: {100 * rate:.1f} % of {n} wrong, its classes explain {100 * expected:.1f} %; the "
        f"difference is at least {100 * max(float(weak.low[index]), 0.0):.1f} points over {tried} slices tried "
        f"(p = {weak.p[index]:.3f})"
    )
    inside = np.flatnonzero(part.members)
    shown = inside[np.argsort(~wrong[inside], kind="stable")]
    return finding("group", rows.ids[shown], rate, why)
