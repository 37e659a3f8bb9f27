"""What several commands add to a version before they work: measurements, features, copies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from scarce.kin import COPIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scarce.dataset import Dataset
    from scarce.project import Project

PARTIAL: Final = ("same_object",)
"""Those of them that judge no small pictures; the others judge every sample."""


def with_scan(project: Project, ds: Dataset, *, workers: int | None) -> Dataset:
    """Add the measurements of the one pass over the bytes and nothing else; remembered ones are not measured again."""
    from scarce import modality

    found = modality.scan(ds, workers=workers, cache=project.features / "scan")
    measured = {name: array for name, array in found.wide.items() if name.startswith("scan.")}
    return ds.with_columns(measured).with_step(replace(found.steps[-1], name="measure"))


def user_cache() -> Path | None:
    """Return the folder where features of data without a project are remembered; None where it cannot be written.

    It is what ``SCARCE_CACHE`` names, or ``scarce`` in the system's folder for caches; an empty ``SCARCE_CACHE`` says
    that nothing is to be remembered.
    """
    import os
    import sys
    from pathlib import Path

    named = os.environ.get("SCARCE_CACHE")
    if named == "":
        return None
    usual = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
    variable, place = usual.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    try:
        above = Path(os.environ.get(variable) or Path.home() / place)
        folder = Path(named).expanduser() if named else above / "scarce"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or no room
        return None
    return folder if os.access(folder, os.W_OK) else None


def with_features(
    project: Project, ds: Dataset, *, encoder: str | None = None, size: int | None = None, workers: int | None = None,
    seed: int = 0,
) -> Dataset:  # fmt: skip
    """Add the features of the project's encoder, or of another one; cached ones are not computed again."""
    from scarce import encode

    chosen = project.config.encode
    name = encoder or chosen.encoder
    return encode.run(
        ds, name, size=size or chosen.size or None, cache=project.features, workers=workers, seed=seed,
        batch=chosen.batch, settings=dict(chosen.plugins.get(encode.choose(ds, name), {})),
    )  # fmt: skip


def judged(
    path: Path,
    only: Sequence[str] | None = None,
    *,
    named: Mapping[str, str | None] | None = None,
    encoder: str = "auto",
    workers: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a folder or a manifest, measure and audit it, and keep nothing: no project, no file.

    Args:
        path: as ``scarce.read`` takes it.
        only: names of the checks; None = all.
        named: the columns of the manifest: ``label``, ``group``, ``split``, ``time``, ``text``.
        encoder: whose features the checks see.
        workers: threads at most; None = all cores.
        seed: of everything random.

    Raises:
        UnknownNameError: no such check.
        DataError, ReadError: there is nothing to judge.
    """
    from scarce import audit, encode, io, modality
    from scarce.ballot import holds_content

    features = audit.needs_features(only)
    ds: Dataset = modality.scan(io.read(path, **(named or {})), workers=workers)
    if features and holds_content(ds):
        ds = encode.run(ds, encoder, workers=workers, seed=seed)
    return audit.run(ds, only, seed=seed, workers=workers)


def audited(
    project: Project, ds: Dataset, only: Sequence[str] | None = None, *, workers: int | None, seed: int = 0
) -> Dataset:
    """Measure and audit a version of a project with the project's settings; nothing is committed.

    Args:
        project: an opened project.
        ds: the version.
        only: names of the checks; None = all.
        workers: threads at most; None = all cores.
        seed: of everything random.
    """
    from scarce import audit
    from scarce.ballot import holds_content

    ds = with_scan(project, ds, workers=workers)
    if audit.needs_features(only) and holds_content(ds):
        ds = with_features(project, ds, workers=workers, seed=seed)
    return audit.run(ds, only, seed=seed, workers=workers, settings=project.config.audit.plugins)


def judged_project(folder: Path, only: Sequence[str] | None, workers: int | None, seed: int) -> tuple[Dataset, str]:
    """Audit the head of a project and commit the scores; return the dataset and the new version."""
    from scarce.project import Project

    with Project.open(folder) as opened:
        chosen = only or opened.config.audit.only or None
        ds = audited(opened, opened.dataset(), chosen, workers=workers, seed=seed)
        return ds, opened.commit(ds, "audit", owner=("audit",))


def with_copies(project: Project, ds: Dataset, *, workers: int | None = None, seed: int = 0) -> Dataset:
    """Look for exact and near duplicates and for pictures of one object, with the project's settings of those checks.

    Pictures are compared by their thumbnails, all else by its features, which are computed where they are missing.

    Args:
        project: where measurements and features are remembered.
        ds: what is compared; ``scan.*`` is used if it is there.
        workers: threads at most; None = all cores.
        seed: of the features.
    """
    from scarce import audit

    if ds.schema.modality != "image":
        ds = with_features(project, ds, workers=workers, seed=seed)
    return audit.run(ds, COPIES, seed=seed, workers=workers, settings=project.config.audit.plugins)


def copies_unknown(ds: Dataset) -> bool:
    """Return whether a kept, real sample was never compared with the others."""
    from scarce.audit import skipped

    left_out, judged = skipped(ds), ds["keep"].astype(bool) & (ds["origin"] == "real")
    for check in COPIES:
        column = f"audit.{check}.score"
        if column not in ds.table.column_names:
            return bool(judged.any())
        score = np.asarray(ds.table[column].to_numpy(zero_copy_only=False), np.float64)[judged]
        if check not in PARTIAL and np.isnan(score).any() and check not in left_out:
            return True
    return False
