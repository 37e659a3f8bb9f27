"""The review: what is queued, what verdicts become, and the page, on real garments."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scarce import review
from scarce.clean import history
from scarce.dataset import Dataset
from scarce.errors import DataError, ReadError, UnknownNameError
from scarce.loop import answering, asking
from scarce.loop.sitting import Sitting
from scarce.review.page import to_html

if TYPE_CHECKING:
    from conftest import Hidden


def flagged(ds: Dataset) -> Dataset:
    """The garments with two findings about labels, zero-shot labels, and a synthetic sample."""
    val, train = np.flatnonzero(ds["split"] == "val"), np.flatnonzero(ds["split"] == "train")
    a, b, c = (str(ds.ids[row]) for row in val[:3])
    ds = ds.with_findings(
        "label_error",
        [
            {"level": "sample", "members": [a], "score": 0.9, "why": 'more likely "Bag" (probability 0.91) than it'},
            {
                "level": "sample",
                "members": [b],
                "score": 0.7,
                "why": 'more likely "Trouser" (probability 0.71) than it',
            },
        ],
    ).with_findings("label_conflict", [{"level": "group", "members": [b, c], "score": 0.8, "why": "copies differ"}])
    labels, sources = ds.table["label"].to_pylist(), ds.table["label_source"].to_pylist()
    for place, row in enumerate(train[:60]):
        labels[row], sources[row] = ("Bag", "Trouser")[place % 2], "zero_shot"
    return ds.with_columns({"label": labels, "label_source": sources})


@pytest.fixture
def queued(hidden: Hidden) -> Hidden:
    project = hidden.project
    project.commit(flagged(project.dataset()), "findings")
    assert review.ask(project, project.dataset(), per_class=5) == {
        "label_error": 2, "label_conflict": 2, "zero_shot": 10, "synthetic": 0,
    }  # fmt: skip
    return hidden


def test_the_worst_come_first_and_nothing_twice(queued: Hidden) -> None:
    project = queued.project
    ds = project.dataset()
    assert sum(review.ask(project, ds, per_class=5).values()) == 0
    waiting = asking.questions(project, ds)
    assert [item.kind for item in waiting[:4]] == ["label_error", "label_conflict", "label_conflict", "label_error"]
    assert (waiting[0].suggestion, waiting[0].probability) == ("Bag", 0.91)
    drawn = [item for item in waiting if item.kind == "zero_shot"]
    assert [item.label for item in drawn[:2]] != [drawn[0].label] * 2, "the classes in turn"
    assert asking.questions(project, ds, ("synthetic",)) == []
    with pytest.raises(UnknownNameError, match="label_eror"):
        review.ask(project, ds, ("label_eror",))


def test_verdicts_become_actions_that_can_be_undone_and_counts(queued: Hidden) -> None:
    project = queued.project
    sitting = Sitting(project, "anna", asking.REVIEWED)
    first, second, third, fourth = sitting.waiting()[:4]
    sitting.answer(first, "Bag", 2.0)
    sitting.answer(second, "set aside", 1.0)
    sitting.answer(third, "unsure", 1.0)
    back = sitting.undo()
    assert back == third
    sitting.answer(third, "right", 3.0)
    sitting.answer(fourth, "unsure", 1.0)
    with pytest.raises(UnknownNameError, match="Bagg"):
        sitting.answer(sitting.waiting()[0], "Bagg")
    zero_shot = sitting.waiting()[0]
    sitting.answer(zero_shot, str(zero_shot.label), 1.5)
    done = answering.freeze(project)
    assert {action.kind for action in done.actions} == {"relabel", "set_aside"}
    ds = project.dataset()
    row = {item.sample: int(ds.rows_of([item.sample])[0]) for item in (first, second, third, zero_shot)}
    assert ds.table["label"][row[first.sample]].as_py() == "Bag"
    assert not ds["keep"][row[second.sample]]
    assert [ds["label_source"][row[item.sample]] for item in (third, zero_shot)] == ["human", "human"]
    assert [item.state for item in history(ds)] == ["applied"] * len(done.actions)
    told = {(item.kind, item.name): item for item in review.results(project)}
    assert told["zero_shot", str(zero_shot.label)].right == 1
    assert sum(item.unsure for item in told.values()) == 1
    assert sum(item.seconds for item in told.values()) == pytest.approx(8.5)
    assert {item.reviewers for item in told.values()} == {("anna",)}
    one = told["zero_shot", str(zero_shot.label)]
    assert (one.share_right, one.high) == (1.0, 1.0)
    assert one.low is not None
    assert 0.02 < one.low < 0.03, "one right answer proves next to nothing"


def test_a_table_comes_back_with_who_and_how_long(queued: Hidden, tmp_path: Path) -> None:
    project, table = queued.project, tmp_path / "q.csv"
    assert asking.write_questions(project, project.dataset(), table, asking.REVIEWED) == 14
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["suggestion"], rows[0]["probability"]) == ("Bag", "0.91")
    with table.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, [*asking.HEADS, "voter"])
        out.writeheader()
        out.writerows([{**rows[0], "answer": "unsure", "seconds": "4", "voter": "ben"}, rows[1] | {"new_label": "Bag"}])
    asking.take(project, asking.read_answers(project, project.dataset(), table, voter="anna"))
    said = project.state.annotations()
    assert [(row["voter"], row["seconds"], row["label"]) for row in said] == [("ben", 4.0, None), ("anna", None, "Bag")]
    assert all(row["frozen"] for row in said)
    table.write_text(table.read_text().replace(",4,", ",four,"), encoding="utf-8")
    project.state.settle([int(rows[0]["number"])], "open")
    with pytest.raises(DataError, match="'four' seconds"):
        asking.read_answers(project, project.dataset(), table)


def test_the_page_is_whole_asks_nobody_and_escapes_names(queued: Hidden, tmp_path: Path) -> None:
    project = queued.project
    page = tmp_path / "deep" / "review.html"
    assert review.write_page(project, project.dataset(), page) == 14
    text = page.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    body = json.loads(found[1])
    assert [card["number"] for card in body["cards"]] == [item.number for item in asking.questions(
        project, project.dataset(), asking.REVIEWED)]  # fmt: skip
    assert all(card["picture"].startswith("data:image/") for card in body["cards"])
    assert not re.search(r"(src|href)=.?https?:|@import|url\(", text)
    assert "Content-Security-Policy" in text
    assert (
        "default-src &#x27;none&#x27;; img-src data:; style-src &#x27;unsafe-inline&#x27;; script-src &#x27;sha256-"
        in text
    )
    evil = "</script><script>alert(1)</script>"
    ds = project.dataset()
    bad = Dataset(type(ds.schema)(classes=(evil, "b")), ds.table, ds.sources)
    shown = to_html(bad, asking.questions(project, ds)[:1], title=evil)
    assert "<script>alert" not in shown
    with pytest.raises(DataError, match="no question waits"):
        review.write_page(project, ds, page, ("synthetic",))
    with pytest.raises(ReadError, match="cannot be written"):
        review.write_page(project, ds, page / "x.html")


def test_what_zero_shot_was_unsure_about_is_a_kind_of_its_own(queued: Hidden, tmp_path: Path) -> None:
    project = queued.project
    ds = project.dataset()
    train = ds.ids[ds["split"] == "train"][100:130]
    project.state.ask([{"sample": str(one), "reason": f"{answering.UNSURE_OF}Bag", "priority": 0.009} for one in train])
    page = tmp_path / "page.html"
    assert review.write_page(project, ds, page, ("zero_shot",)) == 10, "only the sample that was drawn"
    assert "most urgent of" not in page.read_text("utf-8")
    assert review.write_page(project, ds, page, ("zero_shot",), most=4) == 4
    assert "The 4 most urgent of 10 questions" in page.read_text("utf-8")
    assert len(asking.questions(project, ds, ("unsure",))) == 30
    assert review.ask(project, ds, ("unsure",)) == {}
    sitting = Sitting(project, "anna", ("unsure",))
    for item in sitting.waiting()[:6]:
        sitting.answer(item, queued.truth[item.sample], 1.0)
    answering.freeze(project)
    told = [item for item in review.results(project) if item.kind == "unsure"]
    assert [item.name for item in told] == ["Bag"], "by the class that the model took them for"
    assert told[0].right + told[0].relabeled == 6
    assert all(item.name for item in review.results(project))


def test_the_command_says_what_the_page_leaves_out(
    queued: Hidden, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from scarce.cli import main
    from scarce.review import page

    queued.project.state.ask([{"sample": str(one), "reason": f"{answering.UNSURE_OF}Bag", "priority": 0.009}
                              for one in queued.project.dataset().ids[:7]])  # fmt: skip
    monkeypatch.setattr(page.write_page, "__kwdefaults__", {"most": 4})
    folder = str(queued.project.folder)
    queued.project.close()
    assert main(["review", folder, "--kind", "zero_shot", "--page", str(tmp_path / "p.html")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "6 of them, the least urgent, are not on the page" in out
    assert "7 more samples have no label" in out


@pytest.mark.browser
def test_a_real_browser_answers_by_keys_and_saves_what_we_read(queued: Hidden, tmp_path: Path) -> None:
    """A page around ours presses keys and reads the CSV that the page would save."""
    import shutil
    import subprocess

    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    project = queued.project
    review.write_page(project, project.dataset(), tmp_path / "review.html")
    around = tmp_path / "around.html"
    around.write_text("""<iframe id=f src=review.html style='width:390px;height:800px'></iframe>
      <pre id=o>?</pre><script>
      f.onload = async () => {
        const d = f.contentDocument, w = f.contentWindow;
        const press = (key) => d.dispatchEvent(new w.KeyboardEvent("keydown", {key, bubbles: true}));
        d.getElementById("voter").value = "anna";
        press("Enter"); press("x"); press("u"); press("4"); press("ArrowLeft"); press("Delete"); press("2");
        let saved;
        w.URL.createObjectURL = (blob) => { saved = blob; return "blob:none"; };
        w.HTMLAnchorElement.prototype.click = () => {};
        d.getElementById("save").click();
        const root = d.documentElement;
        const wide = "width " + root.scrollWidth + " of " + root.clientWidth;
        o.textContent = wide + " START" + (await saved.text()) + "END";
      };</script>""")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom",
        "--allow-file-access-from-files", "--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}",
        around.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r"width (\d+) of (\d+) START(.*?)END", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-800:]
    assert int(found[1]) <= int(found[2]), "something sticks out on a telephone"
    answers = tmp_path / "answers.csv"
    answers.write_text(html.unescape(found[3]), encoding="utf-8")
    heard = asking.read_answers(project, project.dataset(), answers)
    assert [item.verdict for item in heard.said] == ["right", "set aside", "unsure", "label"]
    assert heard.said[3].label == project.dataset().schema.classes[1]
    assert {item.voter for item in heard.said} == {"anna"}
    assert all(item.seconds is not None for item in heard.said)
    assert heard.waiting == 10
    assert asking.take(project, heard).version is not None
