"""Doing a recorded step again: stage by stage, from what the lineage says and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce import registry
from scarce.dataset import Dataset
from scarce.errors import DataError, ScarceError
from scarce.lineage import Step, canonical_json, digest

DECISION: Final = "grown"
"""The parameter by which a decision of the ledger is known: how its candidates were made."""


class CannotError(DataError):
    """A step cannot be done again, and the message says why."""


@dataclass(eq=False)
class Scene:
    """What steps are done again with.

    Args:
        features: folder of what was measured and encoded before; None = all is computed.
        sources: source name to folder.
        functions: name (``module:function``) to the user's own function; none is imported by itself.
        workers: threads at most.
        recorded: the version that ends with the present step or the next one that does, if it is still there.
        left_out: how many samples of a source came after that version.
        candidates: what decisions of the ledger chose from.
    """

    features: Path | None
    sources: Mapping[str, str]
    functions: Mapping[str, Callable[..., Dataset]] = field(default_factory=dict)
    workers: int | None = None
    recorded: Dataset | None = None
    left_out: int = 0
    candidates: dict[str, Any] = field(default_factory=dict)

    def cache(self, name: str = "") -> Path | None:
        """Return where features or measurements are remembered."""
        return None if self.features is None else self.features / name


def again(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    """Do one step again.

    Raises:
        CannotError: nothing knows how, or something that it needs is not there.
        ScarceError: the step itself refuses.
    """
    maker = MAKERS.get(step.stage)
    if maker is None:
        raise CannotError("reproduce", f"no stage {step.stage!r} is known here", do="update scarce")
    if DECISION in step.params:
        return _decision(ds, step, scene)
    return maker(ds, step, scene)


def _io(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce import io
    from scarce.io.production import drawn

    if step.name == "as_test":
        return io.as_test(ds)
    if step.name == "with_normal":
        return io.with_normal(ds, step.params["names"])
    if step.name == "drawn":
        return drawn(ds, step.params["shares"])
    if step.name != "merge":
        return _known_then(_read(step.params, scene), scene)
    params = step.params
    first, *others = params["steps"]
    new = _read({**first["params"], "place": params["source"]}, scene)
    for other in others:
        new = _io(new, Step(stage="io", name=other["name"], params=other["params"]), scene)
    before = ds if len(ds) or ds.steps else replace(ds, schema=replace(ds.schema, modality=new.schema.modality))
    return io.merge_sources(before, _known_then(new, scene), params["class_map"])


def _read(params: Mapping[str, Any], scene: Scene) -> Dataset:
    from scarce import io

    name = params.get("place", params["source"])
    place = scene.sources.get(name)
    if place is None or "at" not in params:
        raise CannotError("reproduce", f"it is not known where the source {name!r} lies", do="add it again: scarce add")
    options = {key: value for key, value in params.items() if key not in ("at", "place")}
    return io.read(Path(place) / params["at"], **options)


def _known_then(new: Dataset, scene: Scene) -> Dataset:
    """Leave out what was put into a source after the version was made."""
    if scene.recorded is None:
        return new
    known = np.isin(new.ids.astype(str), scene.recorded.ids.astype(str))
    if known.all() or not known.any():
        return new
    scene.left_out += int((~known).sum())
    return new.take(np.flatnonzero(known))


def _scan(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce import modality

    found = modality.scan(ds, workers=scene.workers, cache=scene.cache("scan"))
    if step.name != "measure":
        return found
    measured = {name: array for name, array in found.wide.items() if name.startswith("scan.")}
    return ds.with_columns(measured).with_step(step)


def _encode(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce import encode
    from scarce.encode import AbstractEncoder

    plugin = registry.load("encode", step.name, AbstractEncoder)  # type: ignore[type-abstract]
    column = f"embedding.{step.name}"
    if column in ds.wide:  # filled in for rows that were grown
        return encode.again(ds, column, cache=scene.cache(), workers=scene.workers, seed=step.seed or 0)
    chosen = plugin.from_params(step.params)
    return encode.run(ds, chosen, cache=scene.cache(), workers=scene.workers, seed=step.seed or 0)


def _audit(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce import audit

    others = [name for name in registry.names("audit") if name != step.name]
    given = beside(ds, step.inputs["beside"].split(), scene) if "beside" in step.inputs else ds
    params = {step.name: dict(step.params)}
    done = audit.run(given, seed=step.seed or 0, workers=scene.workers, settings=params, skip=others)
    return replace(done, wide=ds.wide)


def beside(ds: Dataset, names: Sequence[str], scene: Scene) -> Dataset:
    """Return the dataset with the arrays beside it that a step saw, and no others; missing ones are computed."""
    from scarce import encode

    given = replace(
        ds, wide={name: array for name, array in ds.wide.items() if {name, name.partition(".")[0]} & {*names}}
    )
    if "scan" in names and not any(name.startswith("scan.") for name in given.wide):
        given = _scan(given, Step(stage="modality", name="measure"), scene)
    for name in names:
        if name.startswith("embedding.") and name not in given.wide:
            given = encode.again(given, name, cache=scene.cache(), workers=scene.workers)
    return replace(given, steps=ds.steps, traces=ds.traces)


def _split(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce import split
    from scarce.split import AbstractSplitter

    if step.name == "forget":
        return split.forget(ds)
    plugin = registry.load("split", step.name, AbstractSplitter)  # type: ignore[type-abstract]
    own = {key: value for key, value in step.params.items() if key not in ("ratios", "test", "late", "apart")}
    named = step.params.get("test")
    return split.run(
        ds, ratios=step.params["ratios"], seed=step.seed or 0, splitter=plugin.from_params(own),
        test=named[0] if named else None,
    )  # fmt: skip


def _clean(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce import clean

    actions = clean.actions_of(step)
    if step.name == "apply":
        return clean.apply(ds, actions)
    return clean.revert(ds, actions[::-1])


def _label(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce.loop.answering import with_answers

    if step.name != "answers":
        raise CannotError(
            "reproduce", f"the step label.{step.name} is not done again", "people said it, or a model did"
        )
    return with_answers(ds, dict(step.params["answers"]))


def _classes(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce import classes

    params = step.params
    if step.name == "add":
        return classes.add(ds, params["names"], normal=bool(params.get("normal")))
    if step.name == "rename":
        return classes.rename(ds, params["names"])
    if step.name == "merge":
        return classes.merge(ds, params["names"], params["into"])
    if not isinstance(params["parts"], Mapping):
        raise CannotError("reproduce", "an older scarce did not record which samples went where")
    return classes.split(ds, params["name"], params["parts"])


def _augment(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce import augment
    from scarce.augment import Policy
    from scarce.augment._toml import build_entry

    tables = ({"op": item[0], **item[1]} if isinstance(item, list) else item for item in step.params["operations"])
    made = tuple(build_entry(table) for table in tables)
    more: dict[str, Any] = {key: step.params[key] for key in ("counts", "cap")}
    return augment.run(ds, Policy(made, name=step.params["name"]), seed=step.seed or 0, **more)


def _synthesize(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce import synthesize
    from scarce.synthesize import AbstractDefect, generate, screen

    if step.name in registry.names("synthesize.generate"):
        return generate.again(ds, step, scene.sources)
    if step.name == "screen":
        given = {key: step.params[key] for key in ("only", "settings", "seed") if key in step.params}
        return screen.run(ds, given.get("only"), settings=given.get("settings"), seed=int(given.get("seed", 0)))
    plugin = registry.load("synthesize", step.name, AbstractDefect)  # type: ignore[type-abstract]
    own = {key: value for key, value in step.params.items() if key not in ("counts", "cap", "class", "numbers")}
    if "numbers" in step.params:
        kind = plugin.from_params(own)
        return synthesize.adopt(ds, kind, step.params["numbers"], label=step.params["class"], seed=step.seed or 0)
    more: dict[str, Any] = {key: step.params[key] for key in ("counts", "cap")}
    return synthesize.run(ds, plugin.from_params(own), seed=step.seed or 0, **more)


def _rebalance(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce import rebalance
    from scarce.rebalance import AbstractRebalance

    plugin = registry.load("rebalance", step.name, AbstractRebalance)  # type: ignore[type-abstract]
    return rebalance.run(ds, plugin.from_params(step.params), seed=step.seed or 0)


def _loop(ds: Dataset, step: Step, scene: Scene) -> Dataset:  # noqa: ARG001  one shape for all stages
    from scarce.loop.prepare import without_grown

    return without_grown(ds)


def _store(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    """Do nothing for a restored version, whose own steps came before; take what was edited without a step as it is."""
    if step.name == "restore":
        return ds.with_step(step)
    if scene.recorded is None:
        raise CannotError("reproduce", "values were edited without a step, and the version that held them was pruned")
    return replace(scene.recorded, steps=ds.steps, traces=ds.traces).with_step(step)


def _own(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    from scarce._own import source_of

    place = step.params["function"]
    function = scene.functions.get(place) or scene.functions.get(place.partition(":")[2])
    if function is None:
        do = "give it: scarce reproduce --functions FILE.py, in Python reproduce(..., functions={...})"
        raise CannotError("reproduce", f"{place} is your own function", "none is imported by itself", do)
    if digest(source_of(function)) != step.inputs.get("source", digest(source_of(function))):
        raise CannotError("reproduce", f"{place} reads otherwise than when the version was made",
                          do="bring its old text back: scarce export --metadata has it")  # fmt: skip
    return ds.apply(function, seed=step.seed, **step.params["params"])


def _decision(ds: Dataset, step: Step, scene: Scene) -> Dataset:
    """Do again what the ledger kept: candidates anew from the version that was judged, then the decision."""
    from scarce import decision as kinds
    from scarce.loop import conclude
    from scarce.probe import PLAIN

    params = dict(step.params)
    grown, embedding, kind = params.pop(DECISION), params.pop("embedding"), params.pop("kind")
    key = canonical_json([grown, embedding])
    if key not in scene.candidates:
        made = beside(ds, [*ds.wide, embedding], scene)
        for item in grown:
            made = again(made, Step(**item), scene)
        scene.candidates[key] = (made, conclude.whole_train_fold(made, embedding))
    candidates, fold = scene.candidates[key]
    if kind == "Reweight":
        chosen: Any = kinds.Reweight(name=params["name"], spec=lambda _: PLAIN)
    else:
        kept = {"ids": frozenset, "screens": tuple}
        values = {name: kept.get(name, lambda same: same)(value) for name, value in params.items()}
        chosen = getattr(kinds, kind)(**values)
    return conclude.materialize(ds, candidates, chosen, fold).with_step(step)


Maker = Callable[[Dataset, Step, Scene], Dataset]
MAKERS: Final[Mapping[str, Maker]] = {
    "io": _io, "modality": _scan, "encode": _encode, "audit": _audit, "split": _split, "clean": _clean,
    "label": _label,
    "classes": _classes, "augment": _augment, "synthesize": _synthesize, "rebalance": _rebalance, "loop": _loop,
    "store": _store, "own": _own,
}  # fmt: skip
REFUSALS: Final = (ScarceError, KeyError, TypeError, ValueError)
"""What a step may raise when it is done again from a record that does not fit any more."""
