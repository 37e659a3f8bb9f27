"""Which trainer a user means: by its own name, by that of a network, or none for the one that suits the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scarce import registry
from scarce.errors import ConfigError, UnknownNameError, unknown_name
from scarce.extras import available


def trainer_of(model: str, modality: str) -> tuple[str, dict[str, Any]]:
    """Return the trainer and its settings for what ``--model`` says.

    Args:
        model: a trainer (``linear-probe``), a network of ours or of timm (``resnet18``), for texts the name or the
            folder of a language model, for pictures those of an RT-DETR.
        modality: the kind of data.

    Raises:
        UnknownNameError: neither; the message names the closest of both.
        ConfigError: it does not take this kind of data.
    """
    name = registry.canonical(model)
    if name in registry.names("train"):
        refuse_unsuited(name, modality)
        return name, {}
    if modality == "text":
        return "transformer", {"checkpoint": model}
    if modality != "image":
        raise unknown_name("train", "model", model, suited(modality))
    if _is_checkpoint(model):
        return "rt_detr", {"network": model}
    from scarce.train import _network as networks

    try:
        return "finetune", {"network": networks.resolve(model, networks.SMALL)}
    except UnknownNameError as error:
        raise unknown_name("train", "model", model, [*suited(modality), *networks.names()]) from error


def draws_boxes(model: str, modality: str | None = None) -> bool:
    """Return whether ``--model`` names a trainer of boxes; those see pixels only, and give pictures no class.

    Args:
        model: what was asked for.
        modality: the kind of data; None = ``model`` is the name of a trainer.
    """
    from scarce.train._base import AbstractTrainer

    if modality == "image" and _is_checkpoint(model):
        return True
    name = registry.canonical(model)
    return name in registry.names("train") and registry.load("train", name, AbstractTrainer).task == "boxes"  # type: ignore[type-abstract]


def _is_checkpoint(model: str) -> bool:
    return "/" in model or (Path(model) / "config.json").is_file()


def suited(modality: str) -> tuple[str, ...]:
    """Return the names of the trainers that take a kind of data."""
    return tuple(name for name in registry.names("train") if _takes(name, modality))


def refuse_unsuited(trainer: str, modality: str) -> None:
    """Refuse a trainer that does not take this kind of data.

    Raises:
        ConfigError: the message names those that do.
    """
    if not _takes(trainer, modality):
        raise ConfigError(
            "train", f"the trainer {trainer} does not take {modality}", f"{modality}: {', '.join(suited(modality))}",
            f"take --trainer {suited(modality)[0]}, or leave it out",
        )  # fmt: skip


def _takes(trainer: str, modality: str) -> bool:
    from scarce.train._base import AbstractTrainer

    kind = registry.load("train", trainer, AbstractTrainer)  # type: ignore[type-abstract]
    return not kind.modalities or modality in kind.modalities


def usual(modality: str, *, small: bool) -> str:
    """Return the trainer for a kind of data when none was asked for.

    Args:
        modality: the kind of data.
        small: pictures of a few dozen pixels, which the usual encoders see badly.
    """
    if modality == "image":
        return "blend" if small and available("torch") else "linear_probe"
    return {"tabular": "gradient_boosting", "time_series": "minirocket"}.get(modality, "linear_probe")
