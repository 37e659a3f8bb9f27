"""``scarce augment --search``: which RandAugment, judged by the ledger's comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

GRID: Final = ((2, 9), (1, 5), (1, 9), (2, 5), (2, 14), (3, 9))
"""n and m; the default first."""


def search(
    project: Path, *, seeds: int = 3, workers: int | None = None, seed: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """Return what each RandAugment gains on real held-out pictures, and sentences; the default stays unless one helps.

    Folds are cut by group, every arm sees the same folds and seeds, and the verdict is corrected for how many were
    tried. The test split is not touched. Results are kept: called again, it goes on.
    """
    from scarce.cli._study import Common, studied

    names = [f"rand_augment_n{n}_m{m}" for n, m in GRID]
    given = {"generators": ["none"], "policies": names, "seeds": seeds}
    place = project / "reports" / "search"
    place.mkdir(parents=True, exist_ok=True)
    body = studied("growth", given, Common(project, None, None, place, workers, seed))
    rows = {name: body["arms"].get(f"augment.{name}") for name in names}
    tried: dict[str, Any] = {}
    said = [f"Average precision of the rare classes, {body['seeds_done']} seeds, gain over no copies:"]
    for name, arm in rows.items():
        if arm is None:
            said.append(f"  {name}: not made ({body['not_made'].get(f'augment.{name}', 'it made no sample')})")
            continue
        own = arm["average_precision"]
        tried[name] = own
        said.append(
            f"  {name}: {own['value']:.1%}, {own['gain']:+.1%} [{own['low']:+.1%}, {own['high']:+.1%}], "
            f"{own['verdict']}"
        )
    helped = [name for name, one in tried.items() if one["verdict"] == "helped"]
    best = max(helped, key=lambda name: tried[name]["gain"], default=None)
    said.append(f"Use --policy {best}" if best else "None helped beyond doubt: nothing speaks for it on this data.")
    return {"tried": tried, "chosen": best, "page": body["page"]}, said
