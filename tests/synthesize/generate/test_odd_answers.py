"""Services that answer in odd forms: each answer is one rejected sample or understood, never a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
