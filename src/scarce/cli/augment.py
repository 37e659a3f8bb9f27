"""``scarce augment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli import _augment_search
from scarce.cli._options import (
    AsJson,
    Debug,
    GroupColumn,
    LabelColumn,
    Quiet,
    Seed,
    SplitColumn,
    TextColumn,
    Workers,
)
from scarce.cli._screen import safe, screen, size

if TYPE_CHECKING:
    from scarce.augment.strength import Tuned
    from scarce.dataset import Dataset


def augment(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A project, or a folder, table or manifest of samples.")],
    named: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="P",
            help="Preset, rand_augment ..., or FILE.toml, FILE.yaml.",
            show_default="told by the data",
        ),
    ] = None,
    per_sample: Annotated[int, typer.Option("--per-sample", min=1, help="Copies of one original.")] = 5,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write copies and a manifest here.")] = None,
    preview: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a contact sheet (PNG; of texts a text file).")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Find the strongest setting that keeps the label readable.")
    ] = False,
    search: Annotated[
        bool,
        typer.Option("--search", help="Of a project: which RandAugment (n, m) helps, measured on held-out pictures."),
    ] = False,
    all_train: Annotated[
        bool, typer.Option("--all-train", help="The data has no split, and all of it is for training.")
    ] = False,
    label: LabelColumn = None,
    group: GroupColumn = None,
    split: SplitColumn = None,
    text: TextColumn = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write changed copies of the training samples, or a sheet that shows what a policy does.

    Copies are files named {name}_aug_{i} (of texts one table), with a manifest; the same command goes on after an
    interruption. Samples of val and test are never augmented. Training does the same without files, epoch by epoch.

    Example:
        scarce augment photos-scarce --policy surface --preview sheet.png
        scarce augment photos-scarce --policy surface --per-sample 5 --out copies
        scarce augment photos-scarce --policy own.toml --tune
        scarce augment photos-scarce --search
        scarce augment reviews-scarce --policy text --per-sample 4 --out more
    """
    with screen(as_json, quiet, debug) as screened:
        from scarce.augment import adapt, distribution, guess_domain, offline, sheet, strength
        from scarce.errors import ConfigError

        if out is None and preview is None and not tune and not search:
            raise ConfigError(
                "augment", "nothing was asked for", do="give --out DIR, --preview FILE, --tune or --search"
            )
        ds = _data(path, {"label": label, "group": group, "split": split, "text": text})
        if search:
            _augment_search.refuse(path, ds.schema.modality)
        ds = offline.as_train(ds) if all_train else ds
        domain = guess_domain(ds)[0]
        policy = adapt.policy_of(named or domain)
        body: dict[str, object] = {"policy": policy.name, "why": policy.why, "warnings": adapt.warnings(policy, domain)}
        said = [f"Policy {policy.name}: {policy.why}", *(f"Warning: {text}" for text in adapt.warnings(policy, domain))]
        spread = distribution.distribution(ds, policy, per_sample=per_sample, seed=seed)
        body["distribution"] = spread.to_json()
        said += spread.lines()
        if search:
            body["search"], told = _augment_search.search(path, workers=workers, seed=seed)
            said += told
        if tune:
            found = strength.tune(ds, policy, seed=seed, domain=domain)
            body["tune"] = found.to_json()
            said += [*found.lines(), *_lost(found, preview, body)]
        if preview is not None:
            shown = offline.preview if ds.schema.modality == "image" else sheet.write
            body["preview"] = str(shown(ds, policy, preview, seed=seed))
            said.append(f"Sheet: {preview}")
        if out is not None and ds.schema.modality != "image":
            from scarce.loop.vary import vary

            varied = vary(ds, policy, out, per_sample=per_sample, seed=seed)
            body |= varied.to_json() | {"path": str(out)}
            said += varied.lines(out)
        elif out is not None:
            done = offline.write(ds, policy, out, per_sample=per_sample, seed=seed, workers=workers)
            body |= done.to_json()
            said.append(
                f"{done.written:,} pictures written, {done.reused:,} were there, {len(done.failed)} originals failed; "
                f"{size(done.bytes)}, {done.seconds:.1f} s; {done.manifest}"
            )
            said += [f"  {name}: {why}" for name, why in list(done.failed.items())[:5]]
        screened.show(body, lambda console: console.print(safe("\n".join(said))))


def _lost(found: Tuned, preview: Path | None, body: dict[str, object]) -> list[str]:
    """Write the pictures that a policy spoils, where it is too strong; return what to say."""
    from scarce.augment.offline import lost_sheet

    asked = found.tried[0]
    if asked.passes or not asked.lost:
        return []
    place = preview.with_name(f"{preview.stem}-too-strong.png") if preview else Path("too-strong.png")
    body["too_strong"] = str(lost_sheet(asked.lost, place))
    return [f"Pictures that the probe knew, and copies that it takes for something else: {place}"]


def _data(path: Path, columns: dict[str, str | None]) -> Dataset:
    from scarce import io
    from scarce.cli._work import holds_data, refuse_columns
    from scarce.project import Project

    if holds_data(path):
        return io.read(path, **columns)
    refuse_columns(columns, path)
    with Project.open(path) as project:
        return project.dataset()
