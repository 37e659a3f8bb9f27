from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from markdown_it import MarkdownIt
from tests.train.conftest import featured, fold  # noqa: F401 - fixtures

from scarce import evaluate, train
from scarce.dataset import FoldView
from scarce.report.label_book import plain
from scarce.report.model_card import parts, to_html, to_markdown
from scarce.train.linear_probe import LinearProbe


def test_a_real_card_says_what_is_known_and_what_is_not(featured: FoldView) -> None:  # noqa: F811
    model = train.fit(featured, LinearProbe(folds=3))
    bare = to_markdown(parts(model.card), title="Model card: linear_probe")
    for text in ("not looked at", "none was agreed on", "Not tested on noise", model.card["data"]["content_id"]):
        assert text in bare
    assert "Bag (12)" in bare.replace("\\", ""), "a class of twelve samples is called weak"
    report = evaluate.run(featured, model, oof=model.held_out).to_json()
    told = to_markdown(
        parts(model.card, tested={**report, "looks": 1, "robustness": {"noise": 1}}, contract="min_rows 50"),
        title="card",
    )
    value = f"{100 * report['balanced_accuracy']['value']:.1f} % ({100 * report['balanced_accuracy']['low']:.1f} % to"
    assert value in told.replace("\\", "")
    assert "look number 1" in told
    assert "Not tested on noise" not in told
    assert "min_rows 50" in told.replace("\\", "")
    point = model.card["operating_point"]
    assert f"{point['caught']:,} of {point['defects']:,} defects" in told
    assert np.isfinite(point["threshold"])


def test_figures_of_the_test_stand_with_their_bounds(featured: FoldView) -> None:  # noqa: F811
    model = train.fit(featured, LinearProbe(folds=3)).stamped(weights_bytes=2_340_000, parameters=12_345)
    report = evaluate.run(featured, model, oof=model.held_out).to_json()
    told = to_markdown(parts(model.card, tested=report), title="card").replace("\\", "")
    point, bag = report["operating_point"], report["per_class"]["Bag"]
    assert point["in_sample"] is False
    assert f"{point['caught']} of {point['defects']} defects found" in told
    assert f"{point['false_alarms']} of {point['normals']} sound samples rejected" in told
    assert f"at least {100 * point['recall_low']:.1f} %" in told
    assert f"at most {100 * point['false_alarm_high']:.1f} %" in told
    assert f"{report['brier']:.4f}" in told
    for name in ("precision", "average_precision"):
        low, high = bag[f"{name}_low"], bag[f"{name}_high"]
        bounds = "" if low is None else f" ({100 * low:.1f} % to {100 * high:.1f} %)"
        assert f"{100 * bag[name]:.1f} %{bounds}" in told
    assert "12,345 parameters, a file of 2.34 MB" in told


def test_limits_name_what_was_looked_at_and_what_cannot_be() -> None:
    card = {"trainer": "anomaly", "classes": ["ok", "defect"], "normal_classes": ["ok"], "metrics": {},
            "data": {"counts": {"ok": {"real": 90}, "dent": {"real": 3}}}}  # fmt: skip
    stored = {"stored": {"known_called_unknown": 0.04, "low": 0.01, "high": 0.09}, "foreign": 0}
    tested = {"n": 9, "out_of_distribution": stored, "variety": {"verdict": "as varied"}}
    told = to_markdown(parts(card, tested=tested), title="card")
    assert "Not tested on samples of none of its classes" in told, "known samples only were looked at"
    assert "unlabelled samples from the field" not in told
    assert "dent" not in told, "it learned sound ones only"
    assert "blur" in told
    foreign = {**tested, "out_of_distribution": {**stored, "foreign": 30}}
    assert "Not tested on samples of none of its classes" not in to_markdown(parts(card, tested=foreign), title="card")
    for kind in ("tabular", "series", "text", "audio"):
        assert "blur" not in to_markdown(parts({**card, "modality": kind}), title="card")


@pytest.mark.parametrize("text", [
    "softmax(logits / 1.54768)", "linear_probe on small_resnet", "-0.5", "a # b!", "_x_ and __y__", "# head",
    "*a* [l](u) ![i](u)",
    "### head #", "1. one", "2) two", "- item", "---", "+ more", "snake_case_", "~~s~~", "x\\y `z`", "<b>&",
])  # fmt: skip
def test_markdown_shows_every_text_as_it_is(text: str) -> None:
    reader = MarkdownIt().enable("strikethrough")
    for mark, name in (("- ", "li"), ("# ", "h1")):
        assert ET.fromstring(reader.render(mark + plain(text))).find(f".//{name}" if name == "li" else ".").text == text
    if text in ("softmax(logits / 1.54768)", "linear_probe on small_resnet", "-0.5", "a # b!"):
        assert plain(text) == text


def test_names_from_users_are_shown_as_they_are() -> None:
    card = {"trainer": "finetune", "classes": ["<b>bad|", "ok"], "normal_classes": ["ok"],
            "data": {"counts": {"<b>bad|": {"real": 3}, "ok": {"real": 90}}}, "metrics": {}}  # fmt: skip
    page = to_html(parts(card), title="<script>")
    assert "<b>" not in page
    assert "<script>" not in page
    assert "&lt;b&gt;bad|" in page
    HTMLParser().feed(page)
    assert "\\|" in to_markdown(parts(card), title="card")
