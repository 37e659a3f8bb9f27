"""Services that answer in odd forms: each answer is one rejected sample or understood, never a fault."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from scarce.synthesize import generate
from scarce.synthesize.generate.image_api import ImageApi
from scarce.synthesize.generate.language_model import _said

if TYPE_CHECKING:
    from conftest import Service
    from scarce.dataset import Dataset

ODD: list[tuple[str, Any]] = [
    ("gemini", {"candidates": None}),
    ("gemini", {"candidates": [{"content": {"parts": [{"text": "no"}]}}], "promptFeedback": None}),
    ("gemini", {"candidates": [{"content": None, "finishReason": "SAFETY"}]}),
    ("gemini", {"candidates": [{"content": {"parts": [{"inlineData": "abc"}]}}]}),
    ("gemini", [1, 2]),
    ("openai", {"data": ["x", None, {"b64_json": 5}, {"url": 7}]}),
    ("openai", {"data": None}),
    ("openai", {"data": [{"url": {"a": 1}}]}),
]


@pytest.mark.parametrize(("protocol", "answer"), ODD)
def test_an_odd_answer_is_a_rejected_sample(
    service: Service, parts: Dataset, tmp_path: Path, protocol: str, answer: Any
) -> None:
    service.whole = answer
    plugin = ImageApi(base_url=service.url, model="tiny", protocol=protocol, pause_seconds=0.01, tries=1)
    limits = generate.Limits(most_rejected=3)
    got = generate.run(parts, plugin, counts={"Bag": 2}, out=tmp_path / "g", limits=limits)
    assert got.accepted["Bag"] == 0
    rows = [json.loads(line) for line in next((tmp_path / "g").glob("*.jsonl")).read_text("utf-8").splitlines()]
    assert sum(bool(row.get("why")) for row in rows) >= 3


def test_a_chat_answer_in_parts_is_joined() -> None:
    assert _said([{"type": "text", "text": '{"texts": '}, {"type": "text", "text": '["a"]}'}]) == '{"texts": ["a"]}'
    assert _said(None) == ""
    assert _said("plain") == "plain"


def test_a_service_that_sends_pictures_that_are_judged_on_gets_none_in(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    """As a model would that learned the whole data: test pictures, as they are, mirrored and enlarged."""
    from scarce import modality

    held = np.flatnonzero(parts["split"] == "test")[:4]
    sent = []
    for turn, picture in enumerate(modality.open_samples(parts, held)):
        pixels = np.asarray(picture)[:, :: -1 if turn % 2 else 1]
        sent.append(cv2.imencode(".png", cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_CUBIC))[1].tobytes())
    service.whole = {"data": [{"b64_json": base64.b64encode(one).decode()} for one in sent]}
    plugin = ImageApi(base_url=service.url, model="tiny", n=4, pause_seconds=0.01, tries=1)
    limits = generate.Limits(most_rejected=4)
    got = generate.run(parts, plugin, counts={"Bag": 4}, out=tmp_path / "g", limits=limits)
    assert got.accepted["Bag"] == 0
    assert sum(count for why, count in got.rejected["Bag"].items() if "which is judged on" in why) == 4
    assert set(got.dataset.ids) == set(parts.ids)


def test_real_training_pictures_are_not_taken_for_those_that_are_judged_on(parts: Dataset) -> None:
    from scarce import modality
    from scarce.synthesize.generate._judged import Judged

    judged, rows = Judged(parts), np.flatnonzero(parts["split"] == "train")
    hits = [judged.find(np.asarray(picture)) for picture in modality.open_samples(parts, rows)]
    assert sum(map(bool, hits)) <= len(rows) // 100
    assert judged.find(np.zeros((20, 20), np.uint8)) == ""
