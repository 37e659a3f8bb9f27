"""Several people's labels: one column each, or one row a vote, in CSV, JSON lines and Parquet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from scarce import audit, io
from scarce.ballot import ratings_of
from scarce.cli import app
from scarce.dataset import Dataset
from scarce.project import Project

CLASSES = ("good", "hole", "stain")


def pictures(folder: Path, n: int) -> list[str]:
    names = [f"{row:03d}.png" for row in range(n)]
    for row, name in enumerate(names):
        (folder / name).write_bytes(cv2.imencode(".png", np.full((6, 6), row, np.uint8))[1].tobytes())
    return names


def spoken(n: int, raters: int = 3, seed: int = 0) -> np.ndarray:
    """(N, R) labels; each rater errs in one of five; the first sample is a three-way tie."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    said = np.where(rng.random((n, raters)) < 0.8, truth[:, None], rng.integers(0, 3, (n, raters)))
    said[0] = np.arange(raters) % 3
    return said


def wide(said: np.ndarray, names: list[str], stem: str) -> dict[str, list[str | None]]:
    return {"path": names} | {
        f"{stem}{rater + 1}": [CLASSES[code] for code in said[:, rater]] for rater in range(said.shape[1])
    }


def check(ds: Dataset, said: np.ndarray) -> None:
    order = np.argsort(ds["uri"].astype(str))
    ratings, voters = ratings_of(ds)
    assert (ratings[order] == said).all()
    assert len(voters) == said.shape[1]
    label = ds["label"][order]
    for row, votes in enumerate(said):
        top = Counter(votes.tolist()).most_common(2)
        tied = len(top) > 1 and top[0][1] == top[1][1]
        assert label[row] == (-1 if tied else top[0][0])
    assert ((ds["label_source"] == "vote") == (ds["label"] >= 0)).all()


@pytest.mark.parametrize("stem", ["annotator_", "random_label", "rater "])
def test_one_column_each(stem: str, tmp_path: Path) -> None:
    said = spoken(40)
    table = wide(said, pictures(tmp_path, 40), stem)
    rows = zip(*table.values(), strict=True)
    (tmp_path / "index.csv").write_text("\n".join([",".join(table), *(",".join(row) for row in rows)]) + "\n")
    ds = io.read(tmp_path)
    check(ds, said)
    assert not [name for name in ds.table.column_names if name.startswith("meta.")]
    assert any("120 votes of 3 annotators" in row["why"] for row in ds.findings.to_pylist())


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_one_row_a_vote(form: str, tmp_path: Path) -> None:
    said = spoken(30)
    names = pictures(tmp_path, 30)
    cells = [(row, rater) for row in range(30) for rater in range(3)]
    table = pa.table({
        "image": [names[row] for row, _ in cells],
        "worker": [f"w{rater}" for _, rater in cells],
        "label": [CLASSES[said[cell]] for cell in cells],
    })  # fmt: skip
    table = table.take(pa.array(np.random.default_rng(1).permutation(len(cells))))
    if form == "jsonl":
        (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    else:
        pq.write_table(table, tmp_path / "metadata.parquet")
    ds = io.read(tmp_path)
    assert len(ds) == 30
    check(ds, said)


def test_a_given_label_stays_and_votes_stand_beside_it(tmp_path: Path) -> None:
    said = spoken(40)
    table = wide(said, pictures(tmp_path, 40), "annotator_") | {"label": ["hole"] * 20 + ["good"] * 20}
    pq.write_table(pa.table(table), tmp_path / "index.parquet")
    ds = io.read(tmp_path)
    assert ds["label"][np.argsort(ds["uri"].astype(str))].tolist() == [1] * 20 + [0] * 20
    assert set(ds["label_source"]) == {"given"}
    assert len(ds.votes) == 120


def test_several_labels_of_one_sample_are_no_votes(tmp_path: Path) -> None:
    """Multi-label codes, a first and a second label, and numbers that are called so."""
    rng = np.random.default_rng(0)
    names = pictures(tmp_path, 60)
    first = rng.integers(0, 3, 60)
    for table in (
        {"label_1": (first == 0).astype(int), "label_2": (first > 0).astype(int)},
        {"label_1": [CLASSES[code] for code in first], "label_2": [CLASSES[(code + 1) % 3] for code in first]},
        {"rater_age": rng.integers(20, 60, 60), "rater_score": rng.random(60)},
        {"annotator_id": rng.integers(0, 3, 60), "annotator_name": [f"n{code}" for code in first]},
        {"worker": [f"w{code}" for code in first], "label": [CLASSES[code] for code in first]},
    ):
        pq.write_table(pa.table({"path": names, **table}), tmp_path / "index.parquet")
        ds = io.read(tmp_path)
        assert len(ds) == 60
        assert len(ds.votes) == 0, table


def test_features_beside_votes_stay_features(tmp_path: Path) -> None:
    said, rng = spoken(50), np.random.default_rng(2)
    table = {"id": range(50), "width": rng.random(50), "height": rng.random(50)}
    table |= {
        f"rater_{name}": [CLASSES[code] for code in said[:, at]] for at, name in enumerate(("anna", "ben", "cho"))
    }
    pq.write_table(pa.table(table), tmp_path / "parts.parquet")
    ds = io.read(tmp_path / "parts.parquet")
    assert ds.schema.modality == "tabular"
    assert io.fetch(ds, [0])[0].shape == (2,)
    assert ratings_of(ds)[1] == ["rater_anna", "rater_ben", "rater_cho"]


def test_a_real_crowd_and_its_agreement(shared_data: Path) -> None:
    ds = audit.run(io.read(shared_data / "crowd_votes" / "face" / "votes.csv"), only="agreement")
    assert (len(ds), len(ds.votes)) == (584, 5242)
    why = [row["why"] for row in ds.findings.to_pylist()]
    assert any("alpha 0.495 (moderate" in line for line in why)


def test_votes_survive_the_store_and_a_second_source(tmp_path: Path) -> None:
    parts = []
    for turn in (0, 1):
        folder = tmp_path / f"p{turn}"
        folder.mkdir()
        pq.write_table(
            pa.table(wide(spoken(20, seed=turn), pictures(folder, 20), "annotator_")), folder / "index.parquet"
        )
        parts.append(io.read(folder))
    both = io.merge_sources(parts[0], parts[1], {"hole": "tear"})
    assert len(both.votes) == 120
    assert set(both.votes["sample"].to_pylist()) == set(both.ids)
    assert "tear" in both.votes["label"].to_pylist()
    with Project.init(tmp_path / "project") as project:
        project.commit(both, "read")
    with Project.open(tmp_path / "project") as project:
        assert project.dataset().votes.equals(both.votes)
    done = CliRunner().invoke(app, ["audit", str(tmp_path / "project"), "--only", "agreement", "--json"])
    body = json.loads(done.stdout)["agreement"]
    assert body["items"] == 40
    assert body["cohen"]["matrix"][0][1] == body["cohen"]["matrix"][1][0]
    assert set(body["per_class"]) == set(both.schema.classes)
