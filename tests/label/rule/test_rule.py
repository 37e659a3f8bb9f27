"""Labelling functions and label models, on real comments and against Snorkel."""

from __future__ import annotations

import re
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scarce import io, registry
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError
from scarce.label import rule
from scarce.label.rule._function import answer_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from crowd import drawn, read_rules, shared_credit

FITS = {
    "majority": rule.fit_majority, "weighted": rule.fit_weighted, "triplet": rule.fit_triplet,
    "generative": rule.fit_generative, "dawid_skene": partial(rule.fit_dawid_skene, silence_tells=True),
}  # fmt: skip
HAM, SPAM = 0, 1


@rule.labeling_function()
def subscribe(x: Any) -> int:
    return SPAM if "subscribe" in x.text.lower() else -1


@rule.labeling_function(name="link", resources={"words": ("http", "www.", ".com")})
def has_link(x: Any, words: tuple[str, ...]) -> str | None:
    return "SPAM" if any(word in x.text.lower() for word in words) else None


@rule.labeling_function()
def check_out(x: Any) -> tuple[str, float] | int:
    return ("SPAM", 0.9) if re.search(r"check.*out", x.text, re.IGNORECASE) else -1


@rule.labeling_function(pre=[lambda x: SimpleNamespace(words=x.text.lower().split())])
def short_comment(x: Any) -> int:
    return HAM if len(x.words) < 5 else -1


@rule.labeling_function()
def song(x: Any) -> list[float] | int:
    return [0.8, 0.2] if re.search(r"song|love|best|music", x.text, re.IGNORECASE) else -1


@rule.labeling_function()
def my_channel(x: Any) -> int:
    return SPAM if re.search(r"\bmy\b|please", x.text, re.IGNORECASE) else -1


FUNCTIONS = [subscribe, has_link, check_out, short_comment, song, my_channel]


@pytest.fixture(scope="module")
def comments(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real comments: 100 of train have a label, the rest of it has none, test has all."""
    folder = tmp_path_factory.mktemp("comments")
    lines = []
    for split in ("train", "test"):
        texts, gold, _ = read_rules(shared_data / "weak_votes" / "youtube" / f"{split}.csv")
        for number, (text, label) in enumerate(zip(texts, gold, strict=True)):
            shown = ("HAM", "SPAM")[label] if split == "test" or number < 100 else ""
            quoted = text.replace('"', '""')
            lines.append(f'"{quoted}",{shown},{split},{("HAM", "SPAM")[label]}')
    (folder / "comments.csv").write_text("text,label,split,truth_note\n" + "\n".join(lines), encoding="utf-8")
    return io.read(folder / "comments.csv", label="label", text="text", split="split")


def truth_of(ds: Dataset) -> np.ndarray:
    return np.array([ds.schema.classes.index(name) for name in ds["meta.truth_note"]])


@pytest.mark.parametrize(
    ("model", "train", "test"),
    [("majority", 0.860, 0.840), ("weighted", 0.84, 0.85), ("triplet", 0.85, 0.88), ("generative", 0.8515, 0.8660),
     ("dawid_skene", 0.82, 0.86)],
)  # fmt: skip
def test_real_rules_are_joined_as_well_as_by_snorkel(shared_data: Path, model: str, train: float, test: float) -> None:
    """Snorkel 0.10 (LabelModel, 100 epochs): .8519 on covered rows of train, .8664 of test."""
    _, gold, votes = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    _, gold_test, votes_test = read_rules(shared_data / "weak_votes" / "youtube" / "test.csv")
    fitted = FITS[model](votes, 2)
    seen, seen_test = (votes >= 0).any(axis=1), (votes_test >= 0).any(axis=1)
    assert shared_credit(fitted.posterior[seen], gold[seen]) >= train
    assert shared_credit(fitted.predict_proba(votes_test)[seen_test], gold_test[seen_test]) >= test
    np.testing.assert_allclose(fitted.predict_proba(votes), fitted.posterior, atol=1e-5)


def test_the_generative_model_is_that_of_snorkel(shared_data: Path) -> None:
    pytest.importorskip("snorkel")
    from snorkel.labeling.model import LabelModel

    _, gold, votes = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    theirs = LabelModel(cardinality=2, verbose=False)
    theirs.fit(votes, n_epochs=100, seed=0, progress_bar=False)
    seen = (votes >= 0).any(axis=1)
    ours = shared_credit(rule.fit_generative(votes, 2).posterior[seen], gold[seen])
    assert ours >= shared_credit(theirs.predict_proba(votes)[seen], gold[seen]) - 0.005


@pytest.mark.parametrize("model", sorted(FITS))
@pytest.mark.parametrize("k", [2, 5])
def test_drawn_rules_are_weighed(model: str, k: int) -> None:
    rng = np.random.default_rng(k)
    truth = rng.integers(0, k, 6000)
    good = np.linspace(0.45, 0.95, 10)
    right = rng.random((6000, 10)) < good
    votes = np.where(right, truth[:, None], (truth[:, None] + rng.integers(1, k, (6000, 10))) % k)
    votes[rng.random(votes.shape) < 0.5] = -1
    seen = (votes >= 0).any(axis=1)
    fitted = FITS[model](votes, k)
    plain = shared_credit(rule.fit_majority(votes, k).posterior[seen], truth[seen])
    gain = shared_credit(fitted.posterior[seen], truth[seen]) - plain
    assert gain >= (0.01 if model != "majority" else 0) - (0.002 if k == 5 else 0)
    if model in ("triplet", "dawid_skene"):
        off = np.abs(np.einsum("wkk->w", fitted.confusion) / k - good)
        assert off.max() < (0.06 if model == "dawid_skene" else 0.12)
        assert off.mean() < 0.04


def test_soft_votes_count_by_how_sure_they_are() -> None:
    _, votes = drawn(400)
    fitted = rule.fit_dawid_skene(votes, 3)
    column = int(np.flatnonzero(votes[0] >= 0)[0])
    hard = np.full((400, 3), np.nan)
    hard[0] = np.eye(3)[votes[0, column]]
    np.testing.assert_allclose(fitted.predict_proba(votes, soft={column: hard}), fitted.posterior, atol=1e-5)
    hard[0] = 1 / 3
    softer = fitted.predict_proba(votes, soft={column: hard})
    assert abs(softer[0, votes[0, column]] - fitted.posterior[0, votes[0, column]]) > 1e-3
    np.testing.assert_allclose(softer[1:], fitted.posterior[1:], atol=1e-5)


def test_labels_of_real_comments_train_a_model_with_soft_targets(comments: Dataset) -> None:
    from scarce import encode
    from scarce.probe import LinearProbe

    found = rule.run(comments, FUNCTIONS, workers=2)
    ds, truth = found.dataset, truth_of(comments)
    mine = ds["label_source"] == "rule"
    assert mine.sum() == len(found.rows) > 900
    assert (ds["label"][mine] == truth[mine]).mean() > 0.85
    assert set(ds["split"][mine]) == {"train"}
    given = comments["label_source"] == "given"
    np.testing.assert_array_equal(ds["label"][given], comments["label"][given])
    assert (ds["label"][comments["split"] == "test"] == truth[comments["split"] == "test"]).all()
    np.testing.assert_allclose(ds["label_probs"][mine].sum(axis=1), 1, atol=1e-6)
    assert set(ds.votes["voter"].to_pylist()) == {one.name for one in FUNCTIONS}
    assert set(ds.votes["kind"].to_pylist()) == {"rule"}
    assert found.choice.name in registry.names("label.rule")
    assert found.choice.judged > 50
    features = next(array for name, array in encode.run(ds, "tfidf").wide.items() if name.startswith("embedding."))
    test = ds["split"] == "test"
    probe = LinearProbe().fit(features[mine], ds["label_probs"][mine], 2)
    accuracy = (probe.predict_proba(features[test]).argmax(axis=1) == truth[test]).mean()
    assert accuracy > 0.82
    assert accuracy > (np.bincount(truth[test]).max() / test.sum()) + 0.2
    again = rule.run(ds, FUNCTIONS, workers=2).dataset
    assert len(again.votes) == len(ds.votes), "votes that did not change were added again"


def test_the_choice_on_gold_labels_is_the_best_on_the_rest(shared_data: Path) -> None:
    _, gold, votes = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    gains = []
    for seed in range(6):
        small = np.where(np.random.default_rng(seed).permutation(len(gold)) < 200, gold, -1)
        found = rule.choose_model(votes, 2, small)
        assert {one.name for one in found.candidates} == set(registry.names("label.rule"))
        seen = (votes >= 0).any(axis=1) & (small < 0)
        plain = shared_credit(rule.fit_majority(votes, 2).posterior[seen], gold[seen])
        gains.append(shared_credit(found.fitted.posterior[seen], gold[seen]) - plain)
    assert np.mean(gains) > 0.03
    assert min(gains) > -0.002
    few = rule.choose_model(votes, 2, np.where(np.arange(len(gold)) < 5, gold, -1))
    assert few.name == "majority"
    assert "too few" in few.why
    assert rule.choose_model(votes, 2, models=["triplet"]).name == "triplet"


def test_figures_of_functions_are_those_of_snorkel(shared_data: Path) -> None:
    _, gold, votes = read_rules(shared_data / "weak_votes" / "youtube" / "train.csv")
    found = rule.summarize_functions(votes, gold=gold)
    for column, one in enumerate(found):
        cast, others = votes[:, column] >= 0, np.delete(votes, column, axis=1)
        assert one.polarity == tuple(sorted(set(votes[cast, column].tolist())))
        assert one.coverage == pytest.approx(cast.mean())
        assert one.overlap == pytest.approx((cast & (others >= 0).any(axis=1)).mean())
        against = ((others >= 0) & (others != votes[:, [column]])).any(axis=1)
        assert one.conflict == pytest.approx((cast & against).mean())
        assert one.accuracy == pytest.approx((votes[cast, column] == gold[cast]).mean())
        assert one.low < one.accuracy < one.high or one.accuracy in (0.0, 1.0)
    blind = rule.summarize_functions(votes[:, :2], ["a", "b"])[0]
    assert (blind.judged, blind.low, blind.high, blind.to_json()["accuracy"]) == (0, 0.0, 1.0, None)


@pytest.mark.parametrize(
    ("said", "code"),
    [(1, 1), (np.int64(0), 0), (-1, -1), (None, -1), ("spam", 1), (np.str_("ham"), 0), (True, 1), (1.0, 1),
     (("spam", 0.8), 1), ((0, 0.3), 1), ([0.2, 0.8], 1), (np.array([0.9, 0.1]), 0), ((0.3, 0.7), 1), (("ham", 1), 0)],
)  # fmt: skip
def test_answers_that_mean_something(said: Any, code: int) -> None:
    assert answer_of(said, ("ham", "spam"))[0] == code


@pytest.mark.parametrize(
    ("said", "message"),
    [(99, "codes are 0 to 1"), (-2, "codes are"), (float("nan"), "no class"), (0.5, "codes are"),
     ("spm", "did you mean"), (object(), "no class"), ([0.2, 0.9], "sum to 1"), ([0.2, 0.3, 0.5], "sum to 1"),
     (("spam", 1.5), "between 0 and 1"), (("spam", None), "no probability"), (float("inf"), "no class"),
     ([], "sum to 1"), ({}, "no class")],
)  # fmt: skip
def test_answers_that_mean_nothing(said: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answer_of(said, ("ham", "spam"))


def test_one_bad_function_does_not_stop_the_others() -> None:
    @rule.labeling_function()
    def good(x: int) -> int:
        return x % 2

    @rule.labeling_function()
    def raises(x: int) -> int:
        return 1 // (x - 3) * 0

    @rule.labeling_function()
    def wild(x: int) -> Any:
        return 99 if x > 1 else None

    found = rule.apply_functions([good, raises, wild], range(10), ("even", "odd"))
    assert found.votes[:, 0].tolist() == [0, 1] * 5
    assert found.votes[:, 1].tolist() == [0, 0, 0, -1, 0, 0, 0, 0, 0, 0]
    assert (found.votes[:, 2] == -1).all()
    assert [(one.name, one.count, one.sample) for one in found.failures] == [("wild", 8, "2"), ("raises", 1, "3")]
    assert found.failures[1].first.startswith("ZeroDivisionError")
    assert "99" in found.failures[0].first


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_workers_change_nothing(pool: Any) -> None:
    texts = [SimpleNamespace(text=f"{'my song' if i % 3 else 'http'} number {i}") for i in range(1200)]
    alone = rule.apply_functions(FUNCTIONS, texts, ("HAM", "SPAM"), workers=1, pool="threads")
    many = rule.apply_functions(FUNCTIONS, texts, ("HAM", "SPAM"), workers=2, pool=pool)
    np.testing.assert_array_equal(alone.votes, many.votes)
    assert sorted(alone.soft) == sorted(many.soft) == [4]
    np.testing.assert_array_equal(alone.soft[4], many.soft[4])


def test_answers_are_remembered_until_content_or_source_changes(comments: Dataset, tmp_path: Path) -> None:
    calls: list[str] = []
    lock = threading.Lock()

    def counting(word: str) -> rule.LabelingFunction:
        def look(x: Any) -> Any:
            with lock:
                calls.append(x.id)
            return ("SPAM", 0.75) if word in x.text else -1

        return rule.labeling_function(name="look")(look)

    part = comments.take(np.arange(300))
    first = rule.apply_functions([counting("check")], part, cache=tmp_path, pool="threads")
    assert (len(calls), first.remembered) == (300, 0)
    again = rule.apply_functions([counting("check")], part, cache=tmp_path, pool="threads")
    assert (len(calls), again.remembered) == (300, 300)
    np.testing.assert_array_equal(first.votes, again.votes)
    np.testing.assert_array_equal(first.soft[0], again.soft[0])
    rule.apply_functions([counting("check")], comments.take(np.arange(200, 400)), cache=tmp_path, pool="threads")
    assert len(calls) == 400
    rule.apply_functions([counting("song")], part, cache=tmp_path, pool="threads")
    assert len(calls) == 700
    kept = next(tmp_path.glob("*.npz"))
    kept.write_bytes(b"broken")
    rule.apply_functions(
        [
            counting("check"),
        ],
        part,
        cache=tmp_path,
        pool="threads",
    )
    assert len(calls) >= 700


def test_a_function_sees_no_label(comments: Dataset) -> None:
    seen: list[Any] = []

    @rule.labeling_function()
    def look(x: Any) -> int:
        seen.append(x)
        return -1

    rule.apply_functions([look], comments.take(np.arange(3)), pool="threads")
    assert not {"label", "label_source", "split"} & set(seen[0].row)
    assert seen[0].truth_note in ("HAM", "SPAM")
    with pytest.raises(AttributeError, match="truth_note"):
        _ = seen[0].label
    with pytest.raises(DataError, match="no image"):
        _ = seen[0].image


def test_pictures_are_opened_when_asked_for(garments: Path) -> None:
    ds = io.read(garments).take(np.arange(6))

    @rule.labeling_function()
    def dark(x: Any) -> int:
        return 0 if x.image.mean() < 255 else -1

    found = rule.apply_functions([dark], ds)
    assert not found.failures
    assert (found.votes == 0).all()


def test_rows_of_tables_come_by_name(tmp_path: Path) -> None:
    lines = ["width,height,label", *(f"{i},{i * 2},{'good' if i % 2 else 'bad'}" for i in range(60))]
    (tmp_path / "parts.csv").write_text("\n".join(lines), encoding="utf-8")
    ds = io.read(tmp_path / "parts.csv", label="label")
    assert ds.schema.modality == "tabular"

    @rule.labeling_function()
    def wide(x: Any) -> Any:
        assert "label" not in x.row
        return "good" if x.row["width"] > 30 and x.height > 60 else None

    found = rule.apply_functions([wide], ds)
    assert not found.failures
    assert (found.votes >= 0).sum() == 29


@pytest.mark.parametrize(
    ("text", "message"),
    [("x = 1", "no labelling function"), ("def f(:", "SyntaxError"), ("import nothing_like_it", "ModuleNotFoundError"),
     ("from scarce.label.rule import labeling_function\n@labeling_function\ndef f(x): return 1", "without parentheses"),
     ("from scarce.label.rule import labeling_function as l\na = l('f')(len)\nb = l('f')(abs)", "two labelling")],
)  # fmt: skip
def test_a_file_without_functions_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((DataError, ReadError), match=message):
        rule.load_functions(path)


def test_misuse_is_told() -> None:
    with pytest.raises(DataError, match="no labelling functions"):
        rule.apply_functions([], [1], 2)
    with pytest.raises(DataError, match="no classes"):
        rule.apply_functions([subscribe], [1])
    with pytest.raises(DataError, match="is no labelling function"):
        rule.apply_functions([len], [1], 2)  # type: ignore[list-item]
    with pytest.raises(DataError, match="2 functions vote"):
        rule.fit_triplet(np.zeros((5, 2), int), 2)
    with pytest.raises(DataError, match="at most 4000"):
        rule.fit_generative(np.zeros((5, 20), int), 1000)
    with pytest.raises(DataError, match="gold"):
        rule.fit_weighted(np.zeros((5, 2), int), 2, np.array([0, 5, 0, 0, 0]))
    with pytest.raises(DataError, match="class balance"):
        rule.fit_generative(np.zeros((5, 2), int), 2, class_balance=(1.0,))


@pytest.mark.parametrize("model", ["majority", "weighted", "generative", "dawid_skene"])
def test_silence_everywhere_is_no_label(model: str) -> None:
    found = FITS[model](np.full((6, 3), -1), 2)
    assert np.isfinite(found.posterior).all()
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-6)
