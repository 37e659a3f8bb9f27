from __future__ import annotations

import pytest

from scarce.synthesize.generate._json import read_texts

TWO = ["It broke.", 'He said "no".']


@pytest.mark.parametrize(
    "answer",
    [
        '{"texts": ["It broke.", "He said \\"no\\"."]}',
        '["It broke.", "He said \\"no\\"."]',
        'Sure! Here they are:\n```json\n{"texts": ["It broke.", "He said \\"no\\".",]}\n```\nAnything else?',
        '{"results": [{"text": "It broke."}, {"text": "He said \\"no\\"."}]}',
        "{'texts': ['It broke.', 'He said \"no\".']}",
        '{"texts": ["It broke.", "He said \\"no\\".", "cut off in the mid',
        '{"paraphrases": ["It broke.", "He said \\"no\\".", "cut',
        '{\u201ctexts\u201d: [\u201cIt broke.\u201d, "He said \\"no\\"."]}',
        '{"text": "It broke."}\n{"text": "He said \\"no\\"."}\n',
        '<think>Perhaps ["a", "b"]?</think>{"texts": ["It broke.", "He said \\"no\\"."]}',
    ],
    ids=[
        "strict",
        "list",
        "fence and comma",
        "objects",
        "single quotes",
        "cut off",
        "cut off under another name",
        "typographic quotes",
        "an object a line",
        "thoughts first",
    ],
)
def test_what_models_call_json_is_read(answer: str) -> None:
    assert read_texts(answer) == TWO


def test_apostrophes_and_line_breaks_stay() -> None:
    assert read_texts("['It doesn't work', 'that's all']") == ["It doesn't work", "that's all"]
    assert read_texts('{"texts": ["one\ntwo"]}') == ["one\ntwo"]


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "{}", "[1, 2]", '{"texts": ""}', "[" * 5000])
def test_what_holds_no_texts_gives_none(answer: str) -> None:
    assert read_texts(answer) == []
