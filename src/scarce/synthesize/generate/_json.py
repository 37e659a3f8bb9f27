"""Texts out of what a language model calls JSON: read strictly, then mended, then saved from what is there."""

from __future__ import annotations

import json
import re
from typing import Any, Final

KEYS: Final = ("texts", "examples", "items", "data", "paraphrases", "edge_cases", "results", "sentences")


def read_texts(answer: str) -> list[str]:
    """Return the texts of an answer; empty if there are none.

    Read are ``{"texts": [...]}``, a bare list, lists of objects with a text, and one object a line; around them may be
    words or a fence, before them what a model thinks, inside them commas at the end, typographic quotes and line
    breaks in strings; of an answer that was cut off, the whole strings are kept.
    """
    answer = re.sub(r"^\s*<think>.*?(?:</think>|\Z)", "", answer, flags=re.DOTALL | re.IGNORECASE)
    lines = [line for line in answer.splitlines() if line.strip()]
    if len(lines) > 1 and all(
        line.strip().startswith("{") and line.strip().rstrip(",").endswith("}") for line in lines
    ):
        answer = f"[{','.join(line.strip().rstrip(',') for line in lines)}]"  # one object a line
    for candidate in _candidates(answer):
        for text in (candidate, _mended(candidate)):
            try:
                found = _texts(json.loads(text, strict=False))
            except (ValueError, RecursionError):
                continue
            if found:
                return found
    return _whole_strings(answer)


def _candidates(answer: str) -> list[str]:
    """Return the parts that may be JSON: what a fence holds, the outermost braces, the outermost brackets."""
    found = re.findall(r"```(?:json)?\s*(.*?)```", answer, re.DOTALL | re.IGNORECASE)
    for opening, closing in ("{}", "[]"):
        first, last = answer.find(opening), answer.rfind(closing)
        if 0 <= first < last:
            found.append(answer[first : last + 1])
    return [answer, *found]


def _mended(text: str) -> str:
    text = re.sub(r"[\u201c\u201d\u201e](?=\s*[,\]\}:])|(?<=[\[\{,:])(\s*)[\u201c\u201d\u201e]", r'\1"', text)
    text = re.sub(r"(?<=[\[,{:])(\s*)'((?:[^'\\]|\\.|'(?!\s*[,\]\}:]))*)'(?=\s*[,\]\}:])", _quoted, text)
    return re.sub(r",(\s*[\]\}])", r"\1", text)


def _quoted(found: re.Match[str]) -> str:
    return found[1] + json.dumps(found[2].replace("\\'", "'"), ensure_ascii=False)


def _texts(body: Any) -> list[str]:
    """Return the texts of a parsed answer."""
    if isinstance(body, dict):
        named = next((body[key] for key in KEYS if isinstance(body.get(key), list)), None)
        lists = [value for value in body.values() if isinstance(value, list)]
        body = named if named is not None else lists[0] if len(lists) == 1 else [body]
    if not isinstance(body, list):
        return []
    found = []
    for item in body:
        text = item.get("text", item.get("sentence", "")) if isinstance(item, dict) else item
        if isinstance(text, str) and text.strip():
            found.append(text.strip())
    return found


def _whole_strings(answer: str) -> list[str]:
    """Return the whole strings of a list that was cut off."""
    start = re.search(rf'"(?:{"|".join(KEYS)})"\s*:\s*\[|^\s*(?:```(?:json)?\s*)?\[', answer)
    if start is None:
        return []
    found = re.findall(r'"((?:[^"\\]|\\.)*)"\s*(?=[,\]])', answer[start.end() :])
    texts = []
    for text in found:
        try:
            texts.append(str(json.loads(f'"{text}"', strict=False)).strip())
        except ValueError:
            continue
    return [text for text in texts if text]
