"""Looks for drift in a real project: a model of garments, its logged answers, kept pictures, feedback, clocks."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.cli import main
from scarce.errors import DataError
from scarce.flywheel._answering import keep, verdict_of
from scarce.flywheel.drift import Settings, drift, last_alarms
from scarce.lineage import digest
from scarce.project import Project
from scarce.train import load
from scarce.train.predict import predict_contents

KNOWN = ("Coat", "Sneaker", "Trouser")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, bytes]]]:
    """A project with a champion, and pictures that it has not seen with their classes."""
    base = tmp_path_factory.mktemp("drift")
    fresh: list[tuple[str, bytes]] = []
    count: dict[str, int] = {}
    for row in pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist():
        label, image = row["label"], row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
        if label in KNOWN and row["split"] == "test":
            fresh.append((label, image))
        elif label in KNOWN and row["split"] == "train" and count.get(label, 0) < 150:
            count[label] = count.get(label, 0) + 1
            place = base / "photos" / label
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row['row']}.png").write_bytes(image)
    folder = base / "p"
    assert main(["init", str(folder), "--from", str(base / "photos"), "--quiet"]) == 0
    settings = folder / "scarce.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"'))
    for words in (["split", "--ratios", "0.3,0.1,0.6"], ["train", "--model", "linear-probe"], ["promote"]):
        assert main([words[0], str(folder), *words[1:], "--quiet"]) == 0
    order = np.random.default_rng(0).permutation(len(fresh))
    return folder, [fresh[row] for row in order]


@pytest.fixture
def opened(made: tuple[Path, list[tuple[str, bytes]]], tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(made[0], tmp_path / "p")
    with Project.open(tmp_path / "p") as project:
        yield project


def answer(
    project: Project, contents: list[bytes], *, kept: bool = True, at: datetime = NOW, inclusion: float | None = None
) -> list[str]:
    """Log what the champion says, as the server does; return the requests."""
    name = project.state.aliases()["champion"]
    model = load(project.models / name)
    rows = []
    for number, (content, found) in enumerate(zip(contents, predict_contents(model, contents), strict=True)):
        stamp = (at - timedelta(hours=1, seconds=number)).isoformat(timespec="milliseconds")
        rows.append({
            "at": stamp, "request": digest(f"{at}{number}", content)[:16], "sample": digest(content), "model": name,
            "version": "v2", "served_as": "champion", "label": found.label, "probability": found.probability,
            "verdict": verdict_of(found), "unknown_score": found.unknown_score, "source": "line",
            "inclusion": inclusion,
            "body": {"natural_probability": found.natural_probability},
        })  # fmt: skip
    project.state.log_predictions(rows)
    if kept:
        folder = project.folder / ".scarce" / "production"
        folder.mkdir(exist_ok=True)
        for row, content in zip(rows, contents, strict=True):
            keep(folder / row["sample"], content)
    return [row["request"] for row in rows]


def changed(content: bytes, change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    return bytes(cv2.imencode(".png", change(cv2.imdecode(np.frombuffer(content, np.uint8), 0)))[1].tobytes())


def dimmed(content: bytes) -> bytes:
    return changed(content, lambda pixels: (pixels * 0.5).astype(np.uint8))


def new(made: tuple[Path, list[tuple[str, bytes]]], count: int) -> list[bytes]:
    return [content for _, content in made[1][:count]]


def test_nothing_changed_and_the_look_is_in_the_ledger(opened: Project, made) -> None:  # type: ignore[no-untyped-def]
    answer(opened, new(made, 60))
    answer(opened, new(made, 5), at=NOW - timedelta(hours=5))  # the same pictures before
    found = drift(opened, now=NOW)
    assert (found.verdict, found.predictions, found.champion) == ("no alarm", 65, opened.state.aliases()["champion"])
    assert {test.new for test in found.tests if test.p is not None} == {60}
    assert {test.kind for test in found.tests if test.p is not None} >= {"input", "prediction"}
    assert any("each counts once" in note for note in found.notes)
    assert found.expected_a_year == pytest.approx(0.01 * 365.25 / 7)
    (row,) = opened.state.ledger("drift")
    assert (row["verdict"], row["until"]) == ("no alarm", found.until)
    assert last_alarms(opened) == []
    assert opened.state.ledger() == []  # no run that judged data
    again = drift(opened, now=NOW)  # answers about the reference are remembered
    assert again.tests == found.tests
    json.dumps(again.to_json(), allow_nan=False)


def test_a_dim_lamp_is_an_alarm_that_cron_hears(opened: Project, made, capsys) -> None:  # type: ignore[no-untyped-def]
    answer(opened, [dimmed(content) for content in new(made, 60)], at=datetime.now(UTC))
    folder = str(opened.folder)
    assert main(["drift", folder, "--json", "--dry-run", "--quiet"]) == 1
    assert opened.state.ledger("drift") == []
    capsys.readouterr()
    assert main(["drift", folder, "--days", "3", "--json", "--quiet"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert "brightness" in body["alarms"]
    assert any("camera, light and lens" in step or "camera or light" in step for step in body["next"])
    told = last_alarms(opened)
    assert {alarm["name"] for alarm in told} == set(body["alarms"])
    assert all(alarm["adjusted"] <= 0.01 and alarm["champion"] == body["champion"] for alarm in told)
    assert main(["drift", folder, "--quiet"]) == 1
    assert "ALARM" in capsys.readouterr().out


def test_a_class_that_nobody_knows_is_shown(opened: Project, made, garments: Path) -> None:  # type: ignore[no-untyped-def]
    bags = [row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
            for row in pq.read_table(garments, columns=["image", "label", "split"]).to_pylist()
            if row["label"] == "Bag" and row["split"] == "test"][:60]  # fmt: skip
    answer(opened, [*new(made, 120), *bags])
    found = drift(opened, now=NOW)
    assert "new class" in {test.name for test in found.alarms}
    members = [name for group in found.groups for name in group["members"]]
    hidden = {digest(content) for content in bags}
    assert np.mean([name in hidden for name in members]) > 0.8
    assert found.groups[0]["nearest"] in KNOWN
    sheet = cv2.imread(str(opened.folder / found.groups[0]["sheet"]))
    assert sheet.shape[0] >= 96
    assert "A new class" in found.next_steps[0]
    alarm = next(alarm for alarm in last_alarms(opened) if alarm["kind"] == "new class")
    assert alarm["groups"][0]["members"] == found.groups[0]["members"]


def test_without_kept_pictures_answers_are_still_compared(opened: Project, made) -> None:  # type: ignore[no-untyped-def]
    coats = [content for label, content in made[1] if label == "Coat"][:60]
    answer(opened, coats, kept=False)
    found = drift(opened, now=NOW)
    assert {test.kind for test in found.alarms} == {"prediction"}
    assert "class mix" in {test.name for test in found.alarms}
    assert all("keep_images" in test.said for test in found.tests if test.name.startswith("embedding"))
    place = opened.folder / ".scarce" / "production"
    place.mkdir(exist_ok=True)
    (place / digest(coats[0])).write_bytes(b"cut short")
    assert any("cannot be opened" in note for note in drift(opened, now=NOW).notes)


def test_confirmed_samples_tell_calibration_only_where_they_were_drawn(opened: Project, made) -> None:  # type: ignore[no-untyped-def]
    contents = new(made, 80)
    drawn = answer(opened, contents[:40], inclusion=0.2)
    doubted = answer(opened, contents[40:], at=NOW - timedelta(hours=2))
    wrong = {name: KNOWN[(KNOWN.index(name) + 1) % 3] for name in KNOWN}
    rows = {row["request"]: row for row in opened.state.predictions()}

    def say(requests: list[str], label: Callable[[str], str]) -> None:
        opened.state.add_feedback([
            {"sample": rows[name]["sample"], "request": name, "predicted": rows[name]["label"], "kind": "corrected",
             "label": label(rows[name]["label"]), "voter": "a", "inclusion": rows[name]["inclusion"]}
            for name in requests
        ])  # fmt: skip

    say(doubted, lambda name: wrong[name])
    first = next(test for test in drift(opened, now=NOW, record=False).tests if test.name == "calibration")
    assert (first.p, "drawn at random" in first.said) == (None, True)
    say(drawn, lambda name: wrong[name])
    second = next(test for test in drift(opened, now=NOW, record=False).tests if test.name == "calibration")
    assert second.alarm
    assert "surer than right" in second.said
    champion = opened.state.aliases()["champion"]
    shutil.copytree(opened.models / champion, opened.models / "another")
    opened.state.set_alias("champion", "another")
    third = next(test for test in drift(opened, now=NOW, record=False).tests if test.name == "calibration")
    assert (third.p, third.said) == (None, "no answer of this champion that was drawn at random is confirmed yet")


def test_clocks_and_a_year_of_looks(opened: Project, made) -> None:  # type: ignore[no-untyped-def]
    answer(opened, [dimmed(content) for content in new(made, 40)], at=NOW + timedelta(hours=6))
    yearly = Settings(rate=0.05, per="year")
    first = drift(opened, yearly, now=NOW)
    assert any("clocks" in note for note in first.notes)
    assert (first.rate, first.expected_a_year) == (pytest.approx(0.05 * 7 / 365.25), 0.05)
    assert first.verdict == "alarm"
    same = drift(opened, yearly, now=NOW)
    assert (same.rate, same.verdict) == (0.0, "no alarm")
    assert any("Nothing can raise an alarm" in note for note in same.notes)
    assert drift(opened, yearly, now=NOW + timedelta(days=3)).rate == pytest.approx(0.05 * 3 / 365.25)


def test_production_may_be_its_own_reference(opened: Project, made) -> None:  # type: ignore[no-untyped-def]
    trousers = [content for label, content in made[1] if label == "Trouser"]
    own = Settings(against="production", days=7)
    with pytest.raises(DataError, match="answered nothing before"):
        drift(opened, own, now=NOW)
    answer(opened, trousers[:50], at=NOW - timedelta(days=20))
    answer(opened, trousers[50:100])
    assert "class mix" in {test.name for test in drift(opened, now=NOW).alarms}
    assert drift(opened, own, now=NOW).verdict == "no alarm"


def test_misuse_is_told(opened: Project, capsys) -> None:  # type: ignore[no-untyped-def]
    empty = drift(opened, now=NOW)
    assert (empty.verdict, empty.predictions) == ("not tested", 0)
    with pytest.raises(DataError, match="per = 'moon'"):
        Settings(per="moon")
    with pytest.raises(DataError, match="against = 'moon'"):
        Settings(against="moon")
    with pytest.raises(DataError, match="0 days"):
        Settings(days=0)
    opened.state.set_alias("champion", "gone")
    with pytest.raises(DataError, match="@champion gone cannot be loaded"):
        drift(opened)
    opened.state.set_alias("champion", None)
    assert main(["drift", str(opened.folder), "--quiet"]) == 2
    assert "there is no @champion" in capsys.readouterr().err


def test_of_texts_no_lens_is_blamed(shared_data: Path, tmp_path: Path) -> None:
    with (shared_data / "text_small" / "trec.csv").open(encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    with (tmp_path / "asked.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows[:200]])
    folder = tmp_path / "p"
    assert main(["init", str(folder), "--from", str(tmp_path / "asked.csv"), "--quiet"]) == 0
    with (folder / "scarce.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[encode.tfidf]\nhalf = 32\n")
    for words in (["split", "--ratios", "0.4,0.1,0.5"], ["train", "--model", "linear-probe"], ["promote"]):
        assert main([words[0], str(folder), *words[1:], "--quiet"]) == 0
    with Project.open(folder) as project:
        answer(project, [row[head.index("text")].upper().encode() for row in rows[200:260]])
        found = drift(project, now=NOW)
    assert "input" in {test.kind for test in found.alarms}
    told = " ".join(found.next_steps)
    assert "where the texts come from" in told or "another source of texts" in told
    assert "camera" not in told
    assert all(group["modality"] == "text" for group in found.groups)
