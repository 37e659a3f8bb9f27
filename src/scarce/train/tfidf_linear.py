"""A linear head on weighted word and character n-grams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup, TrainRows, refuse_out_of_range, training_rows
from scarce.train._folds import absent, calibrated, far_below
from scarce.train._named_loss import LossName, loss_of
from scarce.train.model import Model, base_card

WHO = "train.tfidf_linear"
SLOTS: Final = 2**20
"""Places that n-grams are hashed to; only those that training texts use are kept."""
WORD: Final = r"(?u)\b\w+\b|[!?]"


@final
@dataclass(frozen=True, kw_only=True)
class TfidfLinear(AbstractTrainer):
    """A linear head on TF-IDF of words, word pairs and characters; weights are learnt from the training texts only.

    Use for texts of any language, in seconds; strong for topics and questions. Do not use where meaning and word order
    decide and a language model is at hand: fine-tune it with transformer.

    Needs: texts. Soft labels and ``weight`` are used where present.
    Writes: a model; its temperature and threshold come from out-of-fold answers of whole groups.
    Source: Salton and Buckley 1988 (TF-IDF); Weinberger et al. 2009 (hashing).

    Args:
        l2: weight decay of the mean loss.
        characters: use character n-grams of 2 to 5 inside words beside words and word pairs.
        loss: a name, or a specification.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    modalities: ClassVar[tuple[str, ...]] = ("text",)

    l2: float = 2e-5
    characters: bool = True
    loss: LossSpec | LossName = "cross_entropy"
    folds: int = 5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, {"l2": (1e-12, 1e3), "folds": (0, 100)})

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit on the training side of the fold."""
        setup = setup or Setup()
        train = view.train
        used = training_rows(train, setup, who=WHO)
        spec = loss_of(setup.loss or self.loss, used.counts)
        needed, place = np.unique(used.rows, return_inverse=True)
        counts = counted(_texts(train, needed), characters=self.characters)
        card = base_card(view, "tfidf_linear", self.params(), seed=seed) | {
            "loss": asdict(spec), "absent_classes": absent(train.schema.classes, used), **used.told(train),
        }  # fmt: skip
        model = TfidfModel(card=card, head=self._fit(counts[place], used, spec))
        where = np.full(len(train), -1)
        where[needed] = np.arange(len(needed))

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            return self._fit(counts[where[inside.rows]], inside, spec).logits(counts[where[judged]])

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def _fit(self, counts: Any, used: TrainRows, spec: LossSpec) -> Head:
        slots = np.unique(counts.indices)
        own = counts[:, slots]
        seen = np.bincount(own.indices, minlength=len(slots))
        idf = np.log((1 + own.shape[0]) / (1 + seen)) + 1
        coef, bias = softmax_regression(_weighted(own, idf), used, spec, l2=self.l2)
        return Head(slots.astype(np.int32), idf.astype(np.float32), coef, bias)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the model."""
        head = Head(**tensors)
        if head.coef.shape != (len(head.slots), len(card["classes"])):
            raise KeyError(f"weights of shape {head.coef.shape} for {len(card['classes'])} classes")
        return TfidfModel(card=dict(card), head=head)


@dataclass(frozen=True, eq=False)
class Head:
    """Weights of the n-grams that training texts hold.

    Attributes:
        slots: (V,) their places, rising; ``idf`` (V,) their weights.
        coef: (V, K); ``bias`` (K,).
    """

    slots: Array
    idf: Array
    coef: Array
    bias: Array

    def logits(self, counts: Any) -> Floats:
        """Return (N, K) of (N, SLOTS) sparse counts."""
        out = _weighted(counts[:, self.slots], self.idf) @ self.coef.astype(np.float64) + self.bias
        return far_below(np.asarray(out, np.float64), np.flatnonzero(self.bias <= -30))


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TfidfModel(Model):
    """A linear head on texts."""

    head: Head

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); set-aside rows are NaN."""
        out = np.full((len(ds), len(self.classes)), np.nan)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        if len(rows):
            texts = _texts(ds, rows)
            out[rows] = self.head.logits(counted(texts, characters=bool(self.card["params"]["characters"])))
        return out

    def tensors(self) -> dict[str, Array]:
        """Return places, weights and head."""
        return asdict(self.head)


def counted(texts: list[str], *, characters: bool) -> Any:
    """Return (N, SLOTS) sparse float32 of 1 + log(count): word n-grams in the lower half, characters above."""
    from scipy import sparse

    parts = [counter.transform(texts) for counter in _counters()[: 1 + characters]]
    out = sparse.hstack(parts, format="csr")
    out.data = (1 + np.log(out.data)).astype(np.float32)
    return out


def softmax_regression(rows: Any, used: TrainRows, spec: LossSpec, *, l2: float) -> tuple[Array, Array]:
    """Return (V, K) float32 coefficients and (K,) bias of a linear softmax on (n, V) sparse or dense rows.

    Classes without training samples have bias -30.
    """
    from scipy.optimize import minimize

    from scarce._logistic import loss_and_slope

    width, k = rows.shape[1], used.soft.shape[1]
    factor = used.weights if spec.class_weights is None else used.weights * (used.soft @ np.array(spec.class_weights))
    share = factor / (float(factor.sum()) or 1.0)
    prior = np.zeros(k) if spec.prior is None else np.asarray(spec.prior, np.float64)
    gamma = float(spec.gamma) if spec.kind == "focal" else 0.0
    targets, slope, back = used.soft.astype(np.float32), np.empty(used.soft.shape, np.float32), rows.T.tocsr()

    def cost(flat: Array) -> tuple[float, Array]:
        theta = flat.reshape(width + 1, k)
        logits = np.ascontiguousarray(rows @ theta[:-1].astype(np.float32))
        value = loss_and_slope(logits, theta[-1] + prior, targets, share, gamma, slope)
        grad = np.empty_like(theta)
        grad[:-1] = back @ slope + l2 * theta[:-1]
        grad[-1] = slope.sum(0, dtype=np.float64)
        return value + 0.5 * l2 * float((theta[:-1] ** 2).sum()), grad.ravel()

    found = minimize(cost, np.zeros((width + 1) * k), jac=True, method="L-BFGS-B",
                     options={"maxiter": 60, "maxcor": 6, "gtol": 1e-5, "ftol": 1e-6})  # fmt: skip
    theta = found.x.reshape(width + 1, k)
    bias = np.where(used.soft.sum(0) > 0, theta[-1], -30.0)
    return theta[:-1].astype(np.float32), bias.astype(np.float64)


@lru_cache(maxsize=1)
def _counters() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    shared = {"n_features": SLOTS // 2, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=WORD, **shared)
    return words, HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), **shared)


def _weighted(counts: Any, idf: Array) -> Any:
    """Return rows of length 1."""
    from scipy import sparse

    out = sparse.csr_array(counts, dtype=np.float32, copy=True)
    out.data *= np.asarray(idf, np.float32)[out.indices]
    length = np.sqrt(np.bincount(np.repeat(np.arange(out.shape[0]), np.diff(out.indptr)), out.data**2, out.shape[0]))
    out.data /= np.repeat(np.maximum(length, 1e-9), np.diff(out.indptr)).astype(np.float32)
    return out


def _texts(ds: Dataset, rows: Ints) -> list[str]:
    return [str(text) for text in open_samples(ds, rows)]
