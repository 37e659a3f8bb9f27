"""What should be done about the findings of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scarce.errors import DataError
from scarce.registry import canonical

if TYPE_CHECKING:
    from scarce.clean import Action
    from scarce.dataset import Dataset
    from scarce.project import Project


def cleaning_plan(
    project: Project, ds: Dataset, only: Sequence[str] | None = None, *, relabel: bool = False
) -> list[Action]:
    """Return what should be done about the findings, with the project's settings; nothing is changed.

    Args:
        project: whose settings are used.
        ds: an audited version of it.
        only: names of the cleaning plugins to ask; None = all.
        relabel: carry out better labels too, which are otherwise only proposed.

    Raises:
        DataError: nothing was audited yet.
        UnknownNameError: a name is no cleaning plugin.
    """
    from scarce import clean

    if not any(name.startswith("audit.") for name in ds.table.column_names):
        raise DataError("clean", "nothing was audited yet", do=f"scarce audit {project.folder}")
    settings = {name: dict(values) for name, values in project.config.clean.plugins.items()}
    settings.setdefault("relabel", {})["apply"] = relabel or project.config.clean.relabel
    asked = {
        name: values for name, values in settings.items() if only is None or canonical(name) in map(canonical, only)
    }
    return clean.plan(ds, only=only or None, **asked)
