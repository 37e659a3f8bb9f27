"""What each generator and augmentation policy gains on real held-out samples, alone and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np

from scarce import encode
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError, DataError
from scarce.folds import development, groups_of
from scarce.ledger import Design, paired_effect
from scarce.lineage import digest
from scarce.metric import Setting, rare_codes
from scarce.metric.interval import holm
from scarce.probe import fold_of
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._candidates import (
    BARE,
    ONLY,
    REAL,
    Candidates,
    Trial,
    as_training,
    grow,
    kinds_of,
    policies_of,
    spread_over_groups,
)
from scarce.study._growth_page import page_of
from scarce.study._journal import Journal
from scarce.study._patches import Patches

QUESTION: Final = "Does growing the rare classes help on real samples?"
RATES: Final = (0.01, 0.05)
WORDS: Final = {
    REAL: "real samples alone", "all_synthesis": "real and all synthetic ones",
    "all_synthesis_screened": "real and those synthetic ones that pass the screen",
    ONLY: "synthetic ones in place of the real ones of their classes", BARE: "no sample of those classes at all",
}  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Growth(AbstractStudy):
    """Measure what each generator and policy gains on real held-out samples, alone and together.

    Use before growing a data set; with ``few``, also to see with how few real samples growing helps. The test split
    is not touched: folds are cut from the other labelled samples by group, and a grown sample is seen only where all
    that it was made from may be trained on. Every class weighs the same in every arm. Linear probes on fixed features
    are judged; a finetuned network may gain where these do not.
    Needs: features and labels; for generators pictures and a sound class. Writes nothing to the data.
    Source: the design is the ledger's: paired folds, bootstrap over groups and repeats, Holm over the arms.

    Args:
        generators: names of ``synthesize``; empty = all that can show a class honestly, ``none`` = none.
        policies: augmentation policies; empty = that of the domain.
        shows: ``kind:class`` pairs: which classes a drawn defect shows although their name does not say so.
        per_class: grown rows of each rare class and maker, at most, and at most ``times`` its real ones.
        times: see ``per_class``.
        few: numbers of real samples to which each class that is not sound (without sound ones: each class) is cut in
            training, from as many groups as there are; judged on all the same. All real ones are judged too.
        ratios: further arms with so many synthetic rows of a class for each real one; without synthesis, augmented.
        seeds: repeats with other folds; all arms of one share folds and seeds.
        folds: of each repeat.
        draws: of the bootstrap.
        instrument: ``pooled`` = a probe on the features of whole pictures; ``patch`` = one on the features of their
            cells, taught by masks where a defect is: for small defects with masks and a sound class. A picture is
            scored by the cells that show a class most.
        patch_size: side of the picture that the network of ``patch`` sees, in pixels; 0 = told by the data.
    """

    generators: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    per_class: int = 120
    times: float = 3.0
    few: tuple[int, ...] = ()
    ratios: tuple[float, ...] = ()
    seeds: int = 5
    folds: int = 5
    draws: int = 1000
    instrument: Literal["pooled", "patch"] = "pooled"
    patch_size: int = 0

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and verdicts; see the base.

        Raises:
            ConfigError: numbers that leave nothing to grow or judge.
            DataError: no features, or one class or group only.
        """
        counts = (self.per_class, self.seeds, self.draws, *self.few)
        if min(counts) < 1 or self.folds < 2 or min(self.times, *self.ratios, 1) <= 0:
            what = (
                f"per_class = {self.per_class}, seeds = {self.seeds}, folds = {self.folds}, times = {self.times}, "
                f"few = {list(self.few)}, ratios = {list(self.ratios)}"
            )
            raise ConfigError("study", what, do="take 1 or more, 2 folds or more, times and ratios above 0")
        work = self._work(ds)
        wanted = work.wanted(self.per_class, self.times)
        policies = policies_of(work.ds, self.policies)
        pictures = work.ds.schema.modality == "image"
        kinds = kinds_of(self.generators, self.shows) if pictures or self.generators or self.shows else []
        if kinds and not pictures:
            what = f"generators draw on pictures, this is {work.ds.schema.modality}"
            raise DataError("study", what, do="name policies only")
        candidates = grow(work.ds, kinds, policies, wanted, seed=seed, ratios=self.ratios)
        setting = {key: value for key, value in self.params().items() if key not in {"seeds", "draws"}}
        setting |= {"policies": policies, "generators": [kind.plugin_name() for kind in kinds], "seed": seed}
        kept = Journal(journal, {**setting, "content": work.fingerprint(candidates)})
        levels = (0, *self.few)
        keys = [_key(arm, level, repeat) for repeat in range(self.seeds) for level in levels for arm in candidates.made]
        if set(keys) - set(kept.done):
            cache = None if journal is None else journal.with_suffix(".features")
            candidates = replace(candidates, ds=encode.again(candidates.ds, work.embedding, cache=cache, seed=seed))
            if self.instrument == "patch":
                found = Patches.of(candidates.ds, cache=cache, seed=seed, size=self.patch_size)
                candidates = replace(candidates, patches=found)
        trials: dict[tuple[int, int], list[tuple[Array, Trial]]] = {}
        for key in within(keys, list(kept.done), minutes=minutes, what="arms"):
            arm, level, repeat = _parts(key)
            if (level, repeat) not in trials:
                folds = work.trials(candidates, self.folds, seed + 1000 * repeat, level)
                trials = {(level, repeat): folds}
            kept.add(key, _measured(trials[level, repeat], arm, len(work.labels), len(work.ds.schema.classes)))
        body = self._found(candidates, work, kept.done, seed)
        return Finding(QUESTION, body, page_of(body))

    def _work(self, ds: Dataset) -> _Work:
        found = [column for column in ds.wide if column.startswith("embedding.")]
        if not found:
            raise DataError("study", "there are no features", do="run scarce encode")
        rows = np.flatnonzero(development(ds) & np.isfinite(ds[found[-1]]).all(axis=1))
        part = as_training(ds, rows)
        groups = groups_of(part)
        if len(np.unique(part["label"])) < 2 or len(np.unique(groups)) < self.folds:
            what = f"{len(part)} samples of {len(np.unique(groups))} groups outside test have labels and features"
            raise DataError("study", what, f"two classes and {self.folds} groups are needed", "label more")
        return _Work(part, found[-1], groups, every=bool(self.few))

    def _found(self, made: Candidates, work: _Work, done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        arms = list(made.made)
        levels = (0, *self.few)
        repeats = [repeat for repeat in range(self.seeds)
                   if all(_key(arm, level, repeat) in done for level in levels for arm in arms)]  # fmt: skip
        names = work.ds.schema.classes
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(repeats),
            "seeds_wanted": self.seeds, "judged": len(work.labels), "groups": len(np.unique(work.groups)),
            "rare": [names[code] for code in work.rare], "rare_groups": work.rare_groups(),
            "embedding": work.embedding, "instrument": self.instrument, "not_made": dict(made.refused), "arms": {},
        }  # fmt: skip
        if not repeats:
            return body
        body["arms"] = self._arms(work, arms, done, repeats, (0, seed))
        if self.few:
            body["few"] = {str(few): {"arms": self._arms(work, arms, done, repeats, (few, seed))} for few in self.few}
        return body

    def _arms(
        self, work: _Work, arms: Sequence[str], done: Mapping[str, Any], repeats: Sequence[int], at: tuple[int, int]
    ) -> dict[str, Any]:
        """Return arm to rows and scores at one number of real samples; ``at`` is that number (0 = all) and the seed."""
        level, seed = at
        told = {arm: [done[_key(arm, level, repeat)] for repeat in repeats] for arm in arms}
        probs = {arm: np.array([one["probs"] for one in found]) for arm, found in told.items()}
        out: dict[str, Any] = {}
        for arm in arms:
            rows = _mean_counts([one["added"] for one in told[arm]])
            share = _mean_counts([one["share"] for one in told[arm]], digits=3)
            out[arm] = {"what": _words(arm), "rows_a_fold": rows, "synthetic_share": share,
                        **self._scored(work, probs[arm], probs[REAL], seed)}  # fmt: skip
        _verdicts(out, [arm for arm in arms if arm not in (REAL, ONLY, BARE)])
        return out

    def _scored(self, work: _Work, own: Array, real: Array, seed: int) -> dict[str, Any]:
        """Return metric to value, gain over the real samples alone, interval and p; recall of each rare class."""
        out: dict[str, Any] = {}
        for name, metric, rows, setting in work.metrics():
            design = Design(metric=metric, setting=setting, draws=self.draws, seed=seed, repeats=len(own))
            labels, groups = work.labels[rows], work.groups[rows]
            value = float(np.mean([design.scores(labels, probs[rows])[0] for probs in own]))
            effect = paired_effect(labels, real[:, rows], own[:, rows], groups, design)
            out[name] = {"value": value, "gain": effect.gain, "low": effect.low, "high": effect.high, "p": effect.p}
        return out


class _Work:
    """The real samples that are grown from and judged on."""

    def __init__(self, ds: Dataset, embedding: str, groups: Array, *, every: bool = False) -> None:
        self.ds, self.embedding, self.groups = ds, embedding, groups
        self.labels: Ints = ds["label"].astype(np.int64)
        self.normal = tuple(ds.schema.classes.index(name) for name in ds.schema.normal_classes)
        self.counts = np.bincount(self.labels, minlength=len(ds.schema.classes))
        rare = [code for code in range(len(self.counts)) if code not in self.normal]
        present = [code for code in (rare if every else rare_codes(self.counts, self.normal)) if self.counts[code]]
        self.rare: tuple[int, ...] = tuple(present)

    def wanted(self, most: int, times: float) -> dict[str, int]:
        """Return rare class to rows that each maker grows."""
        return {self.ds.schema.classes[code]: min(most, int(times * self.counts[code])) for code in self.rare}

    def rare_groups(self) -> dict[str, int]:
        """Return rare class to its independent groups."""
        return {self.ds.schema.classes[code]: len(np.unique(self.groups[self.labels == code])) for code in self.rare}

    def trials(self, candidates: Candidates, folds: int, seed: int, few: int = 0) -> list[tuple[Array, Trial]]:
        """Return the held-out mask and the trial of each fold; with ``few`` real rows of each rare class in training.

        A candidate that was made from a row that is left out is left out with it.
        """
        place, ids = fold_of(self.labels, self.groups, folds, seed=seed), self.ds.ids
        out = []
        for fold in np.unique(place):
            held, train = place == fold, np.flatnonzero(place != fold)
            if few:
                labels, groups = self.labels[train], self.groups[train]
                train = train[spread_over_groups(labels, groups, self.rare, few, seed + int(fold))]
            view = candidates.ds.fold(ids[train], ids[held])
            out.append((held, Trial(candidates, view, self.embedding, seed + int(fold))))
        return out

    def metrics(self) -> list[tuple[str, str, Array, Setting]]:
        """Return name, metric, judged rows and setting.

        Recall of rare classes is measured beside the normal samples only, so that other defects neither help nor harm.
        """
        everything = np.arange(len(self.labels))
        out = [("average_precision", "rare_average_precision", everything, Setting(self.normal, self.rare))]
        for rate in RATES:
            parts = [("rare", self.rare)]
            if self.normal:
                parts += [(self.ds.schema.classes[code], (code,)) for code in self.rare]
            for name, codes in parts:
                rows = np.flatnonzero(np.isin(self.labels, (*self.normal, *codes))) if self.normal else everything
                out.append((f"recall_at_{rate:g}:{name}", "recall_at_fpr", rows, Setting(self.normal, codes, rate)))
        return out

    def fingerprint(self, candidates: Candidates) -> str:
        """Return a hash of samples, labels, groups, features and candidates."""
        told = (*self.ds.ids.tolist(), *map(str, self.labels), *map(str, self.groups))
        made = sorted(f"{arm}:{name}" for arm, rows in candidates.made.items() for name in rows)
        features = np.ascontiguousarray(self.ds[self.embedding], np.float32).tobytes().hex()
        return digest("growth", *told, *made, features)


def _key(arm: str, level: int, repeat: int) -> str:
    return f"{arm}@{level}/{repeat}" if level else f"{arm}/{repeat}"


def _parts(key: str) -> tuple[str, int, int]:
    """Return arm, number of real samples (0 = all) and repeat of a key."""
    name, _, repeat = key.rpartition("/")
    arm, _, level = name.partition("@")
    return arm, int(level or 0), int(repeat)


def _words(arm: str) -> str:
    base, _, ratio = arm.partition("_x")
    said = WORDS.get(base, f"real and {base}")
    return f"{said}, {ratio} for each real one" if ratio else said


def _measured(trials: Sequence[tuple[Array, Trial]], arm: str, n: int, k: int) -> dict[str, Any]:
    probs, counted = np.zeros((n, k)), []
    for mask, trial in trials:
        probs[mask], counts = trial.probs(arm)
        counted.append(counts)
    return {
        "probs": [[float(f"{value:.5g}") for value in row] for row in probs],
        "added": _mean_counts([{name: grown for name, (grown, _) in fold.items()} for fold in counted]),
        "share": _mean_counts(
            [{name: grown / (grown + real) for name, (grown, real) in fold.items()} for fold in counted], digits=3
        ),
    }


def _mean_counts(rows: Sequence[Mapping[str, float]], digits: int = 1) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: round(float(np.mean([row.get(name, 0) for row in rows])), digits) for name in names}


def _verdicts(arms: dict[str, Any], judged: Sequence[str]) -> None:
    """Say of each arm and metric over all rare classes whether it helped, corrected by Holm over the arms."""
    metrics = [name for name in next(iter(arms.values())) if ":rare" in name or name == "average_precision"]
    for metric in metrics:
        for arm, p in zip(judged, holm([arms[arm][metric]["p"] for arm in judged]), strict=True):
            found = arms[arm][metric]
            sure = p < 0.05 and (found["low"] > 0 or found["high"] < 0)
            found["p_holm"] = p
            found["verdict"] = ("helped" if found["gain"] > 0 else "hurt") if sure else "no evidence"
