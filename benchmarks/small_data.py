"""Where augmentation helps, and what each phase of growing gains: `data_size` and `phases` on real data, small.

    python benchmarks/small_data.py --study data_size --set trec [--seeds 10] [--minutes 15] [--journal FOLDER]

adds its part to `results/small_data.json`. Sets of data_size: `garments` (the pictures in examples/), `trec` (questions
of six kinds), `wafer` and `power` (series; a fifth of all rows is the test). Sets of phases: `garments`, `tiles`
(magnetic tiles, grouped by tile: sound, blowhole, break; EfficientNet-Lite0 features at 96 pixels) and `boards`
(windows of deep_pcb, grouped by design: sound, loose copper, open circuit; boxes, by the detector). Reads the folder
that SCARCE_DATA names, or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
from growth import boards as windows
from growth import tiles as tile_rows

from scarce import encode, io, modality
from scarce.dataset import Dataset
from scarce.progress import listen
from scarce.study import data_size, phases
from scarce.study.data_size import DataSize
from scarce.study.phases import Phases

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SCARCE_DATA", ROOT.parent / "shared" / "data"))
RESULTS = Path(__file__).parent / "results" / "small_data.json"


def read(path: Path) -> Dataset:
    """Return a set with every sample checked."""
    return modality.scan(io.read(path))


def garments(_: Path) -> Dataset:
    """Return 9,000 training and 2,000 test pictures."""
    return read(ROOT / "examples" / "garments" / "garments.parquet")


def trec(_: Path) -> Dataset:
    """Return the questions."""
    return read(DATA / "text_small" / "trec.csv")


def series(name: str) -> Dataset:
    """Return series of which a fifth is the test, since the published training parts are small."""
    ds = read(DATA / "time_series" / f"{name}.npz")
    test = np.random.default_rng(0).random(len(ds)) < 0.2
    return ds.with_columns({"split": np.where(test, "test", "train").tolist()})


def tiles(work: Path) -> Dataset:
    """Return the magnetic tiles with features."""
    ds = modality.scan(tile_rows(DATA / "magnetic_tile", work))
    return encode.run(ds, cache=work / "features", size=96)


def boards(work: Path) -> Dataset:
    """Return windows of circuit boards, each with one defect and its box, or with none."""
    return modality.scan(windows(DATA / "deep_pcb", work, most=24, sound=280))


SIZES: dict[str, tuple[Callable[[Path], Dataset], DataSize]] = {
    "garments": (
        garments,
        DataSize(sizes=(40,), most=120, epochs=(5, 20), policies=("flip_rotation",), judged=300, batch=20),
    ),
    "trec": (trec, DataSize(sizes=(50, 200), most=800, judged=600)),
    "wafer": (lambda _: series("Wafer"), DataSize(sizes=(20, 60), most=200, judged=600)),
    "power": (lambda _: series("ItalyPowerDemand"), DataSize(sizes=(6, 20), most=100, judged=300)),
}
PHASES: dict[str, tuple[Callable[[Path], Dataset], Phases]] = {
    "garments": (lambda work: encode.run(garments(work), "pixel"), Phases()),
    "tiles": (tiles, Phases(counts=(600, 6, 3), classes=("free", "blowhole", "break"))),
    "boards": (boards, Phases(
        counts=(200, 12, 6), classes=("sound", "copper", "open"), generators=("cut_paste",), policies=("surface",),
        instrument="boxes", steps=600,
    )),
}  # fmt: skip
STUDIES: dict[str, tuple[ModuleType, dict[str, tuple[Callable[[Path], Dataset], DataSize | Phases]]]] = {
    "data_size": (data_size, dict(SIZES)), "phases": (phases, dict(PHASES)),
}  # fmt: skip


def main() -> None:
    """Run one study on one set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", choices=STUDIES, required=True)
    parser.add_argument("--set", choices=[*SIZES, *PHASES], required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--journal", type=Path, default=Path("small-data-work"))
    given = parser.parse_args()
    told, sets = STUDIES[given.study]
    if given.set not in sets:
        parser.error(f"{given.study} knows {', '.join(sets)}")
    opened, study = sets[given.set]
    name = f"{given.study}_{given.set}"
    given.journal.mkdir(parents=True, exist_ok=True)
    with listen(lambda what, _done, total: None if total else print(what, flush=True)):
        found = replace(study, seeds=given.seeds).run(
            opened(given.journal), journal=given.journal / f"{name}.jsonl", minutes=given.minutes, seed=0
        )
    (given.journal / f"{name}.html").write_text(found.page, "utf-8")
    command = f"python benchmarks/small_data.py --study {given.study} --set {given.set} --seeds {given.seeds}"
    note = "a small run: few training samples and epochs; no basis for other data"
    body = {"command": command, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "note": note, **found.body}
    done = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**done, name: body}, indent=1) + "\n", "utf-8")
    head, rows = told.table_of(found.body)
    for row in [head, *rows]:
        print(" | ".join(row))
    print(told.conclusion(found.body))


if __name__ == "__main__":
    main()
