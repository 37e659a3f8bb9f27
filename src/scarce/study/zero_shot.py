"""What labels of a model are worth: a model trained on them alone, on reviewed ones, and on people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np

from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.errors import ConfigError
from scarce.label import zero_shot as stage
from scarce.probe import LinearProbe, Projection
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._curve import Curves, difference
from scarce.study._data import parts_of, scores
from scarce.study._journal import Journal
from scarce.study._page import results_page

BLOCK: Final = 1 << 14
"""Rows that are projected and judged at once."""
QUESTION: Final = "What are labels of a model worth?"
ARMS: Final = {
    "zero_shot": "the model's labels alone",
    "examples": "the examples alone",
    "with_examples": "the model's labels and the examples",
    "reviewed": "the same, the least sure ones reviewed",
    "human": "examples and as many labels of people as were reviewed",
    "all_human": "people label everything",
}


@final
@dataclass(frozen=True, kw_only=True)
class ZeroShot(AbstractStudy):
    """Compare a model on zero-shot labels alone, on reviewed ones and on people's, on labels that are known already.

    Use before trusting ``scarce label zero-shot`` with a large pool. The test split is not touched; a grouped,
    stratified quarter of the other labelled samples is held out to judge on, and all but a few random examples of the
    rest lose their label.
    Needs: features, and labels of people. Writes nothing to the data.

    Args:
        method: of ``label.zero_shot``; prototype works on any features.
        examples: random labelled samples that the method may see and prove its threshold on.
        precision: wanted share of right ones among labels that are taken over.
        unproven: take classes over whose own precision the few examples do not prove, as ``--unproven`` does.
        review: share of the model's labels, the least sure ones, that a person looks at.
        seconds: that a label of a person takes.
        seeds: repeats with other examples.
        metric: accuracy or balanced_accuracy.
    """

    method: str = "prototype"
    examples: int = 100
    precision: float = 0.9
    unproven: bool = True
    review: float = 0.1
    seconds: float = 5.0
    seeds: int = 20
    metric: Literal["accuracy", "balanced_accuracy"] = "balanced_accuracy"

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, shares and seconds; see the base.

        Raises:
            ConfigError: numbers that leave nothing to label.
        """
        rows, held, features = parts_of(ds, seed)
        if not 2 <= self.examples < int((~held).sum()) or not 0 <= self.review <= 1 or self.seeds < 1:
            what = f"examples = {self.examples}, review = {self.review}, seeds = {self.seeds}"
            there = f"the pool has {int((~held).sum())} samples"
            raise ConfigError("study", what, there, "take 2 examples or more, fewer than these, and a share")
        work = _Work(ds.take(rows), held, _projected(features, held), ds["label"][rows].astype(np.int64))
        del features
        setting = {key: value for key, value in self.params().items() if key not in {"seeds", "metric", "seconds"}}
        kept = Journal(journal, {**setting, "seed": seed, "ids": work.fingerprint()})
        keys = [str(number) for number in range(self.seeds)]
        for key in within(keys, list(kept.done), minutes=minutes, what="seeds"):
            kept.add(key, self._measure(work, [seed, int(key)]))
        done = [kept.done[key] for key in keys if key in kept.done]
        body = self._found(done, work, seed)
        return Finding(QUESTION, body, _page(body))

    def _measure(self, work: _Work, seed: Sequence[int]) -> dict[str, Any]:
        rng = np.random.default_rng(list(seed))
        pool = np.flatnonzero(~work.held)
        shown = rng.choice(pool, self.examples, replace=False)
        ds = work.blind(shown)
        drawn = int(rng.integers(2**31))
        proposal = stage.propose(ds, self.method, precision=self.precision, unproven=self.unproven, seed=drawn)
        taken, guessed = proposal.rows[proposal.taken], proposal.codes[proposal.taken]
        sure = proposal.probs[proposal.taken].max(axis=1)
        seen = np.argsort(sure, kind="stable")[: round(self.review * len(taken))]
        mended = guessed.copy()
        mended[seen] = work.truth[taken[seen]]
        others = np.setdiff1d(pool, shown)
        asked = rng.choice(others, min(len(seen), len(others)), replace=False)
        both = np.concatenate([taken, shown])
        truth = work.truth
        arms = {
            "zero_shot": (taken, guessed), "examples": (shown, truth[shown]),
            "with_examples": (both, np.concatenate([guessed, truth[shown]])),
            "reviewed": (both, np.concatenate([mended, truth[shown]])),
            "human": (np.concatenate([shown, asked]), truth[np.concatenate([shown, asked])]),
            "all_human": (pool, truth[pool]),
        }  # fmt: skip
        wrong = int((guessed != truth[taken]).sum())
        return {
            "scores": {name: work.score(*arm) for name, arm in arms.items()}, "taken": len(taken), "wrong": wrong,
            "reviewed": len(seen), "found": int((guessed[seen] != truth[taken[seen]]).sum()), "pool": len(pool),
        }  # fmt: skip

    def _found(self, done: Sequence[Mapping[str, Any]], work: _Work, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "metric": self.metric, "seeds_done": len(done),
            "seeds_wanted": self.seeds, "pool": int((~work.held).sum()), "judged": int(work.held.sum()), "arms": {},
        }  # fmt: skip
        if not done:
            return body
        mean = {key: float(np.mean([row[key] for row in done])) for key in ("taken", "wrong", "reviewed", "found")}
        body |= mean
        body["precision"] = 1 - mean["wrong"] / mean["taken"] if mean["taken"] else None
        labels = mean["taken"] + self.examples
        body["share_by_source"] = {
            "zero_shot": (mean["taken"] - mean["reviewed"]) / labels,
            "human": (self.examples + mean["reviewed"]) / labels,
        }
        body["seconds_saved"] = stage.seconds_saved(round(mean["taken"] - mean["reviewed"]), [], default=self.seconds)
        for name in ARMS:
            values = [row["scores"][name] for row in done]
            usable = [place for place, value in enumerate(values) if value is not None]
            if usable:
                body["arms"][name] = self._arm(name, [done[place] for place in usable], seed)
        return body

    def _arm(self, name: str, done: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
        one = np.array([0])
        own, human = (
            Curves(one, np.array([[row["scores"][arm][self.metric]] for row in done])) for arm in (name, "human")
        )
        return {
            "what": ARMS[name], "mean": float(own.mean[0]), "seeds": len(done),
            "sd": float(own.scores.std(ddof=1)) if len(done) > 1 else None,
            "over_human": difference(own, human, 0, seed=seed),
        }  # fmt: skip


def _projected(features: Floats, held: Mask) -> Floats:
    """Return (N, P) coordinates on the axes of the pool, block by block: at 200,000 samples copies are what costs."""
    pool = np.flatnonzero(~held)
    axes = Projection.fit(features[pool[:: -(-len(pool) // 20_000)]])
    out = np.empty((len(features), axes.basis.shape[1]), np.float32)
    for start in range(0, len(features), BLOCK):
        out[start : start + BLOCK] = axes(features[start : start + BLOCK])
    return out


class _Work:
    """Labelled samples, which of them are held out, and a probe on their projected features."""

    def __init__(self, ds: Dataset, held: Mask, features: Floats, truth: Ints) -> None:
        self.ds, self.held, self.features, self.truth = ds, held, features, truth
        self.axes = Projection.identity(features.shape[1])

    def blind(self, shown: Ints) -> Dataset:
        """Return the samples with the labels of the shown ones only; the held-out ones are test."""
        seen = np.zeros(len(self.ds), bool)
        seen[shown] = True
        classes = self.ds.schema.classes
        return self.ds.with_columns({
            "label": [classes[code] if here else None for code, here in zip(self.truth, seen, strict=True)],
            "label_source": ["given" if here else None for here in seen],
            "label_probs": [None] * len(seen),
            "split": ["test" if out else "train" for out in self.held],
        })  # fmt: skip

    def score(self, rows: Ints, codes: Ints) -> dict[str, float] | None:
        """Return the scores of a probe that was fitted on these labels; None = there are none of two classes."""
        if len(np.unique(codes)) < 2:
            return None
        classes = len(self.ds.schema.classes)
        probe = LinearProbe().fit(self.features[rows], codes, classes, projection=self.axes)
        rows = np.flatnonzero(self.held)
        parts = [probe.logits(self.features[rows[at : at + BLOCK]]).argmax(axis=1) for at in range(0, len(rows), BLOCK)]
        return scores(self.truth[rows], np.concatenate(parts))

    def fingerprint(self) -> str:
        """Return a hash of the samples, their labels and their features."""
        from hashlib import blake2b

        made = blake2b("\n".join(self.ds.ids.tolist()).encode(), digest_size=12)
        for part in (self.truth, self.held, self.features):
            made.update(np.ascontiguousarray(part).tobytes())
        return made.hexdigest()


def gap(found: Mapping[str, float]) -> str:
    """Return a difference in points with its interval."""
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _page(body: Mapping[str, Any]) -> str:
    said = (
        f"{body['seeds_done']} of {body['seeds_wanted']} seeds; a pool of {body['pool']:,} samples, of which "
        f"{body['setting']['examples']} are labelled; judged on {body['judged']:,} others."
    )
    if not body["arms"]:
        return results_page(QUESTION, [said], ("arm",), [])
    precision = "none" if body["precision"] is None else f"{body['precision']:.1%}"
    shares = body["share_by_source"]
    said_more = (
        f"On average {body['taken']:,.0f} samples got a label of the model, {precision} of these right; a person "
        f"looked at {body['reviewed']:,.0f} of them and mended {body['found']:,.0f}. After that "
        f"{shares['zero_shot']:.0%} of all labels are the model's; that saves "
        f"{body['seconds_saved'] / 3600:.1f} hours of work."
    )
    rows = [
        (
            arm["what"],
            f"{arm['mean']:.1%}",
            "" if arm["sd"] is None else f"{100 * arm['sd']:.1f}",
            gap(arm["over_human"]),
        )
        for arm in body["arms"].values()
    ]
    head = ("trained on", body["metric"].replace("_", " "), "sd", "points over the same work by people")
    return results_page(QUESTION, [said, said_more], head, rows)
