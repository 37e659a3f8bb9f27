from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from tests.train.conftest import featured, fold  # noqa: F401 - fixtures

from scarce import evaluate, train
from scarce.dataset import FoldView
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


def test_names_from_users_are_shown_as_they_are() -> None:
    card = {"trainer": "finetune", "classes": ["<b>bad|", "ok"], "normal_classes": ["ok"],
            "data": {"counts": {"<b>bad|": {"real": 3}, "ok": {"real": 90}}}, "metrics": {}}  # fmt: skip
    page = to_html(parts(card), title="<script>")
    assert "<b>" not in page
    assert "<script>" not in page
    assert "&lt;b&gt;bad|" in page
    HTMLParser().feed(page)
    assert "\\|" in to_markdown(parts(card), title="card")
