"""The page of a look at the test set, drawn from what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.loop.gallery import exhibits
from scarce.loop.summary import command, point_of, test_result, versions

if TYPE_CHECKING:
    from scarce.project import Project


def write(project: Project, body: Mapping[str, Any], page: Path | None = None, *, seed: int = 0) -> Path:
    """Write the page and, beside it, the same as JSON; return the page's path.

    Args:
        project: whose samples are shown.
        body: from :func:`scarce.loop.judging.judge`.
        page: where it goes; None = ``reports/evaluate-<model>.html`` of the project.
        seed: for the record.

    Raises:
        ReadError: it cannot be written.
    """
    from scarce import report
    from scarce.report import look
    from scarce.report.page import save

    ds = project.dataset(body["version"])
    known = set(ds.ids.tolist())
    model = Path(body["model"])
    card = json.loads((model / "card.json").read_text(encoding="utf-8"))
    test = {
        **body, "confusion": body["confusion"]["matrix"], "majority": body["baseline"], "baseline": None,
        "difference": None,
    }  # fmt: skip
    data = report.ReportData(
        title=project.config.project.name or project.folder.name, command=command(), version=body["version"],
        versions=versions(), seed=seed, model=card["trainer"], classes=tuple(body["classes"]),
        normal_classes=tuple(body["normal_classes"]), test=test_result(test),
        operating_point=point_of(body["operating_point"]),
    )  # fmt: skip
    shown = exhibits(ds, [item for item in look.shown_ids(body) if item in known])
    place = page or project.reports / f"evaluate-{model.name}.html"
    found = save(look.to_html(look.LookData(report=data, body=body, exhibits=shown)), place)
    text = json.dumps({**body, "report": str(found)}, indent=2, ensure_ascii=False)
    save(text + "\n", found.with_suffix(".json"))
    return found
