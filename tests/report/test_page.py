from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from scarce.errors import ReadError
from scarce.report import Decision, Exhibit, LabelError, ReportData, TestResult, render, to_html
from scarce.report.model import Interval

sys.path.insert(0, str(Path(__file__).parent))
import example

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Outline(HTMLParser):
    """Reads the page as a browser would: balanced tags, headings, links and whatever would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.seen.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if values.get("id") else []
        self.links += [values["href"]] if tag == "a" else []
        self.fetched += [values[key] for key in ("src", "href", "srcset") if tag != "a" and values.get(key)]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def data(garments: Path) -> ReportData:
    return example.build(garments)


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return to_html(data)


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    outline = Outline(page)
    assert page.startswith("<!doctype html>")
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert all(source.startswith("data:image/") for source in outline.fetched)
    assert not re.search(r"@import|url\(|<script|<link|<iframe|http-equiv=\"refresh", page)
    assert len(page.encode()) < 5_000_000


def test_it_can_be_read_without_eyes(page: str) -> None:
    outline = Outline(page)
    assert all(values.get("alt") for tag, values in outline.seen if tag == "img")
    assert sum(tag == "h1" for tag, _ in outline.seen) == 1
    assert dict(outline.seen)["html"] == {"lang": "en"}
    assert all("scope" in values for tag, values in outline.seen if tag == "th")
    svg = [values for tag, values in outline.seen if tag == "svg"]
    assert svg
    assert all(values.get("role") == "img" for values in svg)


def test_everything_that_was_asked_for_is_there(page: str, data: ReportData) -> None:
    for words in ("Balanced softmax", "+5.7", "DeepSMOTE", "83.63", "T-shirt", data.command.replace("&", "&amp;")):
        assert words in page
    for row in data.ledger:
        assert row.decision in page
    for item in data.checklist:
        assert item.text in page
    assert page.count('class="done"') == sum(item.done for item in data.checklist)
    assert "open: no evidence in this run" in page
    assert "And 6 samples more" in page


def test_names_from_files_cannot_become_markup(data: ReportData) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    exhibit = Exhibit(name=evil, label=evil, text=evil)
    bad = replace(
        data, title=evil, command=evil, classes=(evil, "b"), before={evil: 3, "b": 2}, after={evil: 3, "b": 2},
        counts={evil: {evil: {evil: 1}}}, conditions={evil: {evil: {evil: 1}}}, notes=(evil,) * 9, plan=(evil,),
        proofs=(evil,), set_aside={evil: 1},
        versions={evil: evil},
        ledger=(Decision(decision=evil, why=evil, verdict=evil, version_before=evil, kept=True),),
        label_errors=(LabelError(exhibit=exhibit, given=evil, suggested=evil, probability=0.5, action=evil),),
        model=evil, budget=evil, test=None, comparisons=(),
    )  # fmt: skip
    text = to_html(bad)
    outline = Outline(text)
    assert "<script" not in text
    assert not any(key.startswith("on") for _, values in outline.seen for key in values)
    assert sum(tag == "img" for tag, _ in outline.seen) < sum(tag == "img" for tag, _ in Outline(to_html(data)).seen)


def test_grown_samples_that_were_left_out_are_called_so(data: ReportData) -> None:
    assert "The final model is trained on them." in to_html(data)
    none = tuple(replace(row, kept=False) for row in data.ledger)
    assert "The ledger left these out of the final model." in to_html(replace(data, ledger=none))


def test_an_empty_run_still_gives_a_page() -> None:
    text = to_html(ReportData(title="empty"))
    Outline(text)
    assert "trained no model" in text


def test_unknown_numbers_are_dashes_not_nan() -> None:
    test = TestResult(n=0, balanced_accuracy=Interval(value=float("nan")))
    rows = (
        Decision.from_json(
            {"decision": "augment", "gain": None, "low": None, "unheard_of": 3, "verdict": "not applicable"}
        ),
    )
    text = to_html(ReportData(title="x", test=test, ledger=rows, seconds=float("nan")))
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_thousand_large_pictures_keep_under_five_megabytes(data: ReportData) -> None:
    import cv2

    rng = np.random.default_rng(0)
    pictures = [
        cv2.imencode(".jpg", rng.integers(0, 256, (480, 640, 3), np.uint8))[1].tobytes() for _ in range(40)
    ]  # fmt: skip
    items = tuple(
        LabelError(exhibit=Exhibit(name=f"{i}.jpg", data=pictures[i % 40]), given="a", suggested="b", probability=0.9)
        for i in range(1000)
    )
    assert len(to_html(replace(data, label_errors=items), limit=1_200_000).encode()) <= 1_200_000


def test_render_writes_the_file_or_says_why_not(data: ReportData, tmp_path: Path) -> None:
    path = render(data, tmp_path / "deep" / "report.html")
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ReadError, match="cannot be written"):
        render(data, tmp_path / "file" / "report.html")


def browser() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_a_real_browser_shows_it_quietly_and_nothing_sticks_out(garments: Path, tmp_path: Path, width: int) -> None:
    """Console errors, refused loads and failed requests are logged by Chromium; there must be none.

    A page around ours measures the width that the report takes; more than its frame means that something sticks out.
    """
    report = render(example.inspection(garments), tmp_path / "report.html")
    log = tmp_path / "net.json"
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"<iframe id=f src=report.html style='width:{width}px;height:900px;border:0'></iframe><p id=o>?</p><script>"
        "f.onload=()=>{const d=f.contentDocument.documentElement;"
        "o.textContent='width '+d.scrollWidth+' of '+d.clientWidth}</script>"
    )
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom",
        "--allow-file-access-from-files", "--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}",
        f"--log-net-log={log}", probe.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in done.stderr, done.stderr
    measured = re.search(r"width (\d+) of (\d+)", done.stdout)
    assert measured is not None, done.stdout[-500:]
    assert int(measured[1]) <= int(measured[2])
    hosts = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text(errors="replace")))
    own = {url for url in hosts if "google" not in url and "chromium" not in url and "gvt1" not in url}
    assert not own, "the page asked for something from the network"
    assert report.stat().st_size < 5_000_000
