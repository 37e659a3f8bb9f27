"""``scarce augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, GroupColumn, LabelColumn, Quiet, Seed, SplitColumn, TextColumn
from scarce.cli._screen import relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def augment(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Your data: texts, sounds or series.")],
    out_path: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder, or an unfinished one.")],
    policy: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Preset, or TOML file.", show_default="told by the data"),
    ] = None,
    per_sample: Annotated[int, typer.Option(metavar="N", min=1, help="Variants of each training sample.")] = 4,
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    text: TextColumn = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write changed copies of training samples, with a manifest; others are never changed.

    Called again, an interrupted run goes on. Texts go to one table, sounds and series to a folder for each class.

    Example:
        scarce augment reviews.csv --policy text --per-sample 4 --out more
    """
    with screen(as_json, quiet, debug) as out:
        from scarce import io
        from scarce.augment.policy import Policy, guess_domain
        from scarce.loop.vary import vary

        ds = io.read(path, label=label, group=group, split=split, text=text)
        own = Path(policy) if policy and policy.endswith(".toml") else None
        chosen = Policy.from_toml(own.read_text(encoding="utf-8")) if own else policy or guess_domain(ds)[0]
        found = vary(ds, chosen, out_path, per_sample=per_sample, seed=seed)
        name = chosen if isinstance(chosen, str) else chosen.name
        body = {
            "policy": name, "originals": found.originals, "made": dict(found.made), "rejected": dict(found.rejected),
            "kept_out": found.kept_out, "path": str(out_path),
        }  # fmt: skip

        def draw(console: Console) -> None:
            total = sum(found.made.values())
            console.print(safe(f"{total:,} variants of {found.originals:,} samples in {relative(out_path)} ({name})"))
            for why, count in found.rejected.items():
                console.print(safe(f"- {count:,} left out: {why}"))
            for part, count in found.kept_out.items():
                console.print(safe(f"- {count:,} samples of {part} are judged on and were not changed"))

        out.show(body, draw)
