"""The training loop of networks: one-cycle schedule, moving average of the weights, early stopping on real data."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from scarce import progress
from scarce.dataset import Array, Floats, Ints
from scarce.errors import TrainError
from scarce.train._checkpoint import Checkpoint
from scarce.train._device import mixed, seed_of
from scarce.train._online import mix
from scarce.train._team import Team, is_main, team_of
from scarce.train._tracking import Follow
from scarce.train.loss._base import ImbalanceLoss

WHO = "train.finetune"
Change: TypeAlias = Callable[[Array, Floats, Array, int, np.random.Generator], tuple[Array, Floats]]
BLOCK = 512
SURE = 0.99
"""Training labels from this on are sure enough to judge by."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast.

    Args:
        epochs: at most.
        batch: samples in a step.
        learning_rate: highest; linear rise over ``rise`` of the training, then a half cosine to 0.
        weight_decay: on weights, not on biases and norms.
        optimizer: ``adamw`` or ``sgd`` (Nesterov momentum .9).
        ema: decay of the moving average of the weights per step; 0 = off.
        mixup, cutmix: Beta parameters; 0 = off.
        patience: epochs without a better validation score that end the second half early.
        accumulate: parts that the samples of a step pass through the network in, to save memory; the step stays the
            same but for batch norm, which sees one part.
        unlabelled: weight of the loss on unlabelled samples, reached after ``rise`` of the training; 0 = off.
        confidence: probability from which the averaged network's answer counts as a label.
        seconds: time budget; the schedule then also follows the clock and ends on time. None = none.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    optimizer: str
    ema: float
    mixup: float = 0.0
    cutmix: float = 0.0
    rise: float = 0.2
    patience: int = 10
    accumulate: int = 1
    unlabelled: float = 0.0
    confidence: float = 0.95
    seconds: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What is learnt.

    Attributes:
        samples: (U, ...) content, for example (U, S, S, C) uint8 pictures; ``place`` (n,) is each training row's.
        ids: (n,) of the training rows.
        soft, weights: (n, K) targets and (n,) weights.
        change: (samples, targets, ids, epoch, generator) -> (samples, targets), the online augmentation.
        held, held_labels: validation samples and codes; may be empty.
        batch: (samples, device) -> tensor, what the network takes.
        loss: module of (logits, target, weight).
        draw: (n,) probabilities that an epoch's rows are drawn with, with repeats; None = each row once.
        pool: (P, ...) unlabelled samples; ``weak`` and ``strong`` (samples, generator) -> samples change them.
        follow: called with the history after every epoch.
        watch: called with the course and the task before the first epoch and after every one; it changes nothing.
    """

    samples: Array
    place: Ints
    ids: Array
    soft: Floats
    weights: Floats
    change: Change
    held: Array
    held_labels: Ints
    batch: Callable[[Array, Any], Tensor]
    loss: ImbalanceLoss
    draw: Floats | None = None
    pool: Array | None = None
    weak: Callable[[Array, np.random.Generator], Array] | None = None
    strong: Callable[[Array, np.random.Generator], Array] | None = None
    follow: Follow | None = None
    watch: Callable[[Any, Any], None] | None = None


@dataclass
class Course:
    """Where training stands."""

    net: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    team: Team = field(default_factory=Team)
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    done: bool = False
    best_epoch: int = 0
    best: float = -math.inf
    best_error: float = 0.0
    best_state: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def run(net: nn.Module, task: Task, plan: Schedule, *, seed: int, device: str, checkpoint: Checkpoint | None) -> Course:
    """Train and return the course; ``average`` holds the weights to use.

    The last epoch is kept unless an earlier one was better on validation by more than one standard error: a handful of
    rare validation samples must not choose by chance.

    Raises:
        TrainError: the loss is no longer finite.
    """
    net = net.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(net).requires_grad_(False).eval()
    course = Course(net, average, _optimizer(net, plan), team_of(device, plan.batch))
    task.loss.to(device)
    saved = checkpoint.load() if checkpoint else None
    if saved is not None:
        _resume(course, *saved)
    if task.watch:
        task.watch(course, task)
    while not course.done:
        started = time.perf_counter()
        torch.manual_seed(seed_of(seed, course.epoch) + course.team.place)
        _epoch(course, task, plan, np.random.default_rng([seed, 0x747261, course.epoch]), device)
        course.epoch += 1
        _validate(course, task, device)
        course.seconds += time.perf_counter() - started
        stale = course.epoch - course.best_epoch >= plan.patience and len(task.held_labels) > 0
        progressed = _progress(course, task, plan, 0.0)
        course.done = progressed >= 1 or course.epoch >= plan.epochs or (progressed >= 0.5 and stale)
        if task.follow and is_main():
            task.follow(course.history)
        if task.watch:
            task.watch(course, task)
        if checkpoint and is_main():
            checkpoint.save(*_state(course))
        expected = min(plan.epochs, max(course.epoch, round(course.epoch / max(progressed, 1e-9))))
        progress.report("train", expected if course.done else course.epoch, expected)
    last = course.history[-1].get("balanced_accuracy", math.nan)
    if course.best_state and course.best > last + course.best_error:
        course.average.load_state_dict(course.best_state)
    return course


def _epoch(course: Course, task: Task, plan: Schedule, rng: np.random.Generator, device: str) -> None:
    n = len(task.place)
    order = rng.permutation(n) if task.draw is None else rng.choice(n, n, p=task.draw)
    steps = _steps(task, plan)
    started = time.perf_counter()
    losses: list[Tensor] = []
    agreed: list[float] = []
    course.net.train()
    for step in range(steps):
        now = _progress(course, task, plan, time.perf_counter() - started)
        if now >= 1:
            break
        rows = order[step * plan.batch : (step + 1) * plan.batch]
        samples, soft = task.change(task.samples[task.place[rows]], task.soft[rows], task.ids[rows], course.epoch, rng)
        batch = task.batch(samples, device)
        target = torch.from_numpy(soft).to(device)
        weight = torch.from_numpy(task.weights[rows].astype(np.float32)).to(device)
        batch, target = mix(batch, target, rng, mixup=plan.mixup, cutmix=plan.cutmix)
        for group in course.optimizer.param_groups:
            group["lr"] = plan.learning_rate * _curve(now, plan.rise)
        course.optimizer.zero_grad(set_to_none=True)
        task.loss.at(now)
        loss = _backward(course, task, (batch, target, weight), plan.accumulate)
        if plan.unlabelled and task.pool is not None:
            agreed.append(_consistency(course, task, plan, plan.unlabelled * min(1.0, now / plan.rise), (rng, device)))
        course.team.learn(course.net, loss)
        if not bool(torch.isfinite(loss)):
            raise TrainError(WHO, f"the loss is {loss.item()} in epoch {course.epoch + 1}",
                             f"learning rate {plan.learning_rate:g}, batch {plan.batch}",
                             "lower learning_rate, or look for weights or pixels that are not finite")  # fmt: skip
        nn.utils.clip_grad_norm_(course.net.parameters(), 1.0 if plan.optimizer == "adamw" else 5.0)
        course.optimizer.step()
        course.step += 1
        _follow(course, plan.ema)
        losses.append(loss)
    mean = float(torch.stack(losses).mean()) if losses else math.nan
    course.history.append({"epoch": course.epoch + 1, "loss": mean})
    if agreed:
        course.history[-1]["pseudo_labelled"] = course.team.mean(float(np.mean(agreed)))


def _backward(course: Course, task: Task, batch: tuple[Tensor, Tensor, Tensor], parts: int) -> Tensor:
    """Add the slopes of a batch, part by part, and return its loss."""
    images, target, weight = batch
    whole, total = weight.sum().clamp_min(1e-12), torch.zeros((), device=images.device)
    own = course.team.share(len(images))
    size = math.ceil((own.stop - own.start) / parts)
    for part in (slice(start, min(start + size, own.stop)) for start in range(own.start, own.stop, size)):
        with mixed(images.device.type):
            logits = course.net(images[part])
        loss = task.loss(logits, target[part], weight[part]) * (weight[part].sum() / whole)
        loss.backward()
        total = total + loss.detach()
    return total


def _consistency(
    course: Course, task: Task, plan: Schedule, factor: float, state: tuple[np.random.Generator, str]
) -> float:
    """Add the slopes of one batch of unlabelled samples, and return the share that counted.

    The averaged network answers for a weakly changed sample; where it is sure, the network must say the same of a
    strongly changed one.

    Source: Sohn et al. 2020 (FixMatch), with the averaged weights of Tarvainen and Valpola 2017 as the teacher.
    """
    rng, device = state
    assert task.pool is not None
    assert task.weak is not None
    assert task.strong is not None
    samples = task.pool[rng.integers(len(task.pool), size=plan.batch)]
    own = course.team.share(len(samples))
    weak, strong = task.weak(samples, rng)[own], task.strong(samples, rng)[own]
    with torch.no_grad(), mixed(device):
        sure, label = course.average(task.batch(weak, device)).float().softmax(1).max(1)
    counted = sure >= plan.confidence
    if not bool(counted.any()):
        return 0.0
    with mixed(device):
        logits = course.net(task.batch(strong, device)[counted])
    cost = nn.functional.cross_entropy(logits.float(), label[counted], reduction="sum")
    torch.autograd.backward(factor * cost / len(samples))
    return float(counted.float().mean())


def _steps(task: Task, plan: Schedule) -> int:
    """Return steps an epoch; a last batch of fewer samples than half a batch is left to the next epoch's shuffle."""
    return max(1, round(len(task.place) / plan.batch))


def _progress(course: Course, task: Task, plan: Schedule, running: float) -> float:
    by_step = course.step / (plan.epochs * _steps(task, plan))
    if plan.seconds is None:
        return by_step
    return course.team.agreed(max(by_step, (course.seconds + running) / plan.seconds))


def _curve(now: float, rise: float) -> float:
    if now < rise:
        return 0.02 + 0.98 * now / rise
    return 0.5 * (1 + math.cos(math.pi * (now - rise) / (1 - rise)))


def _follow(course: Course, decay: float) -> None:
    decay = min(decay, (1 + course.step) / (10 + course.step))
    with torch.no_grad():
        theirs = course.net.state_dict()
        pairs = [(own, theirs[name]) for name, own in course.average.state_dict().items()]
        moving = [(own, new) for own, new in pairs if own.dtype.is_floating_point]
        torch._foreach_lerp_([own for own, _ in moving], [new for _, new in moving], 1 - decay)
        for own, new in pairs:
            if not own.dtype.is_floating_point:
                own.copy_(new)


def _validate(course: Course, task: Task, device: str) -> None:
    if not len(task.held_labels):
        return
    pred = infer(course.average, task.held, task.batch, device=device).argmax(1)
    score, error = _balanced(task.held_labels, pred)
    course.history[-1]["balanced_accuracy"] = score
    rows = _beside(task)
    if len(rows):
        own = infer(course.average, task.samples[task.place[rows]], task.batch, device=device).argmax(1)
        course.history[-1]["training_balanced_accuracy"] = _balanced(task.soft[rows].argmax(1), own)[0]
    if score > course.best:
        course.best, course.best_error, course.best_epoch = score, error, course.epoch
        course.best_state = {name: value.clone() for name, value in course.average.state_dict().items()}


def _balanced(labels: Ints, pred: Ints) -> tuple[float, float]:
    """Return the mean recall of the classes that are there, and its standard error."""
    classes = np.unique(labels)
    recall = np.array([(pred[labels == code] == code).mean() for code in classes])
    counts = np.array([(labels == code).sum() for code in classes])
    safe = (recall * counts + 1) / (counts + 2)
    return float(recall.mean()), float(np.sqrt((safe * (1 - safe) / counts).sum()) / len(classes))


def _beside(task: Task) -> Ints:
    """Return training rows of sure labels, of each class as many as are held back, to show the gap between the two."""
    labels = np.where(task.soft.max(1) > SURE, task.soft.argmax(1), -1)
    found = [np.zeros(0, np.int64)]
    for code, count in zip(*np.unique(task.held_labels, return_counts=True), strict=True):
        own = np.flatnonzero(labels == code)
        found.append(own[np.unique(np.linspace(0, len(own) - 1, min(count, len(own))).round().astype(np.int64))])
    return np.concatenate(found)


def infer(
    net: nn.Module, samples: Array, batch: Callable[[Array, Any], Tensor], *, device: str, mirror: bool = False
) -> Floats:
    """Return (n, K) float64 logits of (n, ...) samples, the same on every processor within rounding of float32.

    ``mirror`` averages with the mirrored picture.
    """
    if net.training:
        net.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(samples), BLOCK):
            ready = batch(samples[start : start + BLOCK], device)
            logits = net(ready).float()
            if mirror:
                logits = 0.5 * (logits + net(ready.flip(3)).float())
            parts.append(logits.double().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def _optimizer(net: nn.Module, plan: Schedule) -> torch.optim.Optimizer:
    decayed = [value for value in net.parameters() if value.requires_grad and value.ndim > 1]
    others = [value for value in net.parameters() if value.requires_grad and value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, plan.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, plan.learning_rate)


def _state(course: Course) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    for prefix, values in (("net", course.net.state_dict()), ("average", course.average.state_dict()),
                           ("best", course.best_state)):  # fmt: skip
        tensors.update({f"{prefix}.{name}": value for name, value in values.items()})
    for index, entries in course.optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entries.items()
                        if value is not None})  # fmt: skip
    names = ("epoch", "step", "seconds", "done", "best_epoch", "best", "best_error", "history")
    plain = {name: getattr(course, name) for name in names}
    plain["best"] = course.best if math.isfinite(course.best) else None
    return tensors, plain


def _resume(course: Course, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    def part(prefix: str) -> dict[str, Tensor]:
        start = f"{prefix}."
        return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}

    course.net.load_state_dict(part("net"))
    course.average.load_state_dict(part("average"))
    course.best_state = part("best")
    held: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimizer").items():
        index, _, key = name.partition(".")
        held.setdefault(int(index), {})[key] = value
    course.optimizer.load_state_dict({"state": held, "param_groups": course.optimizer.state_dict()["param_groups"]})
    for name in ("epoch", "step", "seconds", "done", "best_epoch", "best_error", "history"):
        setattr(course, name, state[name])
    course.best = -math.inf if state["best"] is None else state["best"]
