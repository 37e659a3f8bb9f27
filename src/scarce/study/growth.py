"""What each generator and augmentation policy gains on real held-out samples, alone and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce import encode
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError, DataError
from scarce.ledger import Design, development, groups_of, paired_effect
from scarce.lineage import digest
from scarce.metric import Setting, rare_codes
from scarce.metric.interval import holm
from scarce.probe import fold_of
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._candidates import BARE, ONLY, REAL, Candidates, Trial, as_training, grow, kinds_of, policies_of
from scarce.study._journal import Journal
from scarce.study._page import results_page

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

    Use before growing a data set. The test split is not touched: folds are cut from the other labelled samples by
    group, and a grown sample is seen only where all that it was made from may be trained on. Every class weighs the
    same in every arm. Linear probes on fixed features are judged; a finetuned network may gain where these do not.
    Needs: pictures, features, labels, and for generators a sound class. Writes nothing to the data.
    Source: the design is the ledger's: paired folds, bootstrap over groups and repeats, Holm over the arms.

    Args:
        generators: names of ``synthesize``; empty = all that can show a class honestly.
        policies: augmentation policies; empty = that of the domain.
        shows: ``kind:class`` pairs: which classes a drawn defect shows although their name does not say so.
        per_class: grown rows of each rare class and maker, at most, and at most ``times`` its real ones.
        times: see ``per_class``.
        seeds: repeats with other folds; all arms of one share folds and seeds.
        folds: of each repeat.
        draws: of the bootstrap.
    """

    generators: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    per_class: int = 120
    times: float = 3.0
    seeds: int = 5
    folds: int = 5
    draws: int = 1000

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and verdicts; see the base.

        Raises:
            ConfigError: numbers that leave nothing to grow or judge.
            DataError: no pictures, no features, or one class or group only.
        """
        if min(self.per_class, self.seeds, self.draws) < 1 or self.folds < 2 or self.times <= 0:
            what = f"per_class = {self.per_class}, seeds = {self.seeds}, folds = {self.folds}, times = {self.times}"
            raise ConfigError("study", what, do="take 1 or more, 2 folds or more, and times above 0")
        work = self._work(ds)
        wanted = work.wanted(self.per_class, self.times)
        policies = policies_of(work.ds, self.policies)
        kinds = kinds_of(self.generators, self.shows)
        candidates = grow(work.ds, kinds, policies, wanted, seed)
        setting = {key: value for key, value in self.params().items() if key not in {"seeds", "draws"}}
        setting |= {"policies": policies, "generators": [kind.plugin_name() for kind in kinds], "seed": seed}
        kept = Journal(journal, {**setting, "content": work.fingerprint(candidates)})
        keys = [f"{arm}/{repeat}" for repeat in range(self.seeds) for arm in candidates.made]
        if set(keys) - set(kept.done):
            cache = None if journal is None else journal.with_suffix(".features")
            candidates = Candidates(
                encode.again(candidates.ds, work.embedding, cache=cache, seed=seed), candidates.made,
                candidates.served, candidates.refused,
            )  # fmt: skip
        trials: dict[int, list[tuple[Array, Trial]]] = {}
        for key in within(keys, list(kept.done), minutes=minutes, what="arms"):
            arm, _, repeat = key.rpartition("/")
            if int(repeat) not in trials:
                trials = {int(repeat): work.trials(candidates, self.folds, seed + 1000 * int(repeat))}
            kept.add(key, _measured(trials[int(repeat)], arm, len(work.labels), len(work.ds.schema.classes)))
        body = self._found(candidates, work, kept.done, seed)
        return Finding(QUESTION, body, _page(body))

    def _work(self, ds: Dataset) -> _Work:
        found = [column for column in ds.wide if column.startswith("embedding.")]
        if ds.schema.modality != "image":
            raise DataError("study", f"this is {ds.schema.modality}", "growth is studied on pictures")
        if not found:
            raise DataError("study", "there are no features", do="run scarce encode")
        rows = np.flatnonzero(development(ds) & np.isfinite(ds[found[-1]]).all(axis=1))
        part = as_training(ds, rows)
        groups = groups_of(part)
        if len(np.unique(part["label"])) < 2 or len(np.unique(groups)) < self.folds:
            what = f"{len(part)} samples of {len(np.unique(groups))} groups outside test have labels and features"
            raise DataError("study", what, f"two classes and {self.folds} groups are needed", "label more")
        return _Work(part, found[-1], groups)

    def _found(self, made: Candidates, work: _Work, done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        arms = list(made.made)
        repeats = [repeat for repeat in range(self.seeds) if all(f"{arm}/{repeat}" in done for arm in arms)]
        names = work.ds.schema.classes
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(repeats),
            "seeds_wanted": self.seeds, "judged": len(work.labels), "groups": len(np.unique(work.groups)),
            "rare": [names[code] for code in work.rare], "rare_groups": work.rare_groups(),
            "embedding": work.embedding, "not_made": dict(made.refused), "arms": {},
        }  # fmt: skip
        if not repeats:
            return body
        probs = {arm: np.array([done[f"{arm}/{repeat}"]["probs"] for repeat in repeats]) for arm in arms}
        for arm in arms:
            added = [done[f"{arm}/{repeat}"]["added"] for repeat in repeats]
            body["arms"][arm] = {"what": WORDS.get(arm, f"real and {arm}"), "rows_a_fold": _mean_counts(added),
                                 **self._scored(work, probs[arm], probs[REAL], seed)}  # fmt: skip
        _verdicts(body["arms"], [arm for arm in arms if arm not in (REAL, ONLY, BARE)])
        return body

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

    def __init__(self, ds: Dataset, embedding: str, groups: Array) -> None:
        self.ds, self.embedding, self.groups = ds, embedding, groups
        self.labels: Ints = ds["label"].astype(np.int64)
        self.normal = tuple(ds.schema.classes.index(name) for name in ds.schema.normal_classes)
        self.counts = np.bincount(self.labels, minlength=len(ds.schema.classes))
        present = [code for code in rare_codes(self.counts, self.normal) if self.counts[code]]
        self.rare: tuple[int, ...] = tuple(present)

    def wanted(self, most: int, times: float) -> dict[str, int]:
        """Return rare class to rows that each maker grows."""
        return {self.ds.schema.classes[code]: min(most, int(times * self.counts[code])) for code in self.rare}

    def rare_groups(self) -> dict[str, int]:
        """Return rare class to its independent groups."""
        return {self.ds.schema.classes[code]: len(np.unique(self.groups[self.labels == code])) for code in self.rare}

    def trials(self, candidates: Candidates, folds: int, seed: int) -> list[tuple[Array, Trial]]:
        """Return the held-out mask and the trial of each fold."""
        place, ids = fold_of(self.labels, self.groups, folds, seed=seed), self.ds.ids
        return [
            (place == fold, Trial(candidates, candidates.ds.fold(ids[place != fold], ids[place == fold]),
                                  self.embedding, seed + int(fold)))
            for fold in np.unique(place)
        ]  # fmt: skip

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


def _measured(trials: Sequence[tuple[Array, Trial]], arm: str, n: int, k: int) -> dict[str, Any]:
    probs, added = np.zeros((n, k)), []
    for mask, trial in trials:
        probs[mask], counts = trial.probs(arm)
        added.append(counts)
    return {"probs": [[float(f"{value:.5g}") for value in row] for row in probs], "added": _mean_counts(added)}


def _mean_counts(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: round(float(np.mean([row.get(name, 0) for row in rows])), 1) for name in names}


def _verdicts(arms: dict[str, Any], judged: Sequence[str]) -> None:
    """Say of each arm and metric over all rare classes whether it helped, corrected by Holm over the arms."""
    metrics = [name for name in next(iter(arms.values())) if ":rare" in name or name == "average_precision"]
    for metric in metrics:
        for arm, p in zip(judged, holm([arms[arm][metric]["p"] for arm in judged]), strict=True):
            found = arms[arm][metric]
            sure = p < 0.05 and (found["low"] > 0 or found["high"] < 0)
            found["p_holm"] = p
            found["verdict"] = ("helped" if found["gain"] > 0 else "hurt") if sure else "no evidence"


def _page(body: Mapping[str, Any]) -> str:
    said = [
        f"{body['seeds_done']} of {body['seeds_wanted']} seeds; judged on {body['judged']:,} real samples of "
        f"{body['groups']:,} groups, out of fold. Rare classes with their groups: "
        + ", ".join(f"{name} {count}" for name, count in body["rare_groups"].items()) + ".",
        *(f"{name} made nothing: {why}." for name, why in body["not_made"].items()),
    ]  # fmt: skip
    if not body["arms"]:
        return results_page(QUESTION, said, ("arm",), [])
    said.append(conclusion(body))
    said.append(
        "Gains are against the real samples alone, in points, with 95 % intervals over groups and seeds; verdicts are "
        "corrected for the number of arms. Every class weighs the same in every arm."
    )
    keys = ["average_precision", *(f"recall_at_{rate:g}:rare" for rate in RATES)]
    head = ("trained on", "average precision", "gain", *(
        cell for rate in RATES for cell in (f"recall at {rate:.0%} false alarms", "gain")
    ), "verdict")  # fmt: skip
    rows = [
        (arm["what"], *(cell for key in keys for cell in (f"{arm[key]['value']:.1%}", points(arm[key]))),
         arm[keys[0]].get("verdict", ""))
        for arm in body["arms"].values()
    ]  # fmt: skip
    return results_page(QUESTION, said, head, rows)


def points(found: Mapping[str, Any]) -> str:
    """Return a gain in points with its interval."""
    if not all(np.isfinite(found[key]) for key in ("gain", "low", "high")):
        return "not known"
    return f"{100 * found['gain']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def conclusion(body: Mapping[str, Any]) -> str:
    """Return one sentence: what helped, what hurt, and of what nothing is proven."""
    said: dict[str, list[str]] = {"helped": [], "hurt": [], "no evidence": []}
    for name, arm in body["arms"].items():
        if "verdict" in arm["average_precision"]:
            said[arm["average_precision"]["verdict"]].append(name)
    parts = [f"{verdict}: {', '.join(arms)}" for verdict, arms in said.items() if arms]
    return f"By average precision of the rare classes - {'; '.join(parts)}." if parts else "Nothing was compared."
