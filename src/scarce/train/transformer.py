"""Fine-tuning of a language model on texts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import TrainError
from scarce.extras import need
from scarce.hub import fetching
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._folds import absent, far_below
from scarce.train._learn import Work, as_tensor, course_card, unchanged
from scarce.train._named_loss import LossName
from scarce.train.model import Model, base_card

WHO = "train.transformer"
TOKENIZER: Final = "tokenizer.json"


@final
@dataclass(frozen=True, kw_only=True)
class Transformer(AbstractTrainer):
    """Fine-tune a language model on texts: any checkpoint of the hub by its name, or a folder.

    Use where meaning and word order decide and an accelerator or some patience is at hand. Do not use for the first
    look: take tfidf_linear.

    Needs: texts. Soft labels and ``weight`` are used where present.
    Writes: a model that holds the weights and the tokenizer. Rows of split ``val`` on the training side, or else
    ``validation`` of its groups, are held back for early stopping, the temperature and the threshold. Training goes on
    after an interruption.
    Source: Devlin et al. 2019, section 3.2.

    Args:
        checkpoint: name on the hub or folder of a checkpoint with a fast tokenizer.
        longest: tokens of a text that are read.
        epochs: passes over the training data.
        minutes: time budget; None = none.
        batch: texts a step; ``accumulate``: parts that they pass through the network in, where memory is short.
        learning_rate: of AdamW.
        weight_decay: >= 0.
        loss: a name or a specification; ``tau``: strength of balanced softmax.
        sampling: see finetune.
        label_smoothing: in [0, 1).
        ema: decay of the weights' moving average per step; 0 = off.
        validation: share that is held back where no row has split ``val``.
        patience: epochs without a better score before the second half of the schedule is cut short.
        device: auto, cpu, cuda, cuda:1, mps.
    """

    extra: ClassVar[str | None] = "text"
    modalities: ClassVar[tuple[str, ...]] = ("text",)

    checkpoint: str = "distilbert-base-multilingual-cased"
    longest: int = 128
    epochs: int = 4
    minutes: float | None = None
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    loss: LossSpec | LossName = "balanced_softmax"
    tau: float = 1.0
    sampling: float = 0.5
    label_smoothing: float = 0.0
    ema: float = 0.0
    validation: float = 0.1
    patience: int = 3
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "longest": (2, 65536), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "batch": (1, 65536),
            "accumulate": (1, 65536), "learning_rate": (1e-9, 100.0), "weight_decay": (0.0, 10.0), "tau": (0.0, 10.0),
            "sampling": (0.0, 1.0), "label_smoothing": (0.0, 0.999), "ema": (0.0, 0.99999), "validation": (0.0, 0.5),
            "patience": (1, 100_000),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Train on the training side of the fold."""
        need("torch", extra="train")
        from scarce.train import _device, _loop

        started, train = time.perf_counter(), view.train
        device = _device.choose_device(self.device)
        work = Work.of(WHO, train, setup or Setup(), validation=self.validation, seed=seed)
        work = work.with_loss(self.loss, tau=self.tau, sampling=self.sampling)
        card = base_card(view, "transformer", self.params(), seed=seed)
        with _device.reproducible(seed, device):
            net, reader = opened(self.checkpoint, len(card["classes"]), longest=self.longest)
            task = work.task(
                train, lambda ds, rows: reader(_texts(ds, rows)), unchanged, smoothing=self.label_smoothing
            )
            plan = _loop.Schedule(
                epochs=self.epochs, batch=min(self.batch, len(work.used.rows)), learning_rate=self.learning_rate,
                weight_decay=self.weight_decay, optimizer="adamw", ema=self.ema, patience=self.patience,
                accumulate=self.accumulate, rise=0.1,
                seconds=None if self.minutes is None else max(1.0, 60 * self.minutes - time.perf_counter() + started),
            )  # fmt: skip
            keep = work.checkpoint(train, self.params(), card, None)
            course = _loop.run(
                net, replace(task, follow=work.follow(card)), plan, seed=seed, device=device, checkpoint=keep
            )
        card |= {
            "config": net.config, "longest": reader.longest, "padding": reader.padding, "device": device,
            "absent_classes": absent(card["classes"], work.used), **course_card(course, plan, work, task, view.train),
        }  # fmt: skip
        model = TextModel(card=card, net=course.average, reader=reader)
        return work.judged(model, model.logits_of, task, view)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild network and tokenizer; nothing is fetched."""
        torch = need("torch", extra="train")
        transformers = need("transformers", extra="text")
        config = transformers.AutoConfig.for_model(**card["config"])
        net = _wrapped(transformers.AutoModelForSequenceClassification.from_config(config), int(card["padding"]))
        weights = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items() if name != TOKENIZER}
        net.load_state_dict(weights)
        reader = Reader(np.asarray(tensors[TOKENIZER]).tobytes(), int(card["longest"]), int(card["padding"]))
        return TextModel(card={**card, "device": "cpu"}, net=net.requires_grad_(False).eval(), reader=reader)


@dataclass(frozen=True)
class Reader:
    """From texts to numbers of tokens.

    Attributes:
        rules: the tokenizer as JSON.
        longest: tokens at most.
        padding: the token that fills short texts up.
    """

    rules: bytes
    longest: int
    padding: int

    def __call__(self, texts: list[str]) -> Array:
        """Return (n, longest) int32 tokens."""
        from tokenizers import Tokenizer

        words = Tokenizer.from_str(self.rules.decode("utf-8"))
        words.enable_truncation(self.longest)
        words.no_padding()
        out = np.full((len(texts), self.longest), self.padding, np.int32)
        for row, found in enumerate(words.encode_batch(texts)):
            out[row, : len(found.ids)] = found.ids
        return out


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TextModel(Model):
    """A language model with a head."""

    net: Any
    reader: Reader

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); set-aside rows are NaN."""
        out = np.full((len(ds), len(self.classes)), np.nan)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        for start in range(0, len(rows), 512):
            block = rows[start : start + 512]
            out[block] = self.logits_of(self.reader(_texts(ds, block)))
        return out

    def logits_of(self, tokens: Array) -> Floats:
        """Return (n, K) logits of (n, L) tokens."""
        from scarce.train._loop import infer

        logits = infer(self.net, tokens, as_tensor, device=str(self.card["device"]))
        return far_below(logits, self.absent_codes)

    def tensors(self) -> dict[str, Array]:
        """Return the weights, and the tokenizer's rules as bytes."""
        weights = {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}
        return weights | {TOKENIZER: np.frombuffer(self.reader.rules, np.uint8)}


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library from reporting that the head is new, which it always is."""
    logs = transformers.utils.logging
    before = logs.get_verbosity()
    logs.set_verbosity_error()
    try:
        yield
    finally:
        logs.set_verbosity(before)


def opened(checkpoint: str, n_classes: int, *, longest: int) -> tuple[Any, Reader]:
    """Return a checkpoint with a fresh head, and its tokenizer.

    Raises:
        TrainError: there is no such checkpoint, it cannot be fetched, it is broken, or its tokenizer is of an old kind.
    """
    transformers = need("transformers", extra="text")
    try:
        with fetching(checkpoint), _quiet(transformers):
            words = transformers.AutoTokenizer.from_pretrained(checkpoint)
            body = transformers.AutoModelForSequenceClassification.from_pretrained(
                checkpoint, num_labels=n_classes, ignore_mismatched_sizes=True
            )
    except Exception as error:  # the library raises OSError, ValueError, KeyError, SafetensorError ... for one reason
        offline = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise TrainError(
            WHO, f"the checkpoint {checkpoint!r} cannot be opened ({str(error).strip().splitlines()[0][:160]})",
            offline, "give the name of a model of the hub, or a folder with its config, weights and tokenizer",
        ) from error  # fmt: skip
    if not getattr(words, "is_fast", False):
        raise TrainError(WHO, f"{checkpoint} has no fast tokenizer", "there is no tokenizer.json",
                         "take a checkpoint that has one")  # fmt: skip
    padding = words.pad_token_id if words.pad_token_id is not None else (words.eos_token_id or 0)
    body.config.pad_token_id = padding
    most = min(longest, max(2, int(getattr(body.config, "max_position_embeddings", 1_000_000)) - 2))
    return _wrapped(body, padding), Reader(words.backend_tokenizer.to_str().encode("utf-8"), most, padding)


def _wrapped(body: Any, padding: int) -> Any:
    """Return a module that takes tokens and gives logits."""
    from torch import nn

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        @property
        def config(self) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(self.body.config.to_json_string(use_diff=False))
            return found

        def forward(self, tokens: Any) -> Any:
            mask = tokens != padding
            mask[:, 0] = True
            used = max(1, int(mask.sum(1).max()))
            return self.body(input_ids=tokens[:, :used], attention_mask=mask[:, :used].long()).logits

    return Logits()


def _texts(ds: Dataset, rows: Ints) -> list[str]:
    return [str(text) for text in open_samples(ds, rows)]
