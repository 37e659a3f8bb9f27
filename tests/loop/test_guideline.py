"""The label book of a real project: pages, versions, warnings."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce import io, modality
from scarce.ballot import with_votes
from scarce.config import Config
from scarce.errors import ConfigError, StoreError
from scarce.label import zero_shot
from scarce.label.guideline import EACH
from scarce.loop import zero_shot as labelling
from scarce.loop.guideline import in_force, versions, write_guideline
from scarce.project import Project

ODD = "<b>odd & *name*"


def small_project(folder: Path, source: Path, *, encoder: str = "auto", rows: int = 0) -> Project:
    project = Project.init(folder, config=Config().with_values("encode", encoder=encoder))
    ds = io.read(source)
    if rows:
        ds = ds.take(np.random.default_rng(0).choice(len(ds), rows, replace=False))
        ds = ds.take(np.argsort(ds.ids.astype(str)))
    project.commit(modality.scan(ds), "read")
    return project


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Stripes, discs and noise with one broken file; a class name that is markup."""
    base, rng = tmp_path / "photos", np.random.default_rng(0)
    down, across = np.mgrid[0:48, 0:48]
    for place in range(30):
        noise = rng.normal(0, 12, (48, 48))
        disc = np.hypot(down - rng.uniform(15, 33), across - rng.uniform(15, 33)) < 9
        stripe = 90 + 60 * np.sin(down / rng.uniform(2, 4))
        kinds = {"stripe": stripe, "disc": 200.0 * disc, ODD: rng.uniform(0, 255, (48, 48))}
        for name, picture in kinds.items():
            (base / name).mkdir(parents=True, exist_ok=True)
            pixels = np.clip(picture + noise, 0, 255).astype(np.uint8)
            (base / name / f"{place}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    (base / "disc" / "broken.png").write_bytes(b"no picture")
    return base


class Page(HTMLParser):
    """Counts tags and keeps the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_book_shows_examples_escapes_names_and_warns(photos: Path, tmp_path: Path) -> None:
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        done = write_guideline(project)
        text = done.html.read_text("utf-8")
    page = Page(text)
    assert "b" not in page.tags
    assert ODD in page.text
    assert page.tags.count("img") == 3 * 3 * EACH
    assert "http" not in text.replace("http-equiv", "")
    assert len(text) < 5_000_000
    [empty] = [warning for warning in done.warnings if "still empty: definition" in warning]
    assert all(name in empty for name in (ODD, "disc", "stripe"))
    markdown = done.pages[ODD].read_text("utf-8")
    assert markdown.startswith("# &lt;b&gt;odd &amp; \\*name\\*\n")
    shown = [line for line in markdown.splitlines() if line.startswith("- ![](pictures/")]
    assert len(shown) == 3 * EACH
    assert all((done.html.parent / line.split("(")[1].split(")")[0]).is_file() for line in shown)
    assert json.loads(json.dumps(done.to_json()))["version"] == 1


def test_a_change_of_the_words_is_a_version_and_nothing_is_lost(photos: Path, tmp_path: Path) -> None:
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        first = write_guideline(project)
        project.state.annotate([{"sample": "x", "voter": "ann", "label": "disc"}])
        again = write_guideline(project)
        assert (again.version, len(versions(project.folder))) == (1, 1)
        text = first.words.read_text("utf-8").replace('definition = ""', 'definition = "a round thing of 9 pixels"', 1)
        first.words.write_text(text, "utf-8")
        second = write_guideline(project)
        assert second.version == 2
        assert second.changed == (f"{next(iter(second.pages))}: definition written",)
        assert first.words.read_text("utf-8") == text
        assert "a round thing" not in (first.html.parent / "book.toml").read_text("utf-8")
        assert "a round thing" in second.html.read_text("utf-8")
        project.state.annotate([{"sample": "y", "voter": "ann", "label": "disc"}])
        history = versions(project.folder)
        assert [in_force(history, row["at"]) for row in project.state.annotations()] == [1, 2]
        assert in_force(history, "2001-01-01T00:00:00+00:00") == 0
        first.words.write_text("[classes", "utf-8")
        with pytest.raises(ConfigError, match="is not TOML"):
            write_guideline(project)
        assert first.words.read_text("utf-8") == "[classes"
        (project.folder / "guideline" / "versions.json").write_text("{")
        with pytest.raises(StoreError, match="is damaged"):
            versions(project.folder)


def test_agreement_and_gold_items_are_judged(photos: Path, tmp_path: Path) -> None:
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        ds = project.dataset()
        kept = np.flatnonzero(ds["keep"].astype(bool))
        names, rng = ds.schema.classes, np.random.default_rng(0)
        said = [{"sample": str(ds.ids[row]), "voter": voter, "label": names[rng.integers(3)]}
                for row in kept for voter in ("ann", "bob")]  # fmt: skip
        project.commit(with_votes(ds, said), "votes")
        done = write_guideline(project)
        disc = str(ds.table["uri"][int(np.flatnonzero(ds["label"] == names.index("disc"))[3])])
        text = done.words.read_text("utf-8")
        head, _, tail = text.partition('[classes."disc"]')
        tail = tail.replace("gold = []", f"gold = [{disc!r}, 'nowhere.png']", 1)
        done.words.write_text(f'{head}[classes."disc"]{tail}', "utf-8")
        done = write_guideline(project)
        page = Page(done.html.read_text("utf-8")).text
    told = " ".join(done.warnings)
    assert "0.8 is wanted: sharpen the rules" in told
    assert "agreement on disc is" in told
    assert "gold item nowhere.png is no sample" in told
    assert "1 gold items" in page
    assert "Krippendorff" in page


def test_tables_texts_and_series(shared_data: Path, tmp_path: Path) -> None:
    sources = {
        "text": shared_data / "text_small" / "sst2.csv",
        "table": shared_data / "tabular_imbalanced" / "phoneme.csv",
    }
    for name, source in sources.items():
        if not source.exists():
            pytest.skip(f"{source.name} is not here")
        with small_project(tmp_path / name, source, rows=300) as project:
            done = write_guideline(project)
            page = Page(done.html.read_text("utf-8"))
        assert "img" not in page.tags
        assert len(page.text) > 1500, name
        assert "(cannot be shown)" not in page.text


def test_a_project_without_labels_gets_a_book_to_fill(photos: Path, tmp_path: Path) -> None:
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        ds = project.dataset()
        nothing = [None] * len(ds)
        project.commit(ds.with_columns({"label": nothing, "label_source": nothing}), "no labels")
        done = write_guideline(project)
    [empty] = [warning for warning in done.warnings if warning.endswith("typical examples: nothing; 5 are wanted")]
    assert "disc" in empty


def test_zero_shot_labels_become_a_version_and_the_rest_waits(photos: Path, tmp_path: Path) -> None:
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        ds = project.dataset()
        truth, known = ds["label"], np.arange(len(ds)) % 2 == 0
        labels = [ds.schema.classes[code] if here and code >= 0 else None
                  for code, here in zip(truth, known, strict=True)]  # fmt: skip
        sources = ["human" if name else None for name in labels]
        project.commit(ds.with_columns({"label": labels, "label_source": sources}), "half")
        rows, found = labelling.proposed(project, precision=0.75)
        done = labelling.write(project, rows, found)
        after = project.dataset()
        new = after["label_source"] == zero_shot._run.SOURCE
        assert done.version == project.head
        assert new.sum() == found.taken.sum() > 10
        assert (after["label"][new] == truth[new]).mean() >= 0.75
        waiting = project.state.queue()
        assert {row["sample"] for row in waiting} == set(ds.ids[found.rows[~found.taken]])
        assert all(row["reason"].startswith(labelling.REASON) for row in waiting)
        assert done.seconds_saved == 5 * new.sum()
        again = labelling.write(project, *labelling.proposed(project, precision=0.75))
        assert (again.version, again.asked) == (None, 0)
        assert len(project.state.queue()) == len(waiting)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out_in_a_real_browser(photos: Path, tmp_path: Path, width: int) -> None:
    found = shutil.which("chromium") or shutil.which("google-chrome") or pytest.skip("no Chromium on this machine")
    with small_project(tmp_path / "p", photos, encoder="pixel") as project:
        done = write_guideline(project)
    probe = done.html.parent / "probe.html"
    probe.write_text(
        f"<iframe id=f src=book.html style='width:{width}px;height:900px;border:0'></iframe><p id=o>?</p><script>"
        "f.onload=()=>{const d=f.contentDocument.documentElement;"
        "o.textContent=d.scrollWidth<=d.clientWidth?'it fits':'it sticks out'}</script>"
    )
    command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
               "--allow-file-access-from-files", "--virtual-time-budget=5000",
               f"--user-data-dir={tmp_path / 'profile'}", probe.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in shown.stderr, shown.stderr
    assert ">it fits<" in shown.stdout
