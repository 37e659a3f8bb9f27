from __future__ import annotations

import csv

import numpy as np

from scarce.encode.tfidf import Tfidf, hashed_ngrams
from scarce.probe import LinearProbe


def test_rows_are_independent_and_of_unit_halves():
    texts = ["the scratch is deep", "긁힘이 깊다", "", "the scratch is deep !"]
    found = Tfidf(half=256).embed(texts)
    assert found.shape == (4, 512)
    np.testing.assert_array_equal(Tfidf(half=256).embed(texts[1:2])[0], found[1])
    np.testing.assert_allclose(np.linalg.norm(found[0, :256]), 1, atol=1e-5)
    assert (found[2] == 0).all()
    assert found[0] @ found[3] > 1.5 > found[0] @ found[1]


def test_projection_keeps_the_cosines_of_the_sparse_counts():
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = [
        f"part {a} has {b} near the {c} edge" for a in "abcdef" for b in ("scratch", "stain", "hole") for c in "xyz"
    ]
    counter = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b|[!?]", alternate_sign=False, norm=None)
    counts = counter.transform(texts)
    counts.data = 1 + np.log(counts.data)
    dense = counts.toarray() if counts.shape[1] < 2**15 else counts @ counts.T
    exact = np.asarray(dense.todense() if hasattr(dense, "todense") else dense)
    lengths = np.sqrt(np.diag(exact))
    exact = exact / np.outer(lengths, lengths)
    ours = hashed_ngrams(texts, half=2048)[:, :2048]
    assert np.abs(ours @ ours.T - exact).max() < 0.15


def test_learns_real_questions(shared_data):
    with (shared_data / "text_small" / "trec.csv").open() as file:
        rows = list(csv.DictReader(file))
    train = [row for row in rows if row["split"] == "train"][:1000]
    test = [row for row in rows if row["split"] == "test"]
    labels = [np.array([int(row["label"]) for row in part]) for part in (train, test)]
    features = [Tfidf().embed([row["text"] for row in part]) for part in (train, test)]
    probe = LinearProbe().fit(features[0], labels[0], 6)
    accuracy = (probe.predict_proba(features[1]).argmax(1) == labels[1]).mean()
    assert accuracy > 0.6, "the majority class is .28"
