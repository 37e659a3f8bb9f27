"""The training loop of detectors: crops, mirrors or a policy, cosine schedule, moving average, resume."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from scarce import progress
from scarce.dataset import Array
from scarce.errors import TrainError
from scarce.train._boxes import Drawn
from scarce.train._checkpoint import Checkpoint

WHO: Final = "train.detector"
RISE: Final = 0.05
"""Share of the training in which the learning rate rises."""
LEFT: Final = 0.4
"""Share of a box's area that must remain in a crop, or the box is left out."""
LOOKS: Final = 8
"""At held-back pictures, spread over the training."""
KEPT: Final = ("epoch", "step", "seconds", "looks", "idle", "score", "best_epoch")
"""What a checkpoint says of a course, beside its history and weights."""
Pair = tuple[Array, Drawn]


class Network(Protocol):
    """What is trained; a torch module."""

    @property
    def body(self) -> Any:
        """The part that may have been trained before."""

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]], loss: nn.Module) -> dict[str, Tensor]:
        """Return the parts of the loss; ``loss`` judges the classes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a detector is trained.

    Args:
        epochs: passes over the pictures.
        batch: pictures a step.
        learning_rate: at its highest; of a pretrained body a tenth of it.
        weight_decay: of AdamW.
        ema: decay of the moving average of the weights; 0 = off.
        seconds: time budget; None = none.
        pretrained: the body was trained before.
        patience: looks without a better score before training stops.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    ema: float
    seconds: float | None
    pretrained: bool
    patience: int = LOOKS


@dataclass(frozen=True)
class Pictures:
    """What is learnt.

    Args:
        n: pictures.
        open: gives a picture (H, W, 3) uint8 at the network's scale, with its boxes.
        change: an augmentation: picture, boxes, its number, the epoch and a generator.
    """

    n: int
    open: Callable[[int], Pair]
    change: Callable[[Pair, int, int, np.random.Generator], Pair]


@dataclass(eq=False)
class Course:
    """A training under way; ``steps`` are those of one epoch, ``score`` is that of the ``best`` weights so far."""

    net: Any
    average: Any
    optimizer: torch.optim.Optimizer
    steps: int
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    looks: int = 0
    idle: int = 0
    score: float = -1.0
    best_epoch: int | None = None
    best: dict[str, Tensor] = field(default_factory=dict)


def run(  # noqa: PLR0913  one knob each
    net: Any, pictures: Pictures, plan: Plan, loss: Any, *, seed: int, device: str,
    checkpoint: Checkpoint | None, follow: Callable[[Sequence[Any]], None] | None,
    look: Callable[[Any], float] | None = None,
) -> Course:  # fmt: skip
    """Train; ``average`` of what is returned holds the weights to use.

    Args:
        net: a :class:`Network`.
        pictures: what is learnt.
        plan: how.
        loss: of the classes.
        seed: of everything random.
        device: of torch.
        checkpoint: where training is saved, and resumed from.
        follow: is told the history after each epoch.
        look: gives the score of a network on held-back pictures, higher = better; with it the best weights are used.

    Raises:
        TrainError: the loss is no longer finite.
    """
    net = net.to(device)
    course = Course(net, copy.deepcopy(net).requires_grad_(False).eval(), _optimizer(net, plan),
                    max(1, math.ceil(pictures.n / plan.batch)))  # fmt: skip
    loss.to(device)
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        _resume(course, *saved)
    while _done(course, plan, 0.0) < 1 and course.idle < plan.patience:
        started = time.perf_counter()
        torch.manual_seed(int(np.random.default_rng([seed, 0x626F78, course.epoch]).integers(2**62)))
        _epoch(course, pictures, plan, loss, (np.random.default_rng([seed, 0x64, course.epoch]), device))
        course.epoch += 1
        if look and _done(course, plan, time.perf_counter() - started) * LOOKS >= course.looks + 1 - 1e-9:
            _look(course, look)
        course.seconds += time.perf_counter() - started
        if follow:
            follow(course.history)
        if checkpoint:
            checkpoint.save(*_state(course))
        progress.report("train", course.epoch, plan.epochs)
    if course.best:
        course.average.load_state_dict(course.best)
    return course


def _look(course: Course, look: Callable[[Any], float]) -> None:
    """Keep the weights where they are the best so far."""
    score = look(course.average)
    course.looks += 1
    course.history[-1]["held_out"] = score
    if score > course.score:
        course.score, course.best_epoch, course.idle = score, course.epoch, 0
        course.best = {name: value.clone() for name, value in course.average.state_dict().items()}
    elif course.score > 0:  # before that it has found nothing yet
        course.idle += 1


def _done(course: Course, plan: Plan, running: float) -> float:
    by_steps = 1.0 if course.epoch >= plan.epochs else course.step / (plan.epochs * course.steps)
    return max(by_steps, 0.0 if plan.seconds is None else (course.seconds + running) / plan.seconds)


def _epoch(course: Course, pictures: Pictures, plan: Plan, loss: Any, state: tuple[np.random.Generator, str]) -> None:
    rng, device = state
    started = time.perf_counter()
    order = rng.permutation(pictures.n)
    parts: list[dict[str, float]] = []
    course.net.train()
    for step in range(course.steps):
        now = _done(course, plan, time.perf_counter() - started)
        if now >= 1:
            break
        pairs = [
            pictures.change(pictures.open(int(row)), int(row), course.epoch, rng)
            for row in order[step * plan.batch : (step + 1) * plan.batch]
        ]
        curve = (
            min(1.0, (now + 1e-3) / RISE) if now < RISE else 0.5 * (1 + math.cos(math.pi * (now - RISE) / (1 - RISE)))
        )
        for group in course.optimizer.param_groups:
            group["lr"] = plan.learning_rate * group["share"] * max(curve, 1e-3)
        loss.at(now)
        found = course.net.losses(
            [tensor(image, device) for image, _ in pairs], [_target(b, device) for _, b in pairs], loss
        )
        total = torch.stack(list(found.values())).sum()
        if not bool(torch.isfinite(total)):
            raise TrainError(WHO, f"the loss is {total.item()} in epoch {course.epoch + 1}",
                             f"learning rate {plan.learning_rate:g}", "lower learning_rate")  # fmt: skip
        course.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(course.net.parameters(), 5.0)
        course.optimizer.step()
        course.step += 1
        _average(course, plan.ema)
        parts.append({"loss": float(total.detach()), **{name: float(value.detach()) for name, value in found.items()}})
    mean = {name: float(np.mean([part[name] for part in parts])) for name in (parts[0] if parts else {})}
    course.history.append({"epoch": course.epoch + 1, **mean})


def tensor(image: Array, device: str) -> Tensor:
    """Return a picture (H, W, 3) uint8 as (3, H, W) between 0 and 1."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(device).float() / 255


def _target(boxes: Drawn, device: str) -> dict[str, Tensor]:
    return {
        "boxes": torch.from_numpy(boxes.corners.astype(np.float32)).to(device),
        "labels": torch.from_numpy(boxes.codes).to(device),
    }


def crop(pair: Pair, side: int, rng: np.random.Generator) -> Pair:
    """Return a square part of a picture and the boxes of which enough is left.

    Three of four parts hold a box, where there is one: most of a picture is background.
    """
    image, boxes = pair
    height, width = image.shape[:2]
    room = np.maximum([width - side, height - side], 0)
    at = rng.random(2) * (room + 1)
    if len(boxes) and rng.random() < 0.75:
        box = boxes.corners[int(rng.integers(len(boxes)))]
        at = (box[:2] + box[2:]) / 2 - side * (0.15 + 0.7 * rng.random(2))
    left, top = at.clip(0, room).astype(int).tolist()
    part = image[top : top + side, left : left + side]
    moved = Drawn(boxes.corners - [left, top, left, top], boxes.codes, boxes.scores, boxes.crowd)
    return part, remaining(moved, part.shape[1], part.shape[0])


def remaining(boxes: Drawn, width: int, height: int) -> Drawn:
    """Return the boxes of which enough lies in a picture, cut to it."""
    cut = boxes.corners.clip(0, [width, height, width, height])
    whole = np.prod(boxes.corners[:, 2:] - boxes.corners[:, :2], axis=1)
    left = np.prod(cut[:, 2:] - cut[:, :2], axis=1)
    return boxes.only((left > 0) & (left >= LEFT * whole)).inside(width, height)


def mirrored(pair: Pair, rng: np.random.Generator) -> Pair:
    """Return a picture and its boxes, left and right changed with probability one half."""
    image, boxes = pair
    if rng.random() < 0.5:
        return pair
    corners = boxes.corners[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [image.shape[1], 0, image.shape[1], 0]
    return image[:, ::-1], Drawn(corners, boxes.codes, boxes.scores, boxes.crowd)


def _optimizer(net: Any, plan: Plan) -> torch.optim.Optimizer:
    own = {id(value) for value in net.body.parameters()}
    body = [value for value in net.parameters() if id(value) in own and value.requires_grad]
    rest = [value for value in net.parameters() if id(value) not in own]
    groups: list[dict[str, Any]] = [{"params": body, "share": 0.1 if plan.pretrained else 1.0}]
    groups.append({"params": rest, "share": 1.0})
    return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _average(course: Course, decay: float) -> None:
    weight = 1 - min(decay, (1 + course.step) / (10 + course.step)) if decay else 1.0
    with torch.no_grad():
        for old, new in zip(course.average.state_dict().values(), course.net.state_dict().values(), strict=True):
            if old.dtype.is_floating_point:
                old.lerp_(new, weight)
            else:
                old.copy_(new)


def _state(course: Course) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {f"net.{name}": value for name, value in course.net.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in course.average.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in course.best.items()}
    for number, entry in course.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in entry.items()}
    return tensors, {"history": course.history, **{name: getattr(course, name) for name in KEPT}}


def _resume(course: Course, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    for prefix, part in (("net.", course.net), ("average.", course.average)):
        part.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    held: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            held.setdefault(int(number), {})[key] = value
    body = course.optimizer.state_dict()
    course.optimizer.load_state_dict({**body, "state": held})
    course.best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
    for name in (*KEPT, "history"):
        setattr(course, name, state[name])
