"""How far do a few rounds of `scarce label` get on the shipped garments, beside random questions?

    python benchmarks/label_rounds.py [--seeds 5] [--rounds 3]

9,000 long-tailed training pictures, of which 1,000 random ones keep their label as validation; the truth answers, 100
questions first and 50 a round. Encoder `pixel`, 1.5 seconds an answer are assumed. `results/label_rounds.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from scarce import io
from scarce.config import Config
from scarce.loop import asking
from scarce.loop.answering import Answer, say
from scarce.loop.rounds import Loop, Plan, history
from scarce.project import Project

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "label_rounds.json"


def hidden(folder: Path, seed: int) -> tuple[Project, dict[str, str]]:
    """Return a project whose training labels are hidden, but for 1,000 in val, and the truth."""
    ds = io.read(ROOT / "examples" / "garments" / "garments.parquet")
    train = np.flatnonzero(ds["split"] == "train")
    ds = ds.take(np.sort(train))
    labels = ds.table["label"].to_pylist()
    truth = dict(zip(ds.ids.tolist(), labels, strict=True))
    shown = np.isin(np.arange(len(ds)), np.random.default_rng(seed).permutation(len(ds))[:1000])
    ds = ds.with_columns({
        "split": np.where(shown, "val", "train").tolist(),
        "label": pa.array([name if here else None for name, here in zip(labels, shown, strict=True)], pa.string()),
        "label_source": ["given" if here else None for here in shown],
    })  # fmt: skip
    project = Project.init(folder, config=Config().with_values("encode", encoder="pixel"))
    project.commit(ds, "hidden")
    return project, truth


def answered(folder: Path, known: Path, strategy: str, seed: int, rounds: int) -> list[dict]:
    """Hold the rounds and return what each reached; features that are known already lie in a folder."""
    project, truth = hidden(folder, seed)
    with project:
        if known.is_dir():
            shutil.copytree(known, project.features, dirs_exist_ok=True)
        loop = Loop(project, Plan(strategy=strategy, rounds=rounds, target=1.0, seed=seed))
        while not loop.go_on().stopped:
            waiting = asking.questions(project, project.dataset(), (asking.LABEL,))
            say(project, [Answer(number=one.number, sample=one.sample, verdict="label", label=truth[one.sample],
                                 voter="truth", seconds=1.5, reason=one.reason) for one in waiting])  # fmt: skip
        if not known.is_dir():
            shutil.copytree(project.features, known)
        return [{"strategy": row["strategy"], **row["after"]} for row in history(project)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    body: dict = {"question": __doc__.splitlines()[0], "cores": os.cpu_count(), "seeds": given.seeds, "runs": {}}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            for strategy in ("auto", "random"):
                place = Path(folder) / f"{strategy}-{seed}"
                found = answered(place, Path(folder) / "features", strategy, seed, given.rounds)
                body["runs"].setdefault(strategy, []).append(found)
                for row in found:
                    print(strategy, seed, row["strategy"], row["labels"], row["value"], row["accuracy"], flush=True)
            RESULTS.write_text(json.dumps({**body, "seeds": seed + 1}, indent=1) + "\n")


if __name__ == "__main__":
    main()
