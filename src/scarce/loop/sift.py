"""Synthetic candidates of a run: how many a class is to have, what refuses them, and what is told about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset
from scarce.decision import Fold, Synthesize
from scarce.errors import ScarceError
from scarce.synthesize.screen import MARK

if TYPE_CHECKING:
    from scarce.config import Config

MOST_MADE: Final = 1500
"""Synthetic candidates of all classes together, the rarest first."""
FIRST, WHOLE = 0, 3
"""Turns of screens that need the samples themselves, and that measure whole sets."""


def make(ds: Dataset, config: Config, *, seed: int = 0) -> Dataset:
    """Append synthetic candidates up to each defect class's target, by the kinds that serve it in equal parts.

    Raises:
        ScarceError: no class is known to be sound, or no kind can serve a class that lacks samples.
    """
    from scarce import synthesize
    from scarce.loop import gate
    from scarce.registry import names

    goals = gate.targets(ds, config)
    defects = [ds.schema.classes[code] for code in ds.schema.defect_codes]
    lacking = sorted((name for name in defects if goals[name].real), key=lambda name: (goals[name].real, name))
    if not lacking:
        raise ScarceError("synthesize", "no class is known to be sound, so there is no surface to put a defect on")
    kinds = [kind for kind in names("synthesize") if kind in (config.synthesize.only or KINDS)]
    why = {kind: synthesize.servable(ds, _plugin(kind, config)) for kind in kinds}
    out, room, reasons = ds, MOST_MADE, []
    for name in lacking:
        able = [kind for kind in kinds if not why[kind][name]]
        wanted = min(goals[name].wanted, room)
        for place, kind in enumerate(able):
            part = wanted // len(able) + (place < wanted % len(able))
            try:
                out = synthesize.run(
                    out, _plugin(kind, config), counts={name: part}, seed=seed, cap=config.synthesize.copies
                )
            except ScarceError as error:
                reasons.append(error.what)
        room -= wanted
        reasons += [f"{kind}: {why[kind][name]}" for kind in kinds if why[kind][name]] if not able else []
    if len(out) == len(ds) and reasons:
        raise ScarceError("synthesize", "; ".join(sorted(set(reasons))[:3]))
    return out


KINDS: Final = (
    "cut_paste", "scratch", "stain", "dent", "hole", "tear", "crack", "contamination", "discoloration", "missing_part",
)  # fmt: skip
"""Kinds of defects that a run tries; each serves only classes whose name or masks say that it may."""


def _plugin(kind: str, config: Config) -> Any:
    from scarce.registry import load
    from scarce.synthesize import AbstractDefect

    plugin = load("synthesize", kind, AbstractDefect)  # type: ignore[type-abstract]
    return plugin.from_params(config.synthesize.plugins.get(kind, {}))


def without_broken(ds: Dataset, embedding: str, config: Config, *, seed: int = 0) -> Dataset:
    """Set aside the candidates that cannot be opened or show nothing; each is looked at once."""
    from scarce.synthesize import screen

    wanted = _screens(config, lambda turn: turn == FIRST)
    if not wanted or not (ds["origin"] == "synthetic").any():
        return ds
    settings = {name: dict(values) for name, values in config.synthesize.screen.plugins.items() if name in wanted}
    found = screen.judge(screen.training_view(ds), wanted, embedding=embedding, seed=seed, settings=settings)
    return screen.applied(ds, found, params={"only": wanted, "settings": settings, "seed": seed})


def decision(config: Config) -> Synthesize:
    """Return the decision to train on candidates, with the screens that are fitted anew in every fold."""
    wanted = _screens(config, lambda turn: FIRST < turn < WHOLE)
    settings = {name: dict(values) for name, values in config.synthesize.screen.plugins.items() if name in wanted}
    return Synthesize(screens=tuple(wanted), settings=settings)


def told(ds: Dataset, embedding: str, kept: Sequence[Any], fold: Fold, config: Config) -> dict[str, Any]:
    """Return what the report says about the candidates, fitted on the whole training side, as plain values.

    Args:
        ds: with candidates and features.
        embedding: the features' column.
        kept: the decisions that the ledger kept.
        fold: the whole training side.
        config: of the project.
    """
    from scarce.loop import gate
    from scarce.synthesize import screen

    origin = ds["origin"]
    made = np.flatnonzero(origin == "synthetic")
    if not len(made):
        return {}
    chosen = decision(config)
    found = chosen.judge(fold) if chosen.screens else None
    early = {
        ds.ids[row]: str(ds["drop_reason"][row]).removeprefix(MARK) for row in made if not ds["keep"][row]
    }  # fmt: skip
    late = {} if found is None else dict(zip(found.ids.tolist(), found.reasons, strict=True))
    reasons = {name: early.get(name) or late.get(name, "") for name in ds.ids[made].tolist()}
    passed = np.array([not reasons[name] for name in ds.ids[made]], bool)
    first = Counter(why.partition(":")[0] for why in reasons.values() if why)
    real = np.flatnonzero((origin == "real") & ds["keep"].astype(bool) & (ds["split"] == "train") & (ds["label"] >= 0))
    part = ds.take(np.sort(np.concatenate([real, made[passed]])))
    wanted = _screens(config, lambda turn: turn == WHOLE)
    section = config.synthesize.screen
    whole = screen.judge(
        screen.training_view(part), wanted, embedding=embedding, most_share=section.most_share,
        settings={name: values for name, values in section.plugins.items() if name in wanted},
    )  # fmt: skip
    body = whole.to_json()
    goals = gate.targets(ds.take(np.flatnonzero(origin != "synthetic")), config)
    return {
        "kept": any(isinstance(item, Synthesize) for item in kept), "made": len(made),
        "accepted": int(passed.sum()), "refused": int((~passed).sum()), "by_screen": dict(first),
        "examples": {name: next(why for why in reasons.values() if why.startswith(name)) for name in first},
        "classes": _by_class(ds, made, passed, goals, body["synthetic_share"]), "distances": body["screens"],
        "warnings": body["warnings"],
    }  # fmt: skip


def _by_class(ds: Dataset, made: Any, passed: Any, goals: Any, share: Any) -> dict[str, dict[str, Any]]:
    parents = ds.table["parents"].take(made).to_pylist()
    labels = ds["label"][made]
    out = {}
    for code in np.unique(labels).tolist():
        own, name = labels == code, ds.schema.classes[code]
        uses = Counter(parents[place][0] for place in np.flatnonzero(own & passed) if parents[place])
        out[name] = {
            "real": goals[name].real, "target": goals[name].target, "copies": goals[name].copies,
            "made": int(own.sum()), "accepted": int((own & passed).sum()), "share": share.get(name, 0.0),
            "most_per_original": max(uses.values(), default=0),
        }  # fmt: skip
    return out


def in_words(body: Mapping[str, Any]) -> list[str]:
    """Return what was made, refused and why, sentence by sentence."""
    if not body:
        return []
    why = "; ".join(f"{count} by {name.replace('_', ' ')}" for name, count in body["by_screen"].items())
    lines = [f"{body['accepted']:,} of {body['made']:,} synthetic candidates passed the screens" +
             (f"; refused were {why}" if why else "")]  # fmt: skip
    for name, row in body["classes"].items():
        word = "is" if body["kept"] else "would be"
        lines.append(
            f"{name}: {row['real']:,} real samples, target {row['target']:,}, {row['accepted']:,} synthetic ones; with "
            f"them {row['share']:.0%} of the class {word} synthetic. At most {row['copies']} "
            f"for one real one; one sound picture is used at most {row['most_per_original']} times"
        )
    return [f"{line}." for line in (*lines, *body["warnings"])]


def _screens(config: Config, fits: Any) -> list[str]:
    from scarce.registry import canonical, load, names
    from scarce.synthesize.screen import AbstractScreen

    asked = [canonical(name) for name in config.synthesize.screen.only] or names("synthesize.screen")
    return [
        name for name in asked
        if fits(load("synthesize.screen", name, AbstractScreen).turn)  # type: ignore[type-abstract]
    ]  # fmt: skip
