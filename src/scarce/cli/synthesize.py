"""``scarce synthesize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scarce.cli._options import AsJson, Debug, Quiet, Seed, Workers
from scarce.cli._screen import MISUSE, relative, safe, screen

if TYPE_CHECKING:
    from rich.console import Console


def synthesize(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="scratch, hole, cut-paste, diffusion, image-api, render ...")
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A project, or a folder or manifest of pictures.")],
    out_path: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="A new folder, or one to go on with.")],
    n: Annotated[
        int | None,
        typer.Option("--n", "-n", min=1, metavar="N", help="Accepted samples.", show_default="what the target lacks"),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", help="Class of the samples.", show_default="the one that KIND is about")
    ] = None,
    normal: Annotated[
        list[str] | None, typer.Option(metavar="CLASS", help="Class of sound parts.", show_default="what the data says")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Setting of KIND: severity=0.8.")
    ] = None,
    per_combination: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of generators: so many of every combination.", show_default="in turn"),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Time budget; what is finished stays.", show_default="none")
    ] = None,
    per_original: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Most uses of one sound picture.", show_default="no limit")
    ] = None,
    screened: Annotated[
        bool, typer.Option("--screen/--no-screen", help="Refuse what real training samples speak against.")
    ] = True,
    add: Annotated[bool, typer.Option("--add", help="Accepted samples become rows of the project PATH.")] = False,
    seed: Seed = 0,
    workers: Workers = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make synthetic defects on sound pictures: pictures, masks, COCO, YOLO and class folders.

    Where samples of the class have masks or boxes, size, shape, place, color and contrast are learned from them.
    Pictures that are broken, show nothing, lie beside the object or do not pass the screens, which are fitted on real
    training samples, are rejected; it goes on until N are accepted, and screen.html shows both. Without --n it makes
    what the class lacks to the target of [synthesize]. The same command picks up after an interruption, or goes on
    with a larger N. Only training samples are used. Exit code 2 says that a model or
    server failed half way. Of rows that were added, people veto in scarce review.

    diffusion, image-api, language-model and render make samples with models. Nothing is sent anywhere unless base_url
    is set; then image-api sends the prompt and, with mode=edit or inpaint, one training photo a call; language-model
    sends the prompt with up to `shown` training texts. The key comes from the variable that key_env names.

    Example:
        scarce synthesize scratch photos-scarce --n 200 --out scratches
        scarce synthesize scratch photos-scarce --out scratches --add
        scarce synthesize hole tiles/ --normal free --class blowhole --n 500 --out holes --json
        scarce synthesize cut-paste photos/ --set patches=library --set blend=poisson --n 100 --out pasted
        scarce synthesize diffusion tiles/ --class hole --set model=models/inpainting --n 50 --out painted
        scarce synthesize image-api tiles/ --class hole --set base_url=https://HOST/v1 --set model=NAME -n 9 --out asked
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop.making import Order, make_from

        given = [*(settings or ()), *([f"per_combination={per_combination}"] if per_combination else [])]
        order = Order(
            kind=kind, n=n, label=label or "", settings=tuple(given), normal=tuple(normal or ()), seed=seed,
            minutes=minutes, per_original=per_original, workers=workers, screened=screened, add=add,
        )  # fmt: skip
        done = make_from(path, order, out_path)
        made = done.made
        body = {
            "out": str(made.out), "kind": made.kind, "class": made.label, "wanted": made.wanted,
            "accepted": made.accepted, "rejected": sum(made.rejected.values()), "reasons": dict(made.rejected),
            "ended": made.ended, "originals": made.originals, "fitted": made.fitted,
            "most_per_original": made.most_per_original, "files": dict(made.files), "notes": list(made.notes),
            "screen": done.screen, "targets": done.targets, "synthetic_share": done.share,
            "warnings": done.warnings, "version": done.version, "added": done.added,
        }  # fmt: skip

        def draw(console: Console) -> None:
            fitted = f", fitted to {made.fitted} real defects" if made.fitted else ""
            said = f"{made.accepted} of {made.wanted} samples of {made.label} made by {made.kind}{fitted}"
            drawn_on = f", on {made.originals} sound pictures" if made.originals else ""
            console.print(safe(f"{said}{drawn_on}: {relative(made.out)}"))
            if done.targets is not None:
                goal = done.targets[made.label]
                console.print(safe(
                    f"Target of {made.label}: {goal.target}; real are {goal.real}, synthetic {goal.synthetic}; "
                    f"then {goal.share:.0%} of them are synthetic, at most {goal.copies} for one real one."
                ))  # fmt: skip
            for reason, count in made.rejected.items() if done.screen is None else done.screen["by_screen"].items():
                console.print(safe(f"- {count} rejected: {reason}"))
            if done.screen is not None:
                console.print(safe(f"Accepted and rejected ones: {relative(made.out / 'screen.html')}"))
            for text in done.warnings:
                console.print(safe(f"Warning: {text}."))
            if made.ended != "enough":
                console.print(safe(WHY[made.ended]))
            for note in made.notes:
                console.print(safe(f"Note: {note.rstrip('.')}."))
            if done.version is not None:
                console.print(safe(f"{done.version}: {done.added} rows added; people veto with scarce review"))

        out.show(body, draw)
        if made.ended == "fault":
            out.fail(MISUSE)


WHY = {
    "time": "The time is over; the same command goes on.",
    "rejections": "Too many were rejected: choose another kind or other settings.",
    "fault": "The model or server failed half way: what was finished is kept, and the same command goes on.",
    "limit": "A limit was reached before enough were accepted.",
    "originals": "Every sound picture was used as often as allowed.",
}
