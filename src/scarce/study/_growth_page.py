"""The page of the study of growth: for each number of real samples the arms, their gains and the intervals drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from scarce.report.chart import Axis, forest_axis, forest_row
from scarce.report.markup import Safe, join, tag
from scarce.report.model import Interval
from scarce.study._page import STYLE, page_with

KEYS: Final = ("average_precision", "recall_at_0.01:rare", "recall_at_0.05:rare")
HEADS: Final = ("average precision", "recall at 1 % false alarms", "recall at 5 %")
FOREST: Final = """
main{max-width:78rem}h2{margin-top:2.2rem}
.forest{font-size:.85rem}.forest td,.forest th{padding:.3rem .45rem}
.forest td:first-child{min-width:12rem;white-space:normal}
.forest .plot{width:28%;min-width:13rem;padding:0 .3rem}
.forest th{vertical-align:bottom}.forest td{white-space:nowrap}.forest .sub{display:block;opacity:.7;font-size:.8rem}
"""


def page_of(body: Mapping[str, Any]) -> str:
    """Return the page of what :class:`~scarce.study.growth.Growth` found."""
    rare = ", ".join(f"{name}: {count}" for name, count in body["rare_groups"].items())
    parts = [
        tag("p", f"{body['seeds_done']} of {body['seeds_wanted']} seeds; judged on {body['judged']:,} real samples of "
                 f"{body['groups']:,} groups, out of fold. Groups of each class that is grown: {rare}."),
    ]  # fmt: skip
    if not body["arms"]:
        return page_with(body["question"], parts, STYLE)
    parts.append(tag("ul", [tag("li", line) for line in lines_of(body)]))
    parts.append(tag(
        "p", "Gains are against the real samples alone, in points, with 95 % intervals over groups and seeds; those of "
        "average precision are drawn, and a bar that touches the line of zero proves nothing. Verdicts are about "
        "average precision, corrected for the number of arms. Every class weighs the same in every arm.",
    ))  # fmt: skip
    levels = levels_of(body)
    bounds = [arm[KEYS[0]][key] for _, arms in levels for arm in arms.values() for key in ("low", "high")]
    axis = Axis.around([bound for bound in bounds if np.isfinite(bound)])
    for title, arms in levels:
        parts += [tag("h2", title), _table(arms, axis)]
    unmade = [tag("li", f"{name}: {why}.") for name, why in body["not_made"].items()]
    if unmade:
        parts += [tag("h2", "What could not be made"), tag("ul", unmade)]
    return page_with(body["question"], parts, STYLE + FOREST)


def levels_of(body: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return title and arms of each number of real samples, the fewest first, all of them last."""
    few = sorted(body.get("few", {}).items(), key=lambda item: int(item[0]))
    found = [(f"{count} real samples of each class", part["arms"]) for count, part in few]
    return [*found, ("All real samples", body["arms"])]


def points(found: Mapping[str, Any]) -> str:
    """Return a gain in points with its interval."""
    if not all(np.isfinite(found[key]) for key in ("gain", "low", "high")):
        return "not known"
    return f"{100 * found['gain']:+.1f} ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def conclusion(body: Mapping[str, Any]) -> str:
    """Return one sentence for each number of real samples: what helped, what hurt, of what nothing is proven."""
    return "By average precision of the rare classes: " + " ".join(lines_of(body))


def lines_of(body: Mapping[str, Any]) -> list[str]:
    """Return the sentences of :func:`conclusion`."""
    told = []
    for title, arms in levels_of(body):
        said: dict[str, list[str]] = {"helped": [], "hurt": [], "no evidence": []}
        for name, arm in arms.items():
            if "verdict" in arm["average_precision"]:
                said[arm["average_precision"]["verdict"]].append(name)
        parts = [f"{verdict}: {', '.join(names)}" for verdict, names in said.items() if names]
        told.append(f"{title} - {'; '.join(parts) or 'nothing compared'}.")
    return told


def _table(arms: Mapping[str, Any], axis: Axis) -> Safe:
    found = {name: arm["average_precision"] for name, arm in arms.items()}
    head = tag(
        "tr", tag("th", "trained on"), tag("th", HEADS[0]), tag("th", forest_axis(axis)), tag("th", "verdict"),
        *(tag("th", name) for name in HEADS[1:]), tag("th", "share synthetic"),
    )  # fmt: skip
    rows = []
    for name, arm in arms.items():
        one = found[name]
        verdict = one.get("verdict", "")
        base = all(one[key] == 0 for key in ("gain", "low", "high"))
        interval = Interval(value=one["gain"], low=one["low"], high=one["high"])
        drawn = forest_row(interval, axis, verdict=verdict or "none")
        share = arm["synthetic_share"].values()
        rows.append(tag(
            "tr", tag("td", arm["what"]), tag("td", f"{one['value']:.1%}", "" if base else _under(points(one))),
            tag("td", "" if base else drawn, class_="plot"),
            tag("td", verdict, class_=f"verdict {verdict.split()[0] if verdict else ''}"),
            *(tag("td", f"{arm[key]['value']:.1%}", "" if base else _under(points(arm[key]))) for key in KEYS[1:]),
            tag("td", _range(min(share), max(share)) if share else "none"),
        ))  # fmt: skip
    return tag("div", tag("table", tag("thead", head), tag("tbody", join(*rows)), class_="forest"), class_="wide")


def _range(low: float, high: float) -> str:
    ends = (f"{low:.0%}", f"{high:.0%}")
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _under(text: str) -> Safe:
    return tag("span", text, class_="sub")
