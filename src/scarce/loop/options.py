"""What a run can be told, and its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from scarce import progress, registry
from scarce.errors import ConfigError, closest, unknown_name

NETWORKS = ("finetune", "blend")
"""Trainers that draw augmented copies anew in every epoch."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a run can be told; the defaults are those of ``scarce.toml`` and of the command line.

    Args:
        seed: of everything random.
        project: folder of the project; ``<name>-scarce`` beside the working directory if None.
        label, group, split, time, text: names of the manifest's columns, where they are not found by themselves.
        ratios: train, val, test.
        hold_out: ``column=value``: that condition becomes the test set.
        test: a folder or manifest with a separate test set, or ``cv`` for pooled outer folds.
        metric: balanced_accuracy, macro_f1, rare_average_precision or recall_at_fpr.
        false_positive_rate: wanted false-alarm rate of the operating point.
        encoder: name of an encoder plugin, or ``timm:resnet18`` for a network of timm; ``auto`` by default.
        size: pixels, chosen from the images if None.
        trainer: ``auto`` or the name of a trainer.
        policy: augmentation preset; guessed from the data if None.
        normal: names of the sound classes, where their names do not say so.
        minutes: time budget of the whole run.
        folds, repeats: of the ledger; repeats None = as many as the time allows, 2 to 5.
        workers: threads; None = all cores.
        confirm: judge what was kept once more on the final network, three paired seeds.
    """

    seed: int = 0
    project: str | Path | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    time: str | None = None
    text: str | None = None
    ratios: tuple[float, float, float] = (0.7, 0.1, 0.2)
    hold_out: str | None = None
    test: str | Path | None = None
    metric: str = "balanced_accuracy"
    false_positive_rate: float = 0.01
    encoder: str = "auto"
    size: int | None = None
    trainer: str = "auto"
    policy: str | None = None
    normal: tuple[str, ...] | None = None
    minutes: float = 30.0
    folds: int = 5
    repeats: int | None = None
    workers: int | None = None
    confirm: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """Build from keyword arguments.

        Raises:
            ConfigError: an unknown option, or a value out of range.
            UnknownNameError: no such metric, trainer, encoder or augmentation preset.
        """
        from scarce.encode._name import canonical as canonical_encoder

        known = [item.name for item in fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError("run", f"unknown option {name!r}", closest(name, known))
        out = cls(**values)
        for name, known_names in _choices().items():
            wanted = getattr(out, name)
            if wanted is not None:
                chosen = registry.canonical(wanted)
                if chosen not in known_names:
                    raise unknown_name("run", name, wanted, known_names)
                changes: dict[str, Any] = {name: chosen}
                out = replace(out, **changes)
        out = replace(out, encoder=canonical_encoder(out.encoder))
        if not out.minutes > 0:
            raise ConfigError("run", f"minutes = {out.minutes}", do="give a positive number of minutes")
        if not 2 <= out.folds <= 20:
            raise ConfigError("run", f"folds = {out.folds}", do="use 2 to 20")
        if out.repeats is not None and not 1 <= out.repeats <= 100:
            raise ConfigError("run", f"repeats = {out.repeats}", do="use 1 to 100, or leave it out")
        if not 0 < out.false_positive_rate < 1:
            raise ConfigError(
                "run", f"false_positive_rate = {out.false_positive_rate}", do="use a share between 0 and 1"
            )
        return out

    def refuse_trainer(self, modality: str) -> None:
        """Refuse a trainer that does not take this kind of data.

        Raises:
            ConfigError: the trainer that was asked for does not suit the data.
        """
        from scarce.train import refuse_unsuited

        if self.trainer != "auto":
            refuse_unsuited(self.trainer, modality)


@dataclass
class Clock:
    """The time budget: what each step took, and what is left."""

    minutes: float
    begun: float = field(default_factory=time.perf_counter)
    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step."""
        start = time.perf_counter()
        progress.report(name, 0, None)
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds left of the budget, at least 0."""
        return max(0.0, 60 * self.minutes - self.seconds)


def _choices() -> dict[str, tuple[str, ...]]:
    from scarce.augment._preset import PRESETS
    from scarce.augment._preset_other import OTHER_PRESETS
    from scarce.metric.choice import METRICS

    return {
        "metric": METRICS,
        "trainer": ("auto", *registry.names("train")),
        "policy": (*PRESETS, *OTHER_PRESETS),
    }


def from_config(config: Any) -> dict[str, Any]:
    """Return the options that a project's ``scarce.toml`` sets; what is empty or 0 there is left to the run."""
    found = {
        **{name: getattr(config.io, name) for name in ("label", "group", "split", "time", "text")},
        "ratios": tuple(config.split.ratios),
        "hold_out": config.split.hold_out,
        "metric": config.project.metric,
        "normal": tuple(config.project.normal_classes),
        "false_positive_rate": config.evaluate.false_positive_rate,
        "encoder": config.encode.encoder,
        "size": config.encode.size,
        "trainer": config.train.trainer,
        "policy": "" if config.augment.policy == "auto" else config.augment.policy,
        "minutes": config.run.minutes,
        "folds": config.ledger.folds,
        "repeats": config.ledger.repeats,
        "workers": config.run.workers,
    }
    return {name: value for name, value in found.items() if value}
