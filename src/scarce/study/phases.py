"""Augment, synthesize, or both: what each of three phases gains where rare classes are rare indeed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, final

import numpy as np

from scarce.ballot import vouched
from scarce.dataset import Array, Dataset, Ints
from scarce.errors import ConfigError, DataError
from scarce.folds import development
from scarce.lineage import digest
from scarce.progress import say
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._candidates import Candidates, kinds_of, policies_of
from scarce.study._data import parts_of
from scarce.study._forest import forest
from scarce.study._journal import Journal
from scarce.study._noise import Source as Content
from scarce.study._page import results_page
from scarce.study._phase_rows import ARMS, REAL, REPEAT, Source, classes_of
from scarce.study._seeds import gain_over_seeds, judge, points, share_over_seeds, shares

QUESTION: Final = "Augment, synthesize, or both: what does each phase gain?"
TEST: Final = "test"
METRICS: Final = ("average_precision", "recall")
MARGIN: Final = 0.01
"""The majority is kept where its recall is proven to fall by less than this."""


@final
@dataclass(frozen=True, kw_only=True)
class Phases(AbstractStudy):
    """Draw an imbalance of 200:2:1 from real samples, and add to its rare classes in three phases.

    Use to see whether growing rare classes is worth it before doing it in earnest. Phase 1 adds augmented rows, phase 2
    synthetic ones in their place (drawn or pasted defects where the pictures have a sound class and a generator can
    show the class, else points between real ones, by SMOTE among features), phase 3 half of each: as many rows in each,
    and the real ones repeated as often are the control, so that new samples are measured and not new weights. A
    linear probe on features learns from them and is judged by the same real held-out samples in all arms: recall and
    average precision of every class; the majority must not fall. Every seed holds out another grouped, stratified
    quarter and draws other samples; after the last one the test split is looked at once.
    With ``boxes`` a detector learns from whole pictures in as many steps in every arm, with the boxes that people drew,
    or one around what each mask shows: a defect's average precision is COCO's, its recall the share of its boxes that a
    box with a score from .5 on overlaps by half; sound pictures are ranked by their most alarming box, their recall is
    the share without an alarm.
    Needs: labels of people, and features; for ``boxes`` pictures with a sound class, and boxes or masks of the others.
    Writes nothing to the data.
    Source: Chawla et al. 2002 (SMOTE); Ghiasi et al. 2021 (copy-paste of rare objects).

    Args:
        counts: real training samples of each class, the majority first.
        classes: their names in that order; empty = a sound class (else the largest) and the next largest.
        times: rows that each phase adds for each real one of a rare class.
        policies: of augmentation; empty = that of the domain.
        generators: names of ``synthesize``; empty = all that can show a class honestly, ``none`` = none.
        shows: ``kind:class`` pairs: which classes a drawn defect shows although their name does not say so.
        seeds: repeats.
        instrument: ``probe``, or ``boxes``.
        steps: of every training of the detector.
        network: of the detector.
        size: pixels that the longer side is brought to for it; 0 = the pictures' own, at most 640.
    """

    counts: tuple[int, ...] = (800, 8, 4)
    classes: tuple[str, ...] = ()
    times: float = 10.0
    policies: tuple[str, ...] = ()
    generators: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    seeds: int = 10
    instrument: Literal["probe", "boxes"] = "probe"
    steps: int = 400
    network: str = "auto"
    size: int = 0

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and verdicts per class and phase; see the base.

        Raises:
            ConfigError: numbers that leave nothing to train.
            DataError: no features, or a class with too few samples.
            UnknownNameError: there is no such class, policy or generator.
        """
        rows = self._rows(ds, journal)
        source: _Source = rows if self.instrument == "probe" else self._boxes(rows)
        setting = {name: value for name, value in self.params().items() if name != "seeds"}
        content = digest("phases", *Content(ds, 1).content(), *rows.policies, *map(str, rows.codes))
        kept = Journal(journal, {**setting, "seed": seed, "content": content})
        keys = [str(repeat) for repeat in range(self.seeds)]
        for key in within(keys, list(kept.done), minutes=minutes, what="seeds"):
            kept.add(key, _measured(source, rows.codes, seed + int(key), test=False))
        if source.has_test and TEST not in kept and all(key in kept for key in keys):
            say("the test split is looked at, once")
            kept.add(TEST, _measured(source, rows.codes, seed, test=True))
        body = self._found(rows, kept.done, keys, seed)
        return Finding(QUESTION, body, _page(body))

    def _boxes(self, rows: Source) -> _Source:
        from scarce.study._phase_boxes import BoxSource

        return BoxSource.of(
            rows, self.steps, {"network": self.network, "size": self.size or None, "crop": 0, "augment": "none"}
        )

    def _rows(self, ds: Dataset, journal: Path | None) -> Source:
        if len(self.counts) < 2 or min(*self.counts, self.seeds, self.steps) < 1 or self.times <= 0:
            what = f"counts = {list(self.counts)}, times = {self.times:g}, seeds = {self.seeds}, steps = {self.steps}"
            raise ConfigError("study", what, do="take two counts from 1 on or more, times above 0 and a seed or more")
        if ds.schema.task != "class":
            raise DataError("study", f"the labels are {ds.schema.task}", "phases are about classes")
        rows = parts_of(ds, 0)[0] if self.instrument == "probe" else np.flatnonzero(development(ds) & vouched(ds))
        pictures = ds.schema.modality == "image"
        kinds = kinds_of(self.generators, self.shows) if pictures or self.generators or self.shows else []
        if kinds and not pictures:
            what = f"generators draw on pictures, this is {ds.schema.modality}"
            raise DataError("study", what, do="name policies only")
        return Source(
            ds, classes_of(ds, self.classes, rows, len(self.counts)), self.counts, self.times,
            tuple(policies_of(ds, self.policies)), tuple(kinds),
            None if journal is None else journal.with_suffix(".features"),
        )  # fmt: skip

    def _found(self, source: Source, done: Mapping[str, Any], keys: list[str], seed: int) -> dict[str, Any]:
        rows = [done[key] for key in keys if key in done]
        names = [source.ds.schema.classes[code] for code in source.codes]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(rows),
            "seeds_wanted": self.seeds, "seconds": round(sum(row["seconds"] for row in done.values()), 1),
            "classes": dict(zip(names, self.counts, strict=True)), "majority": names[0],
            "policies": list(source.policies), "arms": {}, "test": done.get(TEST),
        }  # fmt: skip
        if not rows:
            return body
        body |= {"judged": dict(zip(names, np.mean([row["judged"] for row in rows], axis=0).tolist(), strict=True)),
                 "made": rows[0]["made"], "not_made": rows[0]["not_made"]}  # fmt: skip

        def values(arm: str, metric: str, of: list[str]) -> Array:
            return np.array([np.mean([row["arms"][arm][metric][name] for name in of]) for row in rows])

        for arm, words in ARMS.items():
            told: dict[str, Any] = {"what": words, "counts": _mean_counts([row["arms"][arm]["counts"] for row in rows])}
            for metric in METRICS:
                told[metric] = {}
                for title, of in {"rare": names[1:], **{name: [name] for name in names}}.items():
                    own, start = values(arm, metric, of), values(REAL, metric, of)
                    told[metric][title] = {**share_over_seeds(own), "gain": gain_over_seeds(own - start)}
                    if title == "rare":
                        control = values(REPEAT, metric, of)
                        told[metric][title]["over_repeat"] = gain_over_seeds(own - control)
            told["majority"] = _majority(told["recall"][names[0]]["gain"])
            body["arms"][arm] = told
        for metric in METRICS:
            judge([body["arms"][arm][metric]["rare"]["gain"] for arm in ARMS if arm != REAL])
            judge([body["arms"][arm][metric]["rare"]["over_repeat"] for arm in ARMS if arm not in (REAL, REPEAT)])
        return body


class _Trial(Protocol):
    """One draw."""

    @property
    def made(self) -> Candidates:
        """The drawn rows and those grown from them."""

    @property
    def truth(self) -> Ints:
        """(M,) codes of the judged samples."""

    def measured(self, arm: str) -> dict[str, Any]:
        """Return class to ``recall``, to ``average_precision`` and to ``counts`` of the rows of each kind."""


class _Source(Protocol):
    """Where draws come from."""

    @property
    def has_test(self) -> bool:
        """Whether the test split has samples of every class."""

    def trial(self, seed: int, *, test: bool = False) -> _Trial:
        """Return one draw, judged by held-out samples or by the test split."""


def _measured(source: _Source, codes: Sequence[int], seed: int, *, test: bool) -> dict[str, Any]:
    """Return the scores of all arms of one draw, who made rows and who could not, and the seconds."""
    started = time.perf_counter()
    trial = source.trial(seed, test=test)
    arms = {arm: trial.measured(arm) for arm in ARMS}
    unmade: dict[str, list[str]] = {}
    for name, why in trial.made.refused.items():
        unmade.setdefault(why, []).append(name)
    makers = {"made": [name for name in trial.made.made if "." in name and "+" not in name], "not_made": unmade}
    judged = np.bincount(trial.truth, minlength=max(codes) + 1)[list(codes)].tolist()
    return {"arms": arms, **makers, "judged": judged, "seconds": round(time.perf_counter() - started, 1)}


def _mean_counts(rows: list[dict[str, dict[str, int]]]) -> dict[str, dict[str, float]]:
    """Return class to kind of row to their mean number."""
    return {
        name: {kind: round(float(np.mean([row[name].get(kind, 0) for row in rows])), 1)
               for kind in dict.fromkeys(kind for row in rows for kind, number in row[name].items() if number)}
        for name in rows[0]
    }  # fmt: skip


def _majority(gain: Mapping[str, Any]) -> str:
    """Return whether the majority's recall fell, was kept, or neither can be proven; no interval proves nothing."""
    if gain["low"] is None:
        return "not provable"
    if gain["low"] >= -MARGIN:
        return "kept"
    return "fell" if gain["high"] < 0 else "not provable"


def conclusion(body: Mapping[str, Any]) -> str:
    """Return what each phase gains on the rare classes, whether beyond repeats, and what becomes of the majority."""
    if not body["arms"]:
        return "Nothing was measured yet."
    said = []
    for arm in [name for name in body["arms"] if name != REAL]:
        row, words = body["arms"][arm], []
        for metric in METRICS:
            rare = row[metric]["rare"]
            told = f"{metric.replace('_', ' ')} {points(rare['gain'])}, {rare['gain']['verdict']}"
            if arm != REPEAT:
                told += f", over repeats {points(rare['over_repeat'])}, {rare['over_repeat']['verdict']}"
            words.append(told)
        said.append(f"{arm}: {'; '.join(words)}; majority {row['majority']}")
    start = body["arms"][REAL]
    counts = ":".join(str(count) for count in body["classes"].values())
    return (
        f"At {counts} the real samples alone reach an average precision of {start[METRICS[0]]['rare']['mean']:.1%} and "
        f"a recall of {start[METRICS[1]]['rare']['mean']:.1%} on the rare classes. Gains in points: {'. '.join(said)}."
    )


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: a class in a phase, what it was trained on, and its scores."""
    head = ["trained on", "class", "rows", "average precision", "gain", "recall", "gain", "test, one look"]
    rows = []
    for arm, row in body["arms"].items():
        for name, counts in row["counts"].items():
            own, hit = row["average_precision"][name], row["recall"][name]
            look = None if body["test"] is None else body["test"]["arms"][arm]
            rows.append([
                row["what"], name, ", ".join(f"{number:g} {kind}" for kind, number in counts.items()), shares(own),
                "" if arm == REAL else points(own["gain"]), shares(hit), "" if arm == REAL else points(hit["gain"]),
                "" if look is None else f"{look['average_precision'][name]:.1%}, {look['recall'][name]:.1%}",
            ])  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    said = [f"{body['seeds_done']} of {body['seeds_wanted']} seeds.", conclusion(body)]
    if not body["arms"]:
        return results_page(QUESTION, said, [], [])
    judged = ", ".join(f"{number:g} {name}" for name, number in body["judged"].items())
    idle = [name for names in body["not_made"].values() for name in names]
    unmade = f" Nothing was made by {', '.join(idle)}; the JSON file says why." if idle else ""
    made = ", ".join(body["made"]) or "nobody"
    looked = "looked at once, with the first seed: average precision, recall." if body["test"] else "not looked at."
    said += [
        f"Judged on real held-out samples, the same in all arms: {judged} on average. Made by {made}.{unmade}",
        (
            "Gains are in points over the real samples alone, with 95 % intervals over seeds, paired. The majority is "
            f"kept where its recall is proven to fall by less than {100 * MARGIN:g} point. The test split was {looked}"
        ),
    ]
    names = list(body["classes"])
    panels = {name: {row["what"]: row["average_precision"][name] for row in body["arms"].values()} for name in names}
    head, rows = table_of(body)
    return results_page(QUESTION, said, head, rows, figure=forest(panels, "average precision of each class"))
