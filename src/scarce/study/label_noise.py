"""How much wrong labels cost, and how much of it each remedy brings back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.lineage import digest
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._forest import forest
from scarce.study._journal import Journal
from scarce.study._noise import Kind, Noisy, Source
from scarce.study._page import results_page
from scarce.study._seeds import over_seeds, points, share_over_seeds, shares

QUESTION: Final = "What do wrong labels cost, and what brings it back?"
TEST: Final = "test"
PLAIN: Final = "plain"
REMEDIES: Final[Mapping[str, str]] = {
    PLAIN: "labels as they are",
    "random": "as many rows dropped at random",
    "dropped": "doubted rows dropped",
    "weighted": "rows weighted by the audit",
    "repaired": "doubted labels replaced",
    "true": "true labels",
}


@final
@dataclass(frozen=True, kw_only=True)
class LabelNoise(AbstractStudy):
    """Make rising shares of the labels wrong, and compare what the audit of label errors brings back by each use of it.

    Use to learn how far the labels of a project may be trusted to be mended without a person. Labels that people gave
    count as true. A linear probe learns from the wrong labels, without rows that the audit doubts, without as many
    random rows (the control), with rows weighted by how probably their label is right, with doubted labels replaced,
    and from true labels. A grouped, stratified quarter outside test judges; after the last seed the test split is
    looked at once, at the highest share.
    Needs: features and labels of people. Writes nothing to the data.
    Source: Northcutt, Jiang and Chuang 2021 (dropping, weighting); the audit is that of ``scarce audit``.

    Args:
        rates: shares of wrong labels; 0 shows what the remedies cost where nothing is wrong.
        kind: ``symmetric`` any other class; ``asymmetric`` the next one; ``annotator`` a class that looks alike.
        most: training samples at most.
        seeds: repeats, each with its own held-out part, samples and errors.
        components: principal components of the features.
    """

    rates: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    kind: Kind = "symmetric"
    most: int = 2000
    seeds: int = 5
    components: int = 64

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and what the audit found, at every share; see the base.

        Raises:
            ConfigError: settings out of range.
            DataError: no features, or too few labels.
        """
        if not self.rates or min(self.rates) < 0 or max(self.rates) >= 1 or min(self.seeds, self.components) < 1 \
                or self.most < 40:  # fmt: skip
            what = f"rates = {list(self.rates)}, most = {self.most}, seeds = {self.seeds}"
            raise ConfigError("study", what, do="take rates from 0 to below 1, 40 samples or more, 1 seed or more")
        source = Source(ds, self.most, self.components)
        first = source.draw(0.0, self.kind, seed)
        setting = {key: value for key, value in self.params().items() if key not in {"seeds", "rates"}}
        kept = Journal(journal, {**setting, "seed": seed, "content": digest("label_noise", *source.content())})
        keys = [f"{repeat}/{rate:g}" for repeat in range(self.seeds) for rate in self.rates]
        for key in within(keys, list(kept.done), minutes=minutes, what="seeds and shares"):
            repeat, rate = key.split("/")
            kept.add(key, _measured(source.draw(float(rate), self.kind, seed + int(repeat))))
        last = f"{TEST}/{max(self.rates):g}"
        if last not in kept and source.has_test and all(key in kept for key in keys):
            kept.add(last, _measured(source.draw(max(self.rates), self.kind, seed, test=True)))
        body = self._found(kept.done, seed)
        body |= {"train": len(first.truth), "judged": len(first.answers), "classes": list(ds.schema.classes)}
        return Finding(QUESTION, body, _page(body))

    def _found(self, done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_wanted": self.seeds, "rates": {},
            "seconds": round(sum(row["seconds"] for row in done.values()), 1),
            "test": done.get(f"{TEST}/{max(self.rates):g}"),
        }  # fmt: skip
        counts = []
        for rate in self.rates:
            rows = [done[key] for key in (f"{repeat}/{rate:g}" for repeat in range(self.seeds)) if key in done]
            counts.append(len(rows))
            if not rows:
                continue
            values = {name: np.array([row["scores"][name]["accuracy"] for row in rows]) for name in REMEDIES}
            audits = {key: [row["audit"][key] for row in rows if row["audit"][key] is not None]
                      for key in ("wrong", "estimated", "precision", "recall", "wrong_after")}  # fmt: skip
            body["rates"][f"{rate:g}"] = {
                "seeds": len(rows),
                "remedies": {
                    name: {"what": REMEDIES[name], **share_over_seeds(own), "gain": over_seeds(own - values[PLAIN])}
                    for name, own in values.items()
                },
                "audit": {key: share_over_seeds(np.array(known)) if known else None for key, known in audits.items()},
            }
        body["seeds_done"] = min(counts)
        return body


def _measured(noisy: Noisy) -> dict[str, Any]:
    started, opinion = time.perf_counter(), noisy.opinion()
    labels, kept = noisy.repaired(opinion)
    wrong = np.nan_to_num(opinion.wrong)
    sound = wrong <= 0.5
    some = np.ones(len(sound), bool)
    drawn = np.random.default_rng([noisy.seed, 0x6C6E]).permutation(len(sound))[: int((~sound).sum())]
    some[drawn] = False
    found = {
        PLAIN: noisy.probe(noisy.given),
        "random": noisy.probe(noisy.given, some),
        "dropped": noisy.probe(noisy.given, sound),
        "weighted": noisy.probe(noisy.given, weights=1 - wrong),
        "repaired": noisy.probe(labels, kept),
        "true": noisy.probe(noisy.truth),
    }
    return {"scores": found, "audit": noisy.audit(opinion), "judged": len(noisy.answers),
            "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip


def conclusion(body: Mapping[str, Any]) -> str:
    """Return one sentence a share: what it costs, what the best remedy brings back, and what the audit estimated."""
    said = []
    for rate, found in body["rates"].items():
        rows, audit = found["remedies"], found["audit"]
        own = [name for name in rows if name not in {PLAIN, "random", "true"}]
        best = rows[max(own, key=lambda name: rows[name]["mean"])]
        said.append(
            f"{float(rate):.0%} wrong (the audit says {audit['estimated']['mean']:.1%}): true labels gain "
            f"{points(rows['true']['gain'])} points, the best remedy ({best['what']}) {points(best['gain'])}"
        )  # fmt: skip
    return ". ".join(said) + "." if said else "Nothing was measured yet."


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: accuracy and gain at every share."""
    head = ["trained on", *(cell for rate in body["rates"] for cell in (f"{float(rate):.0%} wrong", "points"))]
    rows = []
    for name, what in REMEDIES.items():
        cells = [what]
        for found in body["rates"].values():
            row = found["remedies"][name]
            cells += [shares(row), "" if name == PLAIN else points(row["gain"])]
        rows.append(cells)
    rows = rows if body["rates"] else []
    if body["test"] is not None:
        head.append("test, one look")
        rows = [[*row, f"{body['test']['scores'][name]['accuracy']:.1%}"]
                for name, row in zip(REMEDIES, rows, strict=True)]  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds; {body['train']:,} training samples, "
            f"{body['setting']['kind']} errors; accuracy of a linear probe on {body['judged']:,} held-out samples "
            "with true labels."
        ),
        conclusion(body),
        "Brackets are 95 % intervals over seeds, gains are against the labels as they are. The test split was "
        + ("looked at once, at the highest share." if body["test"] else "not looked at."),
    ]
    head, rows = table_of(body)
    panels = {
        f"{float(rate):.0%} wrong": {row["what"]: row for row in found["remedies"].values()}
        for rate, found in body["rates"].items()
    }
    return results_page(
        QUESTION, said, head, rows, figure=forest(panels, "accuracy of each remedy") if panels else None
    )
