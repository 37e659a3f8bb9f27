from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scarce import audit, clean, io, modality, split
from scarce.project import Project

WANTED = {"Bag": 12, "Coat": 16, "Trouser": 10}
CHECKS = ("exact_duplicate", "near_duplicate", "dark", "imbalance")
OWNERS = ("io", "audit", "split", "clean")


def add_photo(folder: Path, name: str, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


@pytest.fixture(scope="session")
def pictures(garments: Path) -> dict[str, list[bytes]]:
    """Real garments, 20 of each of three classes, as PNG."""
    found: dict[str, list[bytes]] = {name: [] for name in WANTED}
    for row in pq.read_table(garments, columns=["image", "label", "split"]).to_pylist():
        if row["label"] in found and row["split"] == "train" and len(found[row["label"]]) < 20:
            image = row["image"]
            found[row["label"]].append(image["bytes"] if isinstance(image, dict) else image)
    return found


@pytest.fixture
def photos(pictures: dict[str, list[bytes]], tmp_path: Path) -> Path:
    """Class folders of real garments, one of them twice."""
    base = tmp_path / "photos"
    for name, count in WANTED.items():
        for number, data in enumerate(pictures[name][:count]):
            add_photo(base / name, f"{number:02d}.png", data)
    add_photo(base / "Bag", "copy.png", pictures["Bag"][0])
    return base


def prepared(project: Project, photos: Path) -> None:
    """Three versions: read, audited and split, cleaned."""
    ds = modality.scan(io.read(photos), cache=project.features / "scan")
    project.commit(ds, "read", owner=OWNERS)
    ds = split.run(audit.run(ds, CHECKS), ratios=(0.6, 0.2, 0.2), seed=3)
    project.commit(ds, "audit and split", owner=OWNERS)
    head = project.dataset()
    plan = [action for action in clean.plan(head) if action.kind == "merge"]
    assert plan, "the copy was found"
    project.commit(clean.apply(head, plan), "clean", owner=OWNERS)


@pytest.fixture
def project(photos: Path, tmp_path: Path) -> Iterator[Project]:
    with Project.init(tmp_path / "p") as opened:
        prepared(opened, photos)
        assert Counter(opened.dataset().table["label"].to_pylist()) == {**WANTED, "Bag": 13}
        yield opened


@pytest.fixture
def own_steps(tmp_path: Path) -> Path:
    """A file with a function of a user's."""
    path = tmp_path / "own_steps.py"
    path.write_text(
        "import numpy as np\n\n\n"
        "def drop_some(ds, share=0.1, seed=0):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    keep, why = ds['keep'].astype(bool), ds['drop_reason'].copy()\n"
        "    gone = (ds['split'] == 'train') & (rng.random(len(ds)) < share)\n"
        "    why[gone & keep] = 'not needed'\n"
        "    return ds.with_columns({'keep': keep & ~gone, 'drop_reason': why})\n",
        encoding="utf-8",
    )
    return path
