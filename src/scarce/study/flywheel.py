"""A year of production with and without each part of the wheel: accuracy, labels, alarms, and promotions stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats
from scarce.errors import ConfigError, unknown_name
from scarce.lineage import digest
from scarce.metric.interval import wilson
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._journal import Journal
from scarce.study._lines import key, lines
from scarce.study._page import results_page
from scarce.study._seeds import gain_over_seeds, judge, points, share_over_seeds, shares
from scarce.study._wheel import ARMS, RECENT, Wheel
from scarce.study._year import Plot, usable, year_of

QUESTION: Final = "What does each part of the wheel gain over a year of production?"
WHOLE, STILL = "wheel", "no wheel"
POINT: Final = 0.01
"""A promotion is bad, or good, where the coming weeks show so much less, or more, accuracy."""
WORDS: Final[Mapping[str, str]] = {
    WHOLE: "all parts", STILL: "the first model all year", "no queue": "asked at random, not by doubt and rarity",
    "no audit": "no tenth at random: nothing but the old held-out samples judges",
    "no gate": "every challenger promoted", "no override": "nobody overrides what is not provable",
    "no alarm": "no look for drift and new classes", "all labels": "everything labelled",
}  # fmt: skip
FIGURES: Final[Mapping[str, str]] = {
    "accuracy": "accuracy", "balanced": "balanced accuracy", "newcomer": "recall of the new class",
}  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Flywheel(AbstractStudy):
    """Play a year of production from labelled pictures, with and without each part of the wheel.

    Use before deciding on a budget of labels, or which parts to turn. Classes have seasons and a long tail; one of them
    is new after 30 % of the year, the camera is changed after 65 %, and three times labels are imported in which two
    classes are swapped. Queue, look for drift and evidence of a promotion are those of the project; the truth answers
    in the place of people, and the model is a linear probe. A promotion counts as bad where the four weeks after it
    show a point less accuracy than the champion would have had.
    Needs: pictures, features, and labels of people, one picture of each group. Writes nothing to the data.

    Args:
        arms: which to play; the whole wheel is always among them.
        weeks: of the year.
        weekly: samples a week.
        first: labelled samples at the beginning.
        held_out: labelled samples of the beginning that judge promotions.
        budget: labels a week.
        tail: the commonest class comes so many times as often as the rarest.
        seeds: repeats, each with its own mix, new class and swapped classes.
    """

    arms: tuple[str, ...] = tuple(ARMS)
    weeks: int = 52
    weekly: int = 250
    first: int = 600
    held_out: int = 1500
    budget: int = 100
    tail: float = 5.0
    seeds: int = 5

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return accuracy, labels, alarms and promotions of each arm; see the base.

        Raises:
            ConfigError: settings out of range.
            DataError: no pictures, no features, or too few labels for the year.
            UnknownNameError: no such arm.
        """
        arms = tuple(dict.fromkeys((WHOLE, *self.arms)))
        for name in arms:
            if name not in ARMS:
                raise unknown_name("study", "arm", name, tuple(ARMS))
        if min(self.weekly, self.first // 50, self.held_out, self.seeds) < 1 or self.weeks < 8 or self.budget < 10:
            what = f"weeks = {self.weeks}, weekly = {self.weekly}, first = {self.first}, budget = {self.budget}"
            raise ConfigError("study", what, do="take 8 weeks, 50 first samples and 10 labels a week, or more")
        if self.tail < 1:
            raise ConfigError("study", f"tail = {self.tail:g}", do="take 1 (all alike) or more")
        part = usable(ds)
        plot = Plot(weeks=self.weeks, weekly=self.weekly, first=self.first, held_out=self.held_out, tail=self.tail,
                    spoiled=self.first // 2)  # fmt: skip
        setting = {name: value for name, value in self.params().items() if name not in ("seeds", "arms")}
        (features,) = part.wide.values()
        told = digest("flywheel", *part.ids.tolist(), *map(str, part["label"]), str(float(np.abs(features).sum())))
        kept = Journal(journal, {**setting, "seed": seed, "content": told})
        years: dict[int, Any] = {}
        keys = [f"{repeat}/{name}" for repeat in range(self.seeds) for name in arms]
        for one in within(keys, list(kept.done), minutes=minutes, what="years"):
            repeat = int(one.partition("/")[0])
            if repeat not in years:
                years = {repeat: year_of(part, plot, seed=seed + repeat)}
            kept.add(one, self._played(years[repeat], one.partition("/")[2], seed + repeat))
        body = self._found(arms, kept.done, part.schema.classes, plot, seed)
        return Finding(QUESTION, body, _page(body))

    def _played(self, year: Any, name: str, seed: int) -> dict[str, Any]:
        started = time.perf_counter()
        found = Wheel(year, ARMS[name], budget=self.budget, seed=seed).play()
        return {**found, "newcomer": year.newcomer, "seconds": round(time.perf_counter() - started, 1)}

    def _found(
        self, arms: Sequence[str], done: Mapping[str, Any], classes: Sequence[str], plot: Plot, seed: int
    ) -> dict[str, Any]:
        whole = [repeat for repeat in range(self.seeds) if all(f"{repeat}/{name}" in done for name in arms)]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(whole),
            "seeds_wanted": self.seeds, "seconds": round(sum(row["seconds"] for row in done.values()), 1),
            "events": {"new class": plot.appears, "other camera": plot.camera, "swapped labels": list(plot.imports)},
            "newcomers": [classes[done[f"{repeat}/{WHOLE}"]["newcomer"]] for repeat in whole], "arms": {},
        }  # fmt: skip
        if not whole:
            return body
        years = {name: [done[f"{repeat}/{name}"] for repeat in whole] for name in arms}
        figures = {name: _figures(rows) for name, rows in years.items()}
        for name, rows in years.items():
            told: dict[str, Any] = {"what": WORDS[name]}
            for figure in FIGURES:
                told[figure] = {**share_over_seeds(figures[name][figure]),
                                "gain": gain_over_seeds(figures[name][figure] - figures[WHOLE][figure])}  # fmt: skip
            told["labels"] = float(np.mean([row["labels"][-1] for row in rows]))
            told["curve"] = _curve(rows)
            told["promotions"] = _promotions(rows)
            told["alarms"] = _alarms(rows, plot)
            told["kpi"] = _kpi(rows)
            body["arms"][name] = told
        for figure in FIGURES:
            judge([body["arms"][name][figure]["gain"] for name in arms if name != WHOLE])
        return body


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Floats]:
    """Return (S,) accuracy over the year, mean recall of the classes, and recall of the new class since it came."""
    found: dict[str, list[float]] = {name: [] for name in FIGURES}
    for row in rows:
        hits, counts = np.array(row["hits"]).sum(0), np.array(row["counts"]).sum(0)
        seen = counts > 0
        found["accuracy"].append(hits.sum() / counts.sum())
        found["balanced"].append(float((hits[seen] / counts[seen]).mean()))
        found["newcomer"].append(hits[row["newcomer"]] / max(1, counts[row["newcomer"]]))
    return {name: np.array(values, np.float64) for name, values in found.items()}


def _curve(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return accuracy of each four weeks, with its interval over seeds."""
    hits, counts = (np.array([np.array(row[name]).sum(1) for row in rows], np.float64) for name in ("hits", "counts"))
    weeks = range(0, hits.shape[1], RECENT)
    values = np.stack([hits[:, at : at + RECENT].sum(1) / counts[:, at : at + RECENT].sum(1) for at in weeks], 1)
    found = [share_over_seeds(column) for column in values.T]
    return {
        "week": [min(at + RECENT, hits.shape[1]) for at in weeks], "mean": [one["mean"] for one in found],
        "low": [one["mean"] if one["low"] is None else one["low"] for one in found],
        "high": [one["mean"] if one["high"] is None else one["high"] for one in found],
    }  # fmt: skip


def _promotions(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many challengers a year were promoted and stopped: those that were bad, good, neither, or spoiled."""
    found: dict[str, Any] = {}
    offered = [one for row in rows for one in row["promotions"]]
    for name, of in {
        "bad": [one for one in offered if one["gain"] is not None and one["gain"] < -POINT],
        "good": [one for one in offered if one["gain"] is not None and one["gain"] > POINT],
        "spoiled": [one for one in offered if one["import"]], "all": offered,
    }.items():  # fmt: skip
        through = sum(one["verdict"] in ("promoted", "overridden") for one in of)
        found[name] = {"promoted": through / len(rows), "stopped": (len(of) - through) / len(rows)}
    verdicts = sorted({one["verdict"] for one in offered})
    found["verdicts"] = {name: sum(one["verdict"] == name for one in offered) / len(rows) for name in verdicts}
    return found


def _alarms(rows: Sequence[Mapping[str, Any]], plot: Plot) -> dict[str, Any]:
    """Return weeks from the new class, and from the other camera, to the first alarm; None where there was none."""
    found: dict[str, Any] = {}
    for name, kind, start in (("new class", "new class", plot.appears), ("other camera", "input", plot.camera)):
        delays = []
        for row in rows:
            later = [one["week"] - start for one in row["alarms"] if one["kind"] == kind and one["week"] >= start]
            delays.append(min(later, default=None))
        found[name] = delays
    before = [{one["week"] for one in row["alarms"] if one["kind"] == "new class" and one["week"] < plot.appears}
              for row in rows]  # fmt: skip
    found["new class before it came"] = [len(weeks) for weeks in before]
    return found


def _kpi(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far the accuracy that the audit shows, and that all answers show, lies from the truth."""
    months = [month for row in rows for month in row["kpi"]]
    drawn = [month for month in months if month["n"]]
    asked = [month for month in months if month["naive"] is not None]
    inside = [wilson(month["right"], month["n"]) for month in drawn]
    covered = [low <= month["truth"] <= high for month, (low, high) in zip(drawn, inside, strict=True)]
    return {
        "audit": _mean([month["right"] / month["n"] - month["truth"] for month in drawn]),
        "asked": _mean([month["naive"] - month["truth"] for month in asked]),
        "covered": _mean(covered), "months": len(drawn),
    }  # fmt: skip


def _mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(np.mean(np.asarray(values, np.float64))) if len(values) else None


def conclusion(body: Mapping[str, Any]) -> str:
    """Return what each part gains, and what became of bad promotions."""
    if not body["arms"]:
        return "Nothing was measured yet."
    own = body["arms"][WHOLE]
    said = [f"The whole wheel answers {shares(own['accuracy'])} of the year right with {own['labels']:,.0f} labels."]
    said += [
        f"{name}: {points(row['accuracy']['gain'])} points, {row['accuracy']['gain']['verdict']}"
        f" ({row['labels']:,.0f} labels)."
        for name, row in body["arms"].items() if name != WHOLE
    ]  # fmt: skip
    bad, good = own["promotions"]["bad"], own["promotions"]["good"]
    said.append(
        f"Of {bad['promoted'] + bad['stopped']:.1f} bad challengers a year the gate stopped {bad['stopped']:.1f}, and "
        f"{good['stopped']:.1f} of {good['promoted'] + good['stopped']:.1f} good ones."
    )
    kpi = own["kpi"]
    if kpi["audit"] is not None and kpi["asked"] is not None:
        said.append(
            f"The audit is off by {100 * kpi['audit']:+.1f} points on average and its intervals hold the truth in "
            f"{kpi['covered']:.0%} of {kpi['months']} months; all answers together are off by "
            f"{100 * kpi['asked']:+.1f}."
        )
    return " ".join(said)


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table, one for each arm."""
    head = ["arm", "accuracy", "against the wheel", "balanced", "new class", "labels", "bad promoted", "bad stopped",
            "good stopped", "swapped labels promoted"]  # fmt: skip
    rows = []
    for name, row in body["arms"].items():
        told = row["promotions"]
        rows.append([
            name, shares(row["accuracy"]),
            "" if name == WHOLE else f"{points(row['accuracy']['gain'])}, {row['accuracy']['gain']['verdict']}",
            shares(row["balanced"]), shares(row["newcomer"]), f"{row['labels']:,.0f}", f"{told['bad']['promoted']:.1f}",
            f"{told['bad']['stopped']:.1f}", f"{told['good']['stopped']:.1f}", f"{told['spoiled']['promoted']:.1f}",
        ])  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    said = [f"{body['seeds_done']} of {body['seeds_wanted']} seeds.", conclusion(body)]
    if not body["arms"]:
        return results_page(QUESTION, said, [], [])
    when = body["events"]
    own = body["arms"][WHOLE]["alarms"]
    said.append(
        f"The new class comes in week {when['new class']}, the other camera in week {when['other camera']}, swapped "
        f"labels in weeks {', '.join(map(str, when['swapped labels']))}. Weeks until the first alarm, by seed: new "
        f"class {_told(own['new class'])}, other camera {_told(own['other camera'])}; alarms for a new class before it "
        f"came: {_told(own['new class before it came'])}. Counts are means a year; 95 % intervals over seeds."
    )
    said.append("; ".join(f"{name}: {row['what']}" for name, row in body["arms"].items()) + ".")
    curves = {name: row["curve"] for name, row in body["arms"].items()}
    head, rows = table_of(body)
    figure = lines(curves, "accuracy of each four weeks", y="accuracy", x="week")
    return results_page(QUESTION, said, head, rows, figure=[figure, key(curves)])


def _told(values: Array | Sequence[Any]) -> str:
    return ", ".join("none" if value is None else str(value) for value in values)
