"""``scarce augment --search``: which RandAugment, judged by the ledger's comparison."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

GRID: Final = ((2, 9), (1, 5), (1, 9), (2, 5), (2, 14), (3, 9))
"""n and m; the default first."""
DEFAULT: Final = "rand_augment_n2_m9"


def refuse(path: Path, modality: str) -> None:
    """Refuse a search that cannot be made, before anything is computed.

    Raises:
        ConfigError: the path is no project, or its samples are no pictures.
    """
    from scarce.cli._work import holds_data
    from scarce.errors import ConfigError

    if holds_data(path):
        what = "--search compares on held-out samples, and needs the versions and features of a project"
        raise ConfigError("augment", what, f"{path} is data", f"scarce init NAME-scarce --from {path}")
    if modality != "image":
        do = "scarce study growth PROJECT judges the policy of this kind of data"
        raise ConfigError("augment", "--search is about RandAugment, which changes pictures", f"this is {modality}", do)


def search(
    project: Path, *, seeds: int = 3, workers: int | None = None, seed: int = 0
) -> tuple[dict[str, Any], list[str]]:
    """Return what each RandAugment gains on real held-out pictures, and sentences that end with the choice.

    Folds are cut by group, every arm sees the same folds and seeds, and the verdict is corrected for how many were
    tried. The test split is not touched. Results are kept for each version: called again, it goes on.
    """
    from scarce.cli._study import Common, studied
    from scarce.project import Project

    names = [f"rand_augment_n{n}_m{m}" for n, m in GRID]
    given = {"generators": ["none"], "policies": names, "seeds": seeds}
    with Project.open(project) as opened:
        head = opened.head or "v0"
    place = project / "reports" / "search" / f"{head}-{seed}"
    place.mkdir(parents=True, exist_ok=True)
    body = studied("growth", given, Common(project, head, None, place, workers, seed))
    found: dict[str, Any] = {"tried": {}, "chosen": None, "default": DEFAULT, "page": body["page"]}
    if not body["arms"]:
        return found, ["Time was up before one repeat of all was done: run it again to go on."]
    said = [f"Average precision of the rare classes, {body['seeds_done']} seeds, gain over no copies:"]
    for name in names:
        arm = body["arms"].get(f"augment.{name}")
        if arm is None:
            said.append(f"  {name}: not made ({body['not_made'].get(f'augment.{name}', 'it made no sample')})")
            continue
        own = found["tried"][name] = arm["average_precision"]
        said.append(
            f"  {name}: {own['value']:.1%}, {own['gain']:+.1%} [{own['low']:+.1%}, {own['high']:+.1%}], "
            f"{own['verdict']}"
        )
    found["chosen"] = best_of(found["tried"])
    return found, [*said, *choice(found["tried"])]


def best_of(tried: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the policy that helped most, beyond doubt; None where none did."""
    helped = [name for name, one in tried.items() if one["verdict"] == "helped"]
    return max(helped, key=lambda name: float(tried[name]["gain"]), default=None)


def choice(tried: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what to do now, in sentences.

    Args:
        tried: policy to ``gain`` and ``verdict``.
    """
    best = best_of(tried)
    if best:
        return [f"Use --policy {best}."]
    said = f"None of {len(tried)} helped beyond doubt. Choice: no augmentation."
    if DEFAULT not in tried or tried[DEFAULT]["verdict"] == "hurt":
        return [said]
    return [said, f"If you augment all the same, stay with the default, n = 2 and m = 9: --policy {DEFAULT}."]
