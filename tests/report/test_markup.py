from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from scarce.report.markup import Safe, join, tag


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.attributes: dict[str, str | None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\0")))
def test_any_text_comes_back_as_text_and_never_as_markup(text: str) -> None:
    reader = Reader()
    reader.feed(tag("p", text, title=text))
    reader.close()
    assert reader.tags == ["p"]
    assert reader.text == text
    assert reader.attributes == {"title": text}


def test_attributes() -> None:
    assert tag("td", "x", class_="a", data_label="b", hidden=True, id=None, lang=False) == (
        '<td class="a" data-label="b" hidden>x</td>'
    )
    assert tag("img", src="data:,") == '<img src="data:,">'
    assert tag("line", x1="0") == '<line x1="0"/>'


def test_children_nest_and_nothing_vanishes() -> None:
    assert join("a<", [tag("b", 1), None, ("c", Safe("<i>"))]) == "a&lt;<b>1</b>c<i>"
