"""Learning curves and tables as one HTML file that needs nothing else and cannot run code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from scarce.report.markup import Safe, tag
from scarce.study._lines import key, lines

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
STYLE: Final = """
main{max-width:60rem;margin:0 auto;padding:1rem}.curves{width:100%;height:auto}
.curves text{font-size:12px;fill:currentColor}.curves .grid{stroke:currentColor;stroke-opacity:.15}
.curves .aim{stroke:currentColor;stroke-dasharray:5 4;stroke-opacity:.6}
.names{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;list-style:none;padding:0}
.names span{display:inline-block;width:1.6rem;height:.25rem;
vertical-align:middle;margin-right:.4rem}
main>figure{margin:1.2rem 0 .2rem}
.wide{overflow-x:auto}td,th{text-align:right;padding:.3rem .6rem}
td:first-child,th:first-child{text-align:left}
"""


def curve_page(body: Mapping[str, Any]) -> str:
    """Return the page of a study of learning curves.

    Args:
        body: what :class:`~scarce.study.query_strategies.QueryStrategies` found.
    """
    parts = [tag("p", _summary(body))]
    if body["strategies"]:
        title = f"{body['metric'].replace('_', ' ')} by number of labels"
        figure = lines(body["strategies"], title, y=body["metric"].replace("_", " "), aim=body["target"])
        parts += [figure, key(body["strategies"]), tag("h2", "Labels needed"), _table(body)]
        parts.append(tag("p", _legend(body)))
    return page_with(body["question"], parts)


def results_page(
    question: str, said: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]], *,
    figure: Safe | Sequence[Safe] | None = None,
) -> str:  # fmt: skip
    """Return a page with paragraphs, figures and one table.

    Args:
        question: the title.
        said: paragraphs.
        head: names of the columns.
        rows: cells.
        figure: one or more, which stand above the table.
    """
    figures = [figure] if isinstance(figure, Safe) else [*(figure or ())]
    shown = [*figures, *([table_with(head, rows)] if rows else [])]
    return page_with(question, [*(tag("p", text) for text in said), *shown])


def page_with(question: str, parts: Sequence[Safe], look: str = STYLE) -> str:
    """Return the page with a question as its title.

    Args:
        question: the title.
        parts: what stands below it.
        look: rules of style beside those of the report.
    """
    style = files("scarce.report").joinpath("style.css").read_text("utf-8")
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"{question} \N{MIDDLE DOT} scarce study"), tag("style", Safe(style + look)),
    )  # fmt: skip
    body = tag("body", tag("main", tag("h1", question), parts))
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def table_with(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Safe:
    """Return a table that may be wider than the page."""
    body = tag("tbody", [tag("tr", [tag("td", cell) for cell in row]) for row in rows])
    return tag("div", tag("table", tag("thead", tag("tr", [tag("th", cell) for cell in head])), body), class_="wide")


def _summary(body: Mapping[str, Any]) -> str:
    setting, full = body["setting"], body["full_model"]
    said = (
        f"{body['seeds_done']} of {body['seeds_wanted']} seeds; a {setting['model']} model; a pool of "
        f"{setting['pool']:,} samples with known labels, judged on {setting['judged']:,} others; "
        f"{setting['initial']} labels first, {setting['step']} a round."
    )
    return said if full is None else f"{said} With all labels the model reaches {full:.1%}."


def _table(body: Mapping[str, Any]) -> Safe:
    head = ("strategy", "score at the end", f"labels to {body['target']:.1%}", "saved against random",
            f"labels to match all ({body['match_full']:.1%})", "share of the pool")  # fmt: skip
    rows = [
        (name, f"{row['mean'][-1]:.1%}", count(row["to_target"]), share(row["saving"]), count(row["to_match_full"]),
         share(row["share_to_match_full"]))
        for name, row in body["strategies"].items()
    ]  # fmt: skip
    return table_with(head, rows)


def count(found: Mapping[str, Any]) -> str:
    """Return a number of labels with its interval; never reached reads so."""
    if found["value"] is None:
        return "not reached"
    if found["low"] is found["high"] is None:
        return f"{found['value']:,.0f}"
    return f"{found['value']:,.0f} ({_bounds(found, '{:,.0f}')})"


def share(found: Mapping[str, Any]) -> str:
    """Return a share with its interval."""
    if found["value"] is None:
        return "not reached"
    least = "at least " if found.get("at_least") else ""
    return f"{least}{found['value']:.0%} ({_bounds(found, '{:.0%}')})"


def _bounds(found: Mapping[str, Any], form: str) -> str:
    ends: Sequence[str] = ["?" if found[key] is None else form.format(found[key]) for key in ("low", "high")]
    return " to ".join(ends)


def _legend(body: Mapping[str, Any]) -> str:
    few = " Fewer than 20 seeds: no verdict." if body["seeds_done"] < 20 else ""
    return (
        "Lines are means over seeds, bands hold the middle 80 % of the seeds, the dashed line is the target. Brackets "
        "are 95 % intervals over draws of seeds, paired with random; samples that models are judged on are the same "
        f"throughout and are not drawn again. A question mark is a bound beyond the last round.{few}"
    )
