"""The names that others build on: NumPy in, NumPy out, and a clear message for nonsense."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scarce import label
from scarce.errors import ScarceError

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(60, 5)).astype(np.float32)
PROBS = RNG.dirichlet(np.ones(3), size=60).astype(np.float32)
TRUTH = RNG.integers(0, 3, 60)
VOTES = np.where(RNG.random((60, 4)) < 0.8, TRUTH[:, None], RNG.integers(-1, 3, (60, 4)))
SELECTS: dict[str, Callable[..., Any]] = {
    "core_set": lambda x=FEATURES, n=7: label.query.core_set.select_core_set(x, np.array([0, 5]), n),
    "badge": lambda x=FEATURES, n=7: label.query.badge.select_badge(x, PROBS, n, seed=0),
    "typi_clust": lambda x=FEATURES, n=7: label.query.typi_clust.select_typi_clust(x, np.array([0, 5]), n, seed=0),
    "prob_cover": lambda x=FEATURES, n=7: label.query.prob_cover.select_prob_cover(x, np.array([0, 5]), n, seed=0),
    "random": lambda _=FEATURES, n=7: label.query.random.select_random(np.arange(60), n, seed=0),
}
UTILITIES = {
    "margin": label.query.margin.margin_utility,
    "entropy": label.query.entropy.entropy_utility,
    "least_confidence": label.query.least_confidence.least_confidence_utility,
}
VOTE_METHODS = ("majority", "dawid_skene", "one_coin", "glad", "mace")
RULE_MODELS = ("majority", "weighted", "dawid_skene", "triplet", "generative")


@pytest.mark.parametrize("name", SELECTS)
def test_selections(name: str) -> None:
    rows = SELECTS[name]()
    assert isinstance(rows, np.ndarray)
    assert rows.dtype.kind == "i"
    assert len(set(rows.tolist())) == 7
    assert rows.max() < 60
    assert np.array_equal(rows, SELECTS[name]())


@pytest.mark.parametrize("name", sorted(set(SELECTS) - {"random"}))
@pytest.mark.parametrize("bad", [np.full((60, 5), np.nan), np.zeros(60), "features"], ids=["NaN", "1-D", "text"])
def test_selections_refuse_nonsense(name: str, bad: Any) -> None:
    with pytest.raises(ScarceError, match=r"label\.query"):
        SELECTS[name](bad)


@pytest.mark.parametrize("name", UTILITIES)
def test_utilities(name: str) -> None:
    value = UTILITIES[name](PROBS)
    assert isinstance(value, np.ndarray)
    assert value.shape == (60,)
    flat, sure = UTILITIES[name](np.array([[1 / 3] * 3, [1.0, 0.0, 0.0]], np.float32))
    assert flat > sure
    assert 0 <= value.min() <= value.max() <= 1 + 1e-6
    assert np.isnan(UTILITIES[name](np.full((3, 2), np.nan, np.float32))).all()
    for bad in (np.zeros(4), "probabilities"):
        with pytest.raises(ScarceError):
            UTILITIES[name](bad)


@pytest.mark.parametrize("name", VOTE_METHODS)
def test_votes(name: str) -> None:
    fit = getattr(getattr(label.vote, name), f"fit_{name}")
    found = fit(VOTES, 3)
    assert found.posterior.shape == (60, 3)
    assert found.confusion.shape == (4, 3, 3)
    assert (found.posterior.argmax(axis=1) == TRUTH).mean() > 0.9
    with pytest.raises(ScarceError, match="unknown classes"):
        fit(np.array([[0, 9]]), 3)


def test_crowdlab() -> None:
    assert label.vote.crowdlab.fit_crowdlab(VOTES, 3, PROBS).posterior.shape == (60, 3)
    with pytest.raises(ScarceError, match="pred_probs have shape"):
        label.vote.crowdlab.fit_crowdlab(VOTES, 3, PROBS[:5])


@pytest.mark.parametrize("name", RULE_MODELS)
def test_label_models(name: str) -> None:
    fit = getattr(label.rule, f"fit_{name}")
    assert fit is getattr(getattr(label.rule, name), f"fit_{name}")
    found = fit(VOTES, 3)
    assert (found.posterior.argmax(axis=1) == TRUTH).mean() > 0.9
    with pytest.raises(ScarceError):
        fit(np.array([[0, 9]]), 3)


def test_functions() -> None:
    @label.rule.labeling_function()
    def long(text: str) -> int:
        return 1 if len(text) > 4 else -1

    @label.rule.labeling_function()
    def broken(text: str) -> int:
        raise ValueError(text)

    found = label.rule.apply_functions([long, broken], ["short", "no", "longer"], classes=("a", "b"))
    assert found.votes.tolist() == [[1, -1], [-1, -1], [1, -1]]
    assert [one.name for one in found.failures] == ["broken"]
    told = label.rule.summarize_functions(found.votes, found.names, n_classes=2)
    assert [round(one.coverage, 2) for one in told] == [0.67, 0.0]
    with pytest.raises(ScarceError):
        label.rule.apply_functions([], ["short"])


def test_parts_load_when_they_are_asked_for() -> None:
    code = (
        "import sys, scarce.label\n"
        "assert not [name for name in sys.modules if name.startswith('scarce.label.') and '_write' not in name]\n"
        "print(scarce.label.rule.labeling_function.__name__, scarce.label.vote.dawid_skene.fit_dawid_skene.__name__,\n"
        "      scarce.label.query.core_set.select_core_set.__name__, scarce.label.zero_shot.prototype.__name__,\n"
        "      scarce.label.guideline.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["labeling_function", "fit_dawid_skene", "select_core_set",
                                   "scarce.label.zero_shot.prototype", "scarce.label.guideline"]  # fmt: skip
    for part in (label, label.query, label.rule, label.vote, label.zero_shot):
        with pytest.raises(AttributeError, match="nothing"):
            part.nothing  # noqa: B018
