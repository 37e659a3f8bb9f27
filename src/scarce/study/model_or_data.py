"""With some labels wrong: is it better to improve the model, or the labels?"""

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

QUESTION: Final = "With wrong labels: a better model, or cleaner data?"
TEST: Final = "test"
START: Final = "start"
ARMS: Final[Mapping[str, str]] = {
    START: "linear probe, labels as they are",
    "model": "boosted trees, labels as they are",
    "audited": "linear probe, labels cleaned by the audit",
    "true": "linear probe, true labels",
    "model_audited": "boosted trees, labels cleaned by the audit",
    "model_true": "boosted trees, true labels",
}


@final
@dataclass(frozen=True, kw_only=True)
class ModelOrData(AbstractStudy):
    """Make a share of the labels wrong; compare a better model on them with the same model on cleaner ones.

    Use before spending days on a model where labels may be wrong. Labels that people gave count as true; a share of
    the training ones is made wrong. Six arms: a linear probe and gradient-boosted trees, each on the wrong labels, on
    labels that the own audit cleaned (it sees the wrong labels and nothing else), and on the true ones. A grouped,
    stratified quarter outside test judges; after the last seed the test split is looked at once.
    Needs: features and labels of people. Writes nothing to the data.
    Source: the data-centric experiment of Ng 2021 (steel sheets): 76.2 %, a better model 76.2 %, better data 93.1 %.

    Args:
        rate: share of the training labels that is made wrong.
        kind: ``symmetric`` any other class; ``asymmetric`` the next one; ``annotator`` a class that looks alike.
        trees: boosting rounds of the better model.
        most: training samples at most.
        seeds: repeats, each with its own held-out part, samples and errors.
        components: principal components of the features that all models see.
    """

    rate: float = 0.1
    kind: Kind = "symmetric"
    trees: int = 200
    most: int = 2000
    seeds: int = 5
    components: int = 64

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and what the audit found; see the base.

        Raises:
            ConfigError: settings out of range.
            DataError: no features, or too few labels.
        """
        if not 0 < self.rate < 1 or min(self.trees, self.seeds, self.components) < 1 or self.most < 40:
            what = f"rate = {self.rate}, trees = {self.trees}, most = {self.most}, seeds = {self.seeds}"
            raise ConfigError("study", what, do="take a rate between 0 and 1, 40 samples or more, and 1 of the others")
        source = Source(ds, self.most, self.components)
        first = source.draw(self.rate, self.kind, seed)
        setting = {key: value for key, value in self.params().items() if key != "seeds"}
        kept = Journal(journal, {**setting, "seed": seed, "content": digest("model_or_data", *source.content())})
        keys = [str(repeat) for repeat in range(self.seeds)]
        for key in within(keys, list(kept.done), minutes=minutes, what="seeds"):
            kept.add(key, self._measured(source.draw(self.rate, self.kind, seed + int(key))))
        if TEST not in kept and source.has_test and all(key in kept for key in keys):
            kept.add(TEST, self._measured(source.draw(self.rate, self.kind, seed, test=True)))
        body = self._found(kept.done, keys, seed)
        body |= {"train": len(first.truth), "judged": len(first.answers), "classes": list(ds.schema.classes)}
        return Finding(QUESTION, body, _page(body))

    def _measured(self, noisy: Noisy) -> dict[str, Any]:
        started, opinion = time.perf_counter(), noisy.opinion()
        labels, rows = noisy.repaired(opinion)
        found = {
            START: noisy.probe(noisy.given),
            "model": noisy.boosted(noisy.given, trees=self.trees),
            "audited": noisy.probe(labels, rows),
            "true": noisy.probe(noisy.truth),
            "model_audited": noisy.boosted(labels, rows, trees=self.trees),
            "model_true": noisy.boosted(noisy.truth, trees=self.trees),
        }
        return {"scores": found, "audit": noisy.audit(opinion), "judged": len(noisy.answers),
                "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip

    def _found(self, done: Mapping[str, Any], keys: list[str], seed: int) -> dict[str, Any]:
        rows = [done[key] for key in keys if key in done]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_done": len(rows),
            "seeds_wanted": self.seeds, "seconds": round(sum(row["seconds"] for row in rows), 1), "arms": {},
            "audit": {}, "test": done.get(TEST),
        }  # fmt: skip
        if not rows:
            return body
        values = {
            arm: {key: np.array([row["scores"][arm][key] for row in rows]) for key in ("accuracy", "balanced_accuracy")}
            for arm in ARMS
        }  # fmt: skip
        for arm, own in values.items():
            body["arms"][arm] = {
                "what": ARMS[arm], **share_over_seeds(own["accuracy"]),
                "gain": over_seeds(own["accuracy"] - values[START]["accuracy"]),
                "balanced_accuracy": share_over_seeds(own["balanced_accuracy"]),
            }  # fmt: skip
        for key in ("wrong", "estimated", "precision", "recall", "wrong_after"):
            known = [row["audit"][key] for row in rows if row["audit"][key] is not None]
            body["audit"][key] = share_over_seeds(np.array(known)) if known else None
        return body


def conclusion(body: Mapping[str, Any]) -> str:
    """Return what the better model gains, what cleaner data gain, and how far the audit comes."""
    if not body["arms"]:
        return "Nothing was measured yet."
    gain = {arm: points(row["gain"]) for arm, row in body["arms"].items()}
    audit = body["audit"]
    said = (
        f"With {body['setting']['rate']:.0%} of the labels wrong, the better model gains {gain['model']} points, "
        f"the own audit {gain['audited']}, true labels {gain['true']}; the better model on audited labels "
        f"{gain['model_audited']}, on true ones {gain['model_true']}."
    )
    if audit["precision"] is not None:
        said += (
            f" The audit found {audit['recall']['mean']:.0%} of the wrong labels; {audit['precision']['mean']:.0%} of "
            f"those that it doubted were wrong. After it {audit['wrong_after']['mean']:.1%} are wrong."
        )
    return said


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table."""
    head = ["trained with", "accuracy", "points over the start", "balanced accuracy", "test, one look"]
    rows = [
        [row["what"], shares(row), "" if arm == START else points(row["gain"]), shares(row["balanced_accuracy"]),
         "" if body["test"] is None else f"{body['test']['scores'][arm]['accuracy']:.1%}"]
        for arm, row in body["arms"].items()
    ]  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    setting = body["setting"]
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds; {body['train']:,} training samples, "
            f"{setting['kind']} errors; judged on {body['judged']:,} held-out samples with true labels."
        ),
        conclusion(body),
        "Brackets are 95 % intervals over seeds. The test split was "
        + ("looked at once, with the first seed." if body["test"] else "not looked at."),
    ]
    head, rows = table_of(body)
    figure = (
        forest({"accuracy": {row["what"]: row for row in body["arms"].values()}}, "accuracy of each way")
        if rows
        else None
    )
    return results_page(QUESTION, said, head, rows, figure=figure)
