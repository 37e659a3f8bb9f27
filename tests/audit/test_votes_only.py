"""Tables that hold votes and nothing else: real crowds, judged against gold labels."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from scarce import io
from scarce.audit._consensus import Consensus, votes_consensus
from scarce.audit.crowd_label import right_of
from scarce.ballot import holds_content, ratings_of
from scarce.loop.measure import judged


def gold(folder: Path) -> dict[str, str]:
    with (folder / "gold.csv").open(encoding="utf-8") as file:
        return {row["item"]: row["truth"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(("name", "gain"), [("face", -0.01), ("product", 0.02)])
def test_votes_alone_are_weighed_at_least_as_well_as_by_majority(shared_data: Path, name: str, gain: float) -> None:
    folder = shared_data / "crowd_votes" / name
    ds = io.read(folder / "votes.csv")
    ratings, _ = ratings_of(ds)
    with (folder / "votes.csv").open(encoding="utf-8") as file:
        items = list(dict.fromkeys(row["item"] for row in csv.DictReader(file)))
    place = {int(str(uri).partition("#")[2].partition(":")[0]): row for row, uri in enumerate(ds["uri"])}
    order = [place[number] for number in sorted(place)]
    truth = gold(folder)
    wanted = np.array([ds.schema.classes.index(truth[item]) if item in truth else -1 for item in items])
    known = wanted >= 0
    k = len(ds.schema.classes)
    counts = np.stack([(ratings[order] == code).sum(axis=1) for code in range(k)], axis=1)
    majority = float((counts.argmax(axis=1) == wanted)[known].mean())
    agreed = votes_consensus(ratings[order], k)
    assert float((agreed.label == wanted)[known].mean()) >= majority + gain
    assert np.nanmin(agreed.quality) > 1 / k - 1e-9


def test_without_content_nothing_is_judged_by_names(shared_data: Path) -> None:
    started = time.process_time()
    ds = judged(shared_data / "crowd_votes" / "product" / "votes.csv")
    assert time.process_time() - started < 60, "seconds, not minutes"
    assert not holds_content(ds)
    assert not any(name.startswith("embedding.") for name in ds.wide)
    said = {row["check"] for row in ds.findings.to_pylist() if not row["why"].startswith("skipped")}
    assert said == {"read", "agreement", "crowd_label", "imbalance"}
    rows = [row["why"] for row in ds.findings.to_pylist() if row["check"] == "crowd_label"]
    assert not any("the model" in why for why in rows)
    skipped = [row["why"] for row in ds.findings.to_pylist() if row["check"] == "outlier"]
    assert skipped == ["skipped: there are votes and no content: a sample's name says nothing about it"]


def test_a_less_likely_consensus_is_never_suggested() -> None:
    agreed = Consensus(np.array([1, 1, 1, 0]), np.array([0.01, 0.9, 0.3, 0.6]), np.array([0.5]))
    given = np.array([0, 0, 0, 0])
    assert right_of(given, agreed, 2) == pytest.approx([0.99, 0.1, 0.7, 0.6])
    assert right_of(given, agreed, 3) == pytest.approx([0.5, 0.1, 0.5, 0.6])


def test_findings_of_real_crowds_name_the_likelier_class(shared_data: Path) -> None:
    ds = judged(shared_data / "crowd_votes" / "face" / "votes.csv", ["crowd_label"])
    rows = [row["why"] for row in ds.findings.to_pylist() if row["check"] == "crowd_label" and row["level"] == "sample"]
    better = [why for why in rows if "consensus" in why]
    assert better
    for why in better:
        label, consensus = why.split(",")[0].removeprefix("labelled "), why.split("consensus ")[1].split(" ")[0]
        probability = float(why.split("(")[1].split(")")[0])
        assert label == consensus or probability > 0.5, why
