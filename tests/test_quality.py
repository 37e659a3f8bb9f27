"""The quality score: each part falls when its own fault grows, and no other part does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce import audit, encode, io, modality, quality
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, UnknownNameError
from scarce.faults import Material
from scarce.faults.duplicated import Duplicated
from scarce.faults.label_flip import LabelFlip
from scarce.metric import clopper_pearson

CLASSES = ("Trouser", "Bag", "Ankle boot")
CHECKS = ("exact_duplicate", "near_duplicate", "label_error", "consistency")


@pytest.fixture(scope="module")
def good(garments: Path) -> Material:
    """80 real pictures of each of three classes that a pixel encoder tells apart."""
    table = pq.read_table(garments, columns=["image", "label", "split"]).to_pydict()
    images, labels = [], []
    for code, name in enumerate(CLASSES):
        rows = [row for row, label in enumerate(table["label"]) if label == name][:80]
        for row in rows:
            cell = table["image"][row]
            data = np.frombuffer(cell["bytes"] if isinstance(cell, dict) else cell, np.uint8)
            images.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
            labels.append(code)
    return Material(images, np.array(labels), CLASSES)


@pytest.fixture(scope="module")
def sound(good: Material, tmp_path_factory: pytest.TempPathFactory) -> quality.Quality:
    """The quality before anything is planted."""
    return measured(good, tmp_path_factory.mktemp("sound"))


def measured(material: Material, folder: Path, spoil: Callable[[Path], None] | None = None) -> quality.Quality:
    place = material.write(folder)
    if spoil:
        spoil(place)
    ds = encode.run(modality.scan(io.read(place / "index.csv")), "pixel")
    return quality.measure(audit.run(ds, CHECKS))


def chosen(material: Material, rate: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.permutation(len(material.images))[: int(rate * len(material.images))]


def flipped(good: Material, folder: Path, rate: float) -> quality.Quality:
    return measured(LabelFlip(kind="symmetric", rate=rate).plant(good, seed=2)[0], folder)


def copied(good: Material, folder: Path, rate: float) -> quality.Quality:
    return measured(Duplicated(rate=rate, ways=("exact", "jpeg")).plant(good, seed=2)[0], folder)


def unreadable(good: Material, folder: Path, rate: float) -> quality.Quality:
    def spoil(place: Path) -> None:
        for row in chosen(good, rate):
            (place / "images" / f"{row:06d}.png").write_bytes(b"")

    return measured(good, folder, spoil)


def unlabelled(good: Material, folder: Path, rate: float) -> quality.Quality:
    def spoil(place: Path) -> None:
        lines = (place / "index.csv").read_text(encoding="utf-8").splitlines()
        gone = {int(row) + 1 for row in chosen(good, rate)}
        kept = [line.split(",")[0] + ",," if number in gone else line for number, line in enumerate(lines)]
        (place / "index.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")

    return measured(good, folder, spoil)


def unbalanced(good: Material, folder: Path, rate: float) -> quality.Quality:
    kept = np.flatnonzero((good.labels != 2) | (np.arange(len(good.labels)) % 80 >= 80 * rate))
    return measured(Material([good.images[row] for row in kept], good.labels[kept], CLASSES), folder)


def mixed_sizes(good: Material, folder: Path, rate: float) -> quality.Quality:
    images = list(good.images)
    for row in chosen(good, rate):
        images[row] = cv2.resize(images[row], (36, 36))
    return measured(Material(images, good.labels, CLASSES), folder)


def mixed_modes(good: Material, folder: Path, rate: float) -> quality.Quality:
    images = list(good.images)
    for row in chosen(good, rate):
        images[row] = cv2.cvtColor(images[row], cv2.COLOR_GRAY2RGB)
    return measured(Material(images, good.labels, CLASSES), folder)


FAULTS: dict[str, tuple[Any, str, float, float]] = {
    "label flips": (flipped, "label_quality", 0.15, 1.0), "copies": (copied, "uniqueness", 0.15, 1.0),
    "unreadable files": (unreadable, "completeness", 0.15, 1.0), "lost labels": (unlabelled, "completeness", 0.15, 1.0),
    "a scarce class": (unbalanced, "balance", 0.45, 0.15), "mixed sizes": (mixed_sizes, "consistency", 0.08, 1.0),
    "mixed modes": (mixed_modes, "consistency", 0.08, 1.0),
}  # fmt: skip
"""Fault to what plants it, the part it hits, its step, and the fall that is expected, over the planted rate."""


SLOW = ("lost labels", "mixed modes", "a scarce class")


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAULTS]
)
def test_each_part_falls_with_its_fault_and_no_other_does(
    fault: str, good: Material, sound: quality.Quality, tmp_path: Path
) -> None:
    plant, part, step, slope = FAULTS[fault]
    found = [sound, *(plant(good, tmp_path / str(times), times * step) for times in (1, 2))]
    values = [one.parts[part].value for one in found]
    for times in (1, 2):
        assert values[times - 1] - values[times] > 0.4 * slope * step, (values, "it does not fall enough")
        assert found[times].overall.value < found[times - 1].overall.value
        for other in set(quality.PARTS) - {part}:
            fall = found[0].parts[other].value - found[times].parts[other].value
            assert fall < 0.03, (other, fall, "another part falls, too")
    assert found[2].weakest == part
    planted = 1 - 2 * step if fault != "copies" else 1 / (1 + 2 * step)
    if part != "balance":
        assert found[2].parts[part].low <= planted <= found[2].parts[part].high, (found[2].parts[part], planted)


def table(labels: list[str | None], classes: tuple[str, ...] = ("good", "torn"), **values: Any) -> Dataset:
    ids = [f"s{row:03d}" for row in range(len(labels))]
    return Dataset.from_columns(Schema(classes=classes), {"id": ids, "uri": ids, "label": labels, **values})


def test_every_part_is_what_its_formula_says() -> None:
    ds = table(["good"] * 6 + ["torn"] * 2 + [None] * 2, keep=[False, False] + [True] * 8,
               drop_reason=["broken: no image", "dark"] + [None] * 8,
               **{"audit.label_error.score": [None, None, 0.5, 0.1, 0, 0, 0.4, 0.0, None, None],
                  "audit.consistency.score": [None, None, 1.0] + [0.0] * 7,
                  "audit.exact_duplicate.score": [None, None] + [0.0] * 8})  # fmt: skip
    ds = ds.with_findings("exact_duplicate", [
        {"level": "group", "members": ["s001", "s003", "s004"], "score": 1.0, "why": "copies"},
        {"level": "group", "members": ["s003", "s004"], "score": 1.0, "why": "copies"},
    ])  # fmt: skip
    found = quality.measure(ds)
    assert found.parts["completeness"].value == pytest.approx(1 - 3 / 9)  # broken, two without label; dark is no gap
    assert found.parts["uniqueness"].value == pytest.approx(1 - 1 / 8)  # s001 is set aside, so s003 is the first
    assert found.parts["label_quality"].value == pytest.approx(1 - 1.0 / 6)
    assert found.parts["consistency"].value == pytest.approx(1 - 1 / 8)
    share = np.array([4, 2]) / 6
    assert found.parts["balance"].value == pytest.approx(-(share * np.log2(share)).sum())
    low, high = clopper_pearson(7, 8)
    assert (found.parts["uniqueness"].low, found.parts["uniqueness"].high) == (low, high)
    torn, sound = found.classes["torn"], found.classes["good"]
    assert (torn["balance"].value, sound["balance"].value) == (0.5, 1.0)
    assert torn["label_quality"].value == pytest.approx(0.8)
    assert (torn["uniqueness"].value, sound["uniqueness"].value) == (1.0, 0.75)
    values = [part.value for part in found.parts.values()]
    assert found.overall.value == pytest.approx(np.prod(values) ** (1 / 5))
    assert found.overall.low < min(found.overall.value, 0.6)
    assert found.weakest == "completeness"


def test_what_was_not_measured_is_unknown_and_never_perfect() -> None:
    found = quality.measure(table(["good", "torn"] * 4))
    assert [name for name, part in found.parts.items() if not part.known] == [
        "uniqueness", "label_quality", "consistency"
    ]  # fmt: skip
    assert "scarce audit" in found.parts["uniqueness"].why
    assert found.overall.why == "without uniqueness, label_quality, consistency"
    body = found.to_json()
    assert body["label_quality"]["value"] is None
    assert body["classes"]["torn"]["completeness"]["value"] == 1.0


def test_probabilities_of_another_rule_are_not_taken_for_posteriors() -> None:
    from scarce.lineage import Step

    ds = table(["good", "torn"] * 4, **{"audit.label_error.score": [0.1] * 8})
    assert quality.measure(ds).parts["label_quality"].value == pytest.approx(0.9)
    other = ds.with_step(Step(stage="audit", name="label_error", params={"rule": "both"}))
    assert not quality.measure(other).parts["label_quality"].known


def test_groups_are_counted_where_samples_share_one() -> None:
    score = {"audit.consistency.score": [0.0] * 60}
    alone = quality.measure(table(["good", "torn"] * 30, **score)).parts["consistency"]
    shared = quality.measure(table(["good", "torn"] * 30, group=[f"t{row // 6}" for row in range(60)], **score))
    assert alone.low == pytest.approx(clopper_pearson(60, 60)[0])
    assert shared.parts["consistency"].low == pytest.approx(clopper_pearson(10, 10)[0])
    assert shared.parts["consistency"].units == 10


@pytest.mark.parametrize("labels", [[], ["good"], [None, None], ["good"] * 5 + ["torn"]])
def test_small_and_empty_data_gives_an_answer(labels: list[str | None]) -> None:
    found = quality.measure(table(labels))
    for part in [*found.parts.values(), found.overall]:
        assert not part.known or 0 <= part.low <= part.value <= part.high <= 1
        assert part.known or part.why


def test_wanted_columns_count_and_unknown_ones_are_refused() -> None:
    ds = table(["good", "torn"] * 4, **{"meta.camera": ["A", None] * 4})
    assert quality.measure(ds).parts["completeness"].value == 1.0
    assert quality.measure(ds, required=["meta.camera"]).parts["completeness"].value == 0.5
    with pytest.raises(UnknownNameError, match=r"meta\.camera"):
        quality.measure(ds, required=["meta.camra"])
    with pytest.raises(DataError, match="between 0 and 1"):
        quality.measure(ds, confidence=1.5)


def test_without_any_label_nothing_is_summed_up() -> None:
    found = quality.measure(table([None] * 6))
    assert not found.overall.known
    assert found.overall.why.startswith("not measured: no sample has a label")
    assert found.to_json()["overall"]["value"] is None
    assert found.parts["completeness"].counted == "of 6 samples 0 cannot be read, 6 have no label"


def test_what_completeness_counts_is_said() -> None:
    ds = table(["good", "torn", None, "good"], keep=[True, True, True, False],
               drop_reason=[None, None, None, "broken: no picture"])  # fmt: skip
    ds = ds.with_columns({"scan.missing": np.array([0.5, 0.0, 0.0, 0.0])})
    part = quality.measure(ds).parts["completeness"]
    assert part.value == pytest.approx(1 - 2.5 / 4)
    told = "of 4 samples 1 cannot be read, 1 have no label, of the values of the others 25 % are missing"
    assert part.counted == part.to_json()["counted"] == told


def test_a_pile_that_nobody_has_labelled_is_not_incomplete() -> None:
    ds = table(["good", "torn", None, None], split=["train", "train", "pool", None])
    assert quality.measure(ds).parts["completeness"].value == 0.75


def test_other_light_and_two_labels_on_real_tiles(shared_data: Path) -> None:
    """Copies are none here, but three tiles carry two labels; the tiles of those labels are photographed six times."""
    ds = io.read(shared_data / "magnetic_tile" / "index.csv")
    names = sorted({str(name) for name in ds["meta.tile_group"]}) if "meta.tile_group" in ds else []
    assert names, ds.table.column_names
    members = {name: ds.ids[ds["meta.tile_group"] == name] for name in names}
    groups = [{"level": "group", "members": list(rows), "score": 1.0, "why": "one tile"} for rows in members.values()]
    ds = audit.run(ds.with_findings("same_object", groups), "consistency")
    found = [row for row in ds.findings.to_pylist() if row["check"] == "consistency" and row["level"] == "group"]
    told = {name for name, rows in members.items() for row in found if set(row["members"]) == set(rows)}
    assert {"tile_034", "tile_036", "tile_020"} <= told
    part = quality.measure(ds).parts["consistency"]
    assert part.faults == pytest.approx(sum(len(members[name]) for name in told))
