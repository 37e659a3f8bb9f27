"""A trial of two real models on garments, from the log of what they answered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scarce.errors import DataError
from scarce.flywheel import promote
from scarce.flywheel._answering import Answering
from scarce.flywheel._deployed import Deployment
from scarce.flywheel._gather import Item
from scarce.flywheel.trial import begin, trial
from scarce.lineage import digest
from scarce.project import Project

Call = Callable[..., Any]


class Silent:
    """Counts nothing."""

    def batch(self, size: int, seconds: float) -> None: ...
    def predicted(self, served_as: str, verdict: str) -> None: ...
    def dropped(self, count: int) -> None: ...
    def unlogged(self) -> None: ...


@pytest.fixture
def tried(project: Path, call: Call) -> tuple[Path, str, str]:
    """A project whose champion is a bad model, with a good one on trial."""
    call("split", project)
    for model in ("linear-probe", "prototype"):
        call("train", project, "--model", model)
    cards = sorted(project.glob(".scarce/models/*/card.json"))
    good, bad = (next(card.parent.name for card in cards if word in card.parent.name) for word in ("linear", "proto"))
    call("promote", project, "--model", bad)
    return project, bad, good


def pictures(garments: Path, each: int) -> list[tuple[bytes, str]]:
    """Unseen pictures of three classes with their labels."""
    found: list[tuple[bytes, str]] = []
    for row in pq.read_table(garments, columns=["image", "label", "split"]).to_pylist():
        count = sum(label == row["label"] for _, label in found)
        if row["split"] == "test" and row["label"] in {"Bag", "Coat", "Trouser"} and count < each:
            found.append((row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"], row["label"]))
    return found


def answered(folder: Path, contents: list[bytes], *, settings: str, since: int = 0) -> None:
    """Let the models answer as a server does."""
    text = (folder / "scarce.toml").read_text(encoding="utf-8")
    before = text
    for old, new in (("#shadow = false", "shadow = true"), ("#share = 0.0", "share = 0.5")):
        text = text.replace(old, new) if settings in new else text
    (folder / "scarce.toml").write_text(text, encoding="utf-8")
    with Project.open(folder) as opened:
        deployment = Deployment(opened, challenger=True, warm=lambda _: None)
        deployment._fetch(opened.state.aliases()["challenger"])
        answering = Answering(opened, deployment, Silent())
        for start in range(0, len(contents), 32):
            answering([
                Item(request=f"r{since + start + at}", content=content, sample=digest(content))
                for at, content in enumerate(contents[start : start + 32])
            ])  # fmt: skip
        answering.stop()
    (folder / "scarce.toml").write_text(before, encoding="utf-8")


def say(project: Project, samples: list[tuple[bytes, str]], *, inclusion: float | None) -> None:
    """Keep the truth about pictures as feedback."""
    by_sample = {row["sample"]: row for row in project.state.predictions() if row["served_as"] != "shadow"}
    rows = [(by_sample[digest(content)], label) for content, label in samples]
    project.state.add_feedback([
        {"sample": row["sample"], "model": row["model"], "predicted": row["label"], "label": label, "note": None,
         "request": row["request"], "kind": "confirmed", "worth": "low", "voter": "ann", "source": "http",
         "probability": row["probability"], "inclusion": inclusion} for row, label in rows
    ])  # fmt: skip


def test_a_trial_begins_stands_and_speaks_in_a_promotion(
    tried: tuple[Path, str, str], garments: Path, call: Call
) -> None:
    folder, bad, good = tried
    begun = call("trial", folder, "--model", good, "--why", "new camera")
    assert (begun["verdict"], begun["mode"], begun["challenger"]) == ("undecided", None, good)
    assert "shadow" in begun["why"][0]
    some = pictures(garments, 60)
    answered(folder, [content for content, _ in some], settings="shadow")
    found = call("trial", folder)
    assert (found["mode"], found["answered"], found["labelled"]) == ("shadow", len(some), 0)
    assert found["agreement"]["n"] == len(some)
    assert found["agreement"]["same"] == pytest.approx(
        1 - sum(row[2] for row in found["agreement"]["apart"]) / len(some)
    )
    assert "at random" in found["why"][-1]
    with Project.open(folder) as opened:
        say(opened, some[:9], inclusion=None)
        assert (trial(opened).labelled, trial(opened).drawn) == (9, 0)  # nobody drew them: they prove nothing
        say(opened, some, inclusion=0.5)
        whole = trial(opened)
        assert (whole.drawn, whole.worth, whole.chances) == (len(some), pytest.approx(len(some)), (0.5, 0.5))
        row = whole.evidence[0]
        labels = dict(some)
        wanted = {digest(content): label for content, label in labels.items()}
        rows = opened.state.predictions()
        right = {served: sum(row["label"] == wanted[row["sample"]] for row in rows if row["served_as"] == served)
                 for served in ("champion", "shadow")}  # fmt: skip
        assert row.champion == pytest.approx(right["champion"] / len(some))
        assert row.challenger == pytest.approx(right["shadow"] / len(some))
        judged = promote(opened, good, dry_run=True)
        assert {row.name for row in judged.evidence if row.source == "trial"} == {
            "all classes",
            "Bag",
            "Coat",
            "Trouser",
        }
        assert opened.state.ledger("promotions")[-1]["decision"] == f"trial {good}"
        say(opened, some[:5], inclusion=0.05)  # a week with ten times the traffic
        mixed = trial(opened)
        assert (mixed.chances, mixed.drawn) == ((0.05, 0.5), len(some))
        assert mixed.worth == pytest.approx((175 + 5 * 10) ** 2 / (175 + 5 * 100))
        assert "each weighs the inverse" in mixed.why[-1]
        with pytest.raises(DataError, match="@champion already"):
            begin(opened, bad)
        with pytest.raises(DataError, match="margin of 2"):
            trial(opened, margin=2)


def test_a_loss_in_production_refuses(tried: tuple[Path, str, str], garments: Path, call: Call) -> None:
    folder, _, good = tried
    call("promote", folder, "--model", good, "--override", "the better one")
    twisted = folder / ".scarce" / "models" / "twisted"
    shutil.copytree(twisted.with_name(good), twisted)
    card = json.loads((twisted / "card.json").read_text(encoding="utf-8"))
    card["classes"] = [{"Bag": "Coat", "Coat": "Bag"}.get(name, name) for name in card["classes"]]
    (twisted / "card.json").write_text(json.dumps(card), encoding="utf-8")  # two names exchanged, as happens
    call("trial", folder, "--model", "twisted")
    some = pictures(garments, 60)
    answered(folder, [content for content, _ in some], settings="share")
    with Project.open(folder) as opened:
        say(opened, some, inclusion=1.0)
        found = trial(opened)
        rows = [row for row in opened.state.predictions() if row["served_as"] == "challenger"]
        assert (found.mode, found.answered) == ("share", len(some))
        assert 0.35 < len(rows) / len(some) < 0.65
        assert {row["body"]["share"] for row in rows} == {0.5}
        assert (found.verdict, found.evidence[0].verdict) == ("worse", "worse")
    call("trial", folder, code=1)
    with Project.open(folder) as opened:
        judged = promote(opened, "twisted", dry_run=True)
        assert judged.verdict == "refused"
        assert any("(trial," in line for line in judged.why)


def test_without_a_challenger_nothing_is_on_trial(project: Path, call: Call) -> None:
    with Project.open(project) as opened:
        with pytest.raises(DataError, match="no @champion"):
            trial(opened)
        with pytest.raises(DataError, match="no @champion"):
            begin(opened, "any")
        opened.state.set_alias("champion", "v1-any")
        with pytest.raises(DataError, match="no @challenger"):
            trial(opened)
