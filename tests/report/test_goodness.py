"""The quality table of the report says what was measured, and what was not."""

from __future__ import annotations

from scarce import quality
from scarce.report import QualityPart, ReportData, to_html
from scarce.testing import tiny_dataset


def test_the_page_shows_each_part_with_its_interval_and_each_class() -> None:
    body = quality.measure(tiny_dataset()).to_json()
    page = to_html(ReportData(title="t", quality=QualityPart.all_of(body)))
    assert "How good the data is" in page
    for name in ("Completeness", "Uniqueness", "Balance", "Label quality", "Consistency", "Overall"):
        assert f">{name}</th>" in page
    assert "not known: copies were not looked for: run scarce audit" in page
    assert f"{100 * body['completeness']['low']:.1f}" in page
    assert f"{100 * body['balance']['value']:.1f}" in page
    for name in ("good", "scratch", "stain"):
        assert f">{name}</th>" in page


def test_names_of_classes_are_escaped() -> None:
    ds = tiny_dataset({"<b>good</b>": 20, "torn": 10})
    page = to_html(ReportData(title="t", quality=QualityPart.all_of(quality.measure(ds).to_json())))
    assert "<b>good</b>" not in page
    assert "&lt;b&gt;good&lt;/b&gt;" in page


def test_nothing_is_shown_where_nothing_was_measured() -> None:
    assert "How good the data is" not in to_html(ReportData(title="t"))
