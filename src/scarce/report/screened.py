"""The page of a screen: accepted and refused synthetic samples side by side, each refusal with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from scarce.report.markup import Safe, tag
from scarce.report.model import Exhibit
from scarce.report.picture import Album

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LIMIT: Final = 3_500_000
"""Bytes of all pictures together."""
STYLE: Final = """
main{max-width:72rem;margin:0 auto;padding:1rem}.shelf{display:flex;flex-wrap:wrap;gap:.8rem}
.shelf figure{margin:0;width:11rem}.shelf img{width:100%;height:auto}.shelf figcaption{font-size:.8rem}
td,th{text-align:left;padding:.2rem .8rem .2rem 0}
"""


def screened_page(body: Mapping[str, Any], accepted: Sequence[Exhibit], refused: Sequence[tuple[Exhibit, str]]) -> str:
    """Return one HTML file that needs nothing else and cannot run code.

    Args:
        body: what :meth:`scarce.synthesize.screen.Screened.to_json` returns.
        accepted: some of the accepted samples.
        refused: some of the refused samples, each with its reason.
    """
    album = Album([*accepted, *(exhibit for exhibit, _ in refused)], limit=LIMIT)
    title = "Synthetic samples: accepted and refused"
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY), tag("title", title),
        tag("style", Safe(files("scarce.report").joinpath("style.css").read_text("utf-8") + STYLE)),
    )  # fmt: skip
    said = f"{body['accepted']:,} of {body['accepted'] + body['refused']:,} synthetic samples were accepted."
    parts = [tag("h1", title), tag("p", said), _counts(body)]
    parts += [tag("p", text, class_="warning") for text in body["warnings"]]
    parts += [*_sets(body), *_shelf("Accepted", [(exhibit, "") for exhibit in accepted], body["accepted"], album)]
    parts += _shelf("Refused", refused, body["refused"], album)
    return "<!doctype html>\n" + tag("html", head, tag("body", tag("main", parts)), lang="en") + "\n"


def _counts(body: Mapping[str, Any]) -> Safe:
    rows = [tag("tr", tag("td", name.replace("_", " ")), tag("td", count)) for name, count in body["by_screen"].items()]
    shares = [
        tag("tr", tag("td", f"synthetic share of {name}"), tag("td", f"{share:.0%}"))
        for name, share in body["synthetic_share"].items()
    ]
    return tag("table", [tag("tr", tag("th", "refused by"), tag("th", "samples")), *rows, *shares])


def _sets(body: Mapping[str, Any]) -> list[Safe]:
    """Return a table of what was measured class by class, if anything was."""
    rows = []
    for screen in body["screens"].values():
        for name, found in screen.get("classes", {}).items():
            if not isinstance(found, Mapping) or "low" not in found:
                continue
            value = found.get("auroc", found.get("corrected"))
            cells = (screen.get("distance", "AUROC of synthetic against real"), name, _number(value),
                     f"{_number(found['low'])} to {_number(found['high'])}")  # fmt: skip
            rows.append(tag("tr", [tag("td", cell) for cell in cells]))
    head = tag("tr", [tag("th", cell) for cell in ("measured on the accepted", "class", "value", "95 % interval")])
    return [tag("h2", "Distance to the real samples"), tag("table", [head, *rows])] if rows else []


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4g}"


def _shelf(title: str, shown: Sequence[tuple[Exhibit, str]], of: int, album: Album) -> list[Safe]:
    figures = []
    for exhibit, why in shown:
        picture = album[exhibit]
        image = tag("img", src=picture.uri, alt=exhibit.label) if picture else tag("p", exhibit.text or "no picture")
        figures.append(tag("figure", image, tag("figcaption", exhibit.label, tag("br"), why or exhibit.name)))
    return [tag("h2", f"{title}: {len(shown):,} of {of:,}"), tag("div", figures, class_="shelf")]
