"""Sentence embeddings from a language model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, ClassVar, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode._base import AbstractEncoder
from scarce.encode._network import kept_threads, one_thread
from scarce.errors import ReadError
from scarce.extras import installed, need
from scarce.hub import fetching
from scarce.lineage import digest

_loading = Lock()


@final
@dataclass(frozen=True, kw_only=True)
class Sentence(AbstractEncoder):
    """The mean of a language model's last layer over the words of a text, at length 1.

    Use when meaning decides and a model can be had; the linear probe on it is the strong fast start for texts.
    Do not use without the internet or a folder with a model: tfidf needs neither.
    Needs: str; the extra ``text``.
    Writes: embedding.sentence (N, D) float32.
    Source: Reimers and Gurevych 2019 (Sentence-BERT), mean pooling.

    Args:
        model: name on the hub or folder of a checkpoint.
        longest: tokens of a text that are read.
    """

    extra: ClassVar[str | None] = "text"
    modalities: ClassVar[tuple[str, ...]] = ("text",)

    model: str = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    longest: int = 128

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) features of texts."""
        torch = need("torch", extra="train")
        words, body = _opened(self.model)
        longest = min(self.longest, max(2, int(getattr(body.config, "max_position_embeddings", 1_000_000)) - 2))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(batch), 32):
                texts = [str(text) or " " for text in batch[start : start + 32]]
                found = words(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
                mask = found["attention_mask"][..., None].float()
                last = body(input_ids=found["input_ids"], attention_mask=found["attention_mask"]).last_hidden_state
                parts.append(((last * mask).sum(1) / mask.sum(1).clamp_min(1.0)).float().numpy())
        out = np.concatenate(parts)
        return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9), np.float32)

    def identity(self) -> Mapping[str, str]:
        """Return the hash of the weights and the version of the library."""
        body = _opened(self.model)[1]
        first = [value.numpy().tobytes() for _, value in sorted(body.state_dict().items()) if value.ndim > 1]
        return {"weights": digest(*first), "transformers": installed("transformers")}

    def session(self) -> AbstractContextManager[None]:
        """Load the model, and give torch's threads back afterwards."""
        _opened(self.model)
        return kept_threads()

    def enter_worker(self) -> None:
        """Compute with one thread a worker."""
        one_thread()


def _opened(name: str) -> tuple[Any, Any]:
    with _loading:
        return _loaded(name)


@lru_cache(maxsize=2)
def _loaded(name: str) -> tuple[Any, Any]:
    need("torch", extra="train")
    transformers = need("transformers", extra="text")
    try:
        with fetching(name):
            words = transformers.AutoTokenizer.from_pretrained(name)
            body = transformers.AutoModel.from_pretrained(name).eval().requires_grad_(requires_grad=False)
    except Exception as error:  # the library raises OSError, ValueError, KeyError, SafetensorError ... for one reason
        offline = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        why = str(error).strip().splitlines()[0][:160]
        raise ReadError("encode.sentence", f"the model {name!r} cannot be opened ({why})", offline,
                        "give the name of a model of the hub, or a folder with its config, weights and tokenizer, "
                        "or take tfidf") from error  # fmt: skip
    return words, body
