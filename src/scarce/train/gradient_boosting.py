"""Gradient-boosted trees on tables."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints
from scarce.errors import ReadError, TrainError
from scarce.loss_spec import LossSpec
from scarce.modality import open_samples
from scarce.modality.raw import feature_columns
from scarce.train._base import AbstractTrainer, Setup, TrainRows, refuse_out_of_range, training_rows
from scarce.train._folds import absent, calibrated, far_below
from scarce.train._named_loss import LossName, loss_of
from scarce.train._row_features import PREFIX, RowFeatures
from scarce.train.model import Model, base_card

WHO = "train.gradient_boosting"
MOST_LEVELS: Final = 200
"""Categories of a column that are told apart, the most frequent first; all others count as missing."""
NODE: Final = ("feature", "threshold", "left", "right", "value", "flags", "bitset")
NOTHING: Final = "empty: no cell of the columns that the model reads is filled"
MISSING_LEFT, LEAF, CATEGORICAL = 1, 2, 4


@final
@dataclass(frozen=True, kw_only=True)
class GradientBoosting(AbstractTrainer):
    """Gradient-boosted trees on the columns of a table; holes and categories are taken as they are.

    Use for tables, above all where columns interact. Do not use below some fifty rows: take linear_probe.

    Needs: rows of tables. Soft labels and ``weight`` are used; grown rows are taken as numbers, categories as codes.
    Writes: a model; its temperature and threshold come from out-of-fold answers of whole groups. A missing value goes
    its own way at every split; a category that training never saw counts as missing. Detectors of foreign samples are
    given the columns in units of their own. A prior (balanced softmax) is
    taken off the answers afterwards; focal is trained as cross-entropy.
    Source: Ke et al. 2017 (LightGBM), as scikit-learn's HistGradientBoostingClassifier; Menon et al. 2021 (prior).

    Args:
        trees: boosting rounds.
        learning_rate: of each round.
        leaves: at most, of one tree.
        fewest: samples in a leaf at least; where the rarest class has few, half of it is taken.
        l2: of the leaves' values.
        features: share of the columns that a split may choose from.
        loss: a name, or a specification.
        folds: of the cross-validation that calibrates; 0 = do not calibrate.
    """

    modalities: ClassVar[tuple[str, ...]] = ("tabular",)

    trees: int = 200
    learning_rate: float = 0.06
    leaves: int = 15
    fewest: int = 20
    l2: float = 1.0
    features: float = 0.7
    loss: LossSpec | LossName = "cross_entropy"
    folds: int = 5

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        limits = {
            "trees": (1, 100_000), "learning_rate": (1e-6, 10.0), "leaves": (2, 10_000), "fewest": (1, 1_000_000),
            "l2": (0.0, 1e6), "features": (1e-3, 1.0), "folds": (0, 100),
        }  # fmt: skip
        refuse_out_of_range(WHO, self, limits)

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Fit on the training side of the fold."""
        setup = setup or Setup()
        train = view.train
        used = training_rows(train, setup, who=WHO)
        spec = loss_of(setup.loss or self.loss, used.counts)
        coder = Coder.of(train, np.unique(used.rows))
        coded = coder.matrix(train)
        matrix, needed = coder.known(coded), np.unique(used.rows)
        card = base_card(view, "gradient_boosting", self.params(), seed=seed) | {
            "columns": coder.columns, "levels": coder.levels, "loss": asdict(spec),
            "absent_classes": absent(train.schema.classes, used), **used.told(train), "features": "rows",
        }  # fmt: skip
        fitted = self._fit(matrix, used, spec, (coder.categorical, None), seed)
        trees = Trees.of(fitted, len(card["classes"]))
        some = matrix[used.rows[:256]]
        if not np.allclose(trees.raw(some), _raw(fitted, some, len(card["classes"])), atol=1e-6):
            raise TrainError(WHO, "the installed scikit-learn keeps its trees in a way that is not known here",
                             str(card["versions"].get("scikit-learn")), "update scarce")  # fmt: skip
        model = BoostedModel(card=card, trees=trees, sight=RowFeatures.of(coded[needed], coder.sizes))

        def judge(inside: TrainRows, judged: Ints) -> Floats:
            one = self._fit(matrix, inside, spec, (coder.categorical, 1), seed)
            return _shifted(_raw(one, matrix[judged], len(card["classes"])), spec, np.flatnonzero(~inside.soft.any(0)))

        return calibrated(model, view, used, judge, folds=self.folds, seed=seed)

    def _fit(self, matrix: Array, used: TrainRows, spec: LossSpec, shape: tuple[int, int | None], seed: int) -> Any:
        """Return fitted trees; ``shape`` is the number of categorical columns, and of threads (None = all cores)."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        categorical, threads = shape

        place, codes = np.nonzero(used.soft > 0)
        weights = used.weights[place] * used.soft[place, codes]
        if spec.class_weights is not None:
            weights = weights * np.asarray(spec.class_weights)[codes]
        rare = int(np.bincount(codes)[np.unique(codes)].min())
        machine = HistGradientBoostingClassifier(
            max_iter=self.trees, learning_rate=self.learning_rate, max_leaf_nodes=self.leaves,
            min_samples_leaf=max(1, min(self.fewest, rare // 2)), l2_regularization=self.l2, max_features=self.features,
            categorical_features=np.arange(matrix.shape[1]) < categorical if categorical else None,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings(), threadpool_limits(threads, "openmp"):
            warnings.simplefilter("ignore")  # columns without a value
            return machine.fit(matrix[used.rows[place]], codes, sample_weight=weights)

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Rebuild the trees."""
        if tensors["baseline"].shape[0] != len(card["classes"]):
            raise KeyError(f"{tensors['baseline'].shape[0]} classes in the weights, {len(card['classes'])} in the card")
        sight = RowFeatures.restored({name: array for name, array in tensors.items() if name.startswith(PREFIX)})
        trees = Trees(**{name: array for name, array in tensors.items() if not name.startswith(PREFIX)})
        return BoostedModel(card=dict(card), trees=trees, sight=sight)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class BoostedModel(Model):
    """Trees, how columns become numbers, and what detectors of foreign rows see of them."""

    trees: Trees
    sight: RowFeatures

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K); set-aside rows are NaN.

        Raises:
            TrainError: a column that the model needs is not there.
        """
        return self.answers(ds)[0]

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return logits, and (N, D) features; see :class:`~scarce.train._row_features.RowFeatures`."""
        rows = np.flatnonzero(ds["keep"].astype(bool))
        coder = Coder(self.card["columns"], self.card["levels"])
        coded = self._matrix(ds.take(rows)) if len(rows) else np.zeros((0, len(self.sight.hole)))
        seen = self.sight(coded)
        features = np.full((len(ds), seen.shape[1]), np.nan)
        out = np.full((len(ds), len(self.classes)), np.nan)
        features[rows] = seen
        spec = LossSpec(prior=_tuple(self.card["loss"]["prior"]))
        out[rows] = _shifted(self.trees.raw(coder.known(coded)), spec, self.absent_codes)
        return out, features

    def refusals(self, ds: Dataset) -> list[str | None]:
        """Name the rows with a word where training had numbers, and those without a cell of the model's columns."""
        found: list[str | None] = [None] * len(ds)
        rows = np.flatnonzero(ds["keep"].astype(bool))
        words = Coder(self.card["columns"], self.card["levels"]).words(ds.take(rows)) if len(rows) else {}
        for place, why in words.items():
            found[rows[place]] = why
        rows = rows[[place not in words for place in range(len(rows))]]
        if len(rows):
            for row in rows[np.isnan(self._matrix(ds.take(rows))).all(1)].tolist():
                found[row] = NOTHING
        return found

    def _matrix(self, ds: Dataset) -> Array:
        coded = Coder(self.card["columns"], self.card["levels"]).matrix(ds)
        if coded.shape[1] != len(self.sight.hole):
            raise TrainError(WHO, f"the rows hold {coded.shape[1]} numbers", f"the model knows {len(self.sight.hole)}",
                             "give the columns of the training data")  # fmt: skip
        return coded

    def tensors(self) -> dict[str, Array]:
        """Return the nodes of all trees, and what was learnt of the columns."""
        return asdict(self.trees) | self.sight.tensors()


@dataclass(frozen=True)
class Coder:
    """How the columns of a table become numbers: categories first, as places in their list of levels.

    Attributes:
        columns: names, those of categories first; None = rows are arrays of numbers without names.
        levels: column to its categories, the most frequent first.
    """

    columns: list[str] | None
    levels: dict[str, list[str]]

    @property
    def categorical(self) -> int:
        """How many of the first columns are categories."""
        return len(self.levels)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many levels each category has that are told apart."""
        return tuple(len(self.levels[name]) for name in (self.columns or [])[: self.categorical])

    @classmethod
    def of(cls, train: Dataset, rows: Ints) -> Coder:
        """Learn the levels from some rows."""
        part = train.take(np.sort(rows))
        found = {} if (train["origin"] != "real").any() else feature_columns(part)
        if not found:
            return cls(None, {})
        levels = {}
        for name, column in sorted(found.items()):
            if _is_category(column):
                counted = pc.value_counts(pc.drop_null(pc.cast(column, pa.string()))).to_pylist()
                ranked = sorted(counted, key=lambda item: (-item["counts"], item["values"]))
                levels[name] = [item["values"] for item in ranked[:MOST_LEVELS]]
        return cls([*levels, *sorted(set(found) - set(levels))], levels)

    def matrix(self, ds: Dataset) -> Array:
        """Return (N, F) float64; NaN = missing, a level that is not told apart is the number of those that are.

        Raises:
            TrainError: a column is missing, or holds text where numbers were.
        """
        if self.columns is None:
            rows = np.stack([np.asarray(row, np.float64) for row in open_samples(ds, np.arange(len(ds)))])
            return np.where(np.isfinite(rows), rows, np.nan)
        try:
            found = feature_columns(ds, wanted=self.columns)
        except ReadError as error:
            raise TrainError(WHO, error.what, error.there, error.do) from error
        gone = [name for name in self.columns if name not in found]
        if gone:
            raise TrainError(WHO, f"the column {gone[0]!r} is not there", f"there are {', '.join(sorted(found)[:12])}",
                             "give tables with the columns of the training data")  # fmt: skip
        return np.stack([self._numbers(name, found[name]) for name in self.columns], axis=1)

    def words(self, ds: Dataset) -> dict[int, str]:
        """Return row to what is wrong with it: a word in a column where training had numbers only."""
        found: dict[int, str] = {}
        numbers = (self.columns or [])[self.categorical :]
        for name, column in feature_columns(ds, wanted=numbers).items() if numbers else ():
            text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            if name in numbers and text and not _are_numbers(column):
                for row, cell in enumerate(column.to_pylist()):
                    if not _are_numbers(pa.array([cell], pa.string())):
                        found.setdefault(row, f"column {name!r} holds {cell[:40]!r}, and training had numbers there")
        return found

    def known(self, matrix: Array) -> Array:
        """Return (N, F) numbers as trees take them: levels that are not told apart are missing."""
        first = matrix[:, : self.categorical]
        return np.concatenate([np.where(first < self.sizes, first, np.nan), matrix[:, self.categorical :]], axis=1)

    def _numbers(self, name: str, column: pa.Array) -> Floats:
        if name in self.levels:
            text, values = pc.cast(column, pa.string()), pa.array(self.levels[name], pa.string())
            new = pc.if_else(pc.is_null(text), pa.scalar(None, pa.int32()), pa.scalar(len(values), pa.int32()))
            places = pc.coalesce(pc.index_in(text, value_set=values, skip_nulls=True), new)
            return np.asarray(pc.cast(places, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        if pa.types.is_temporal(column.type):
            column = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
        try:
            out = np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TrainError(WHO, f"the column {name!r} holds text where the training data had numbers",
                             do="give it as numbers, missing ones empty") from error  # fmt: skip
        return np.where(np.isfinite(out), out, np.nan)


def _are_numbers(column: pa.Array) -> bool:
    try:
        pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


@dataclass(frozen=True, eq=False)
class Trees:
    """All nodes of all trees, in one array each; a leaf adds its value to its class.

    Attributes:
        baseline: (K,) logits before the first tree.
        roots: (T,) node of each tree's root; ``target`` (T,) the class that it speaks of.
        feature, threshold, left, right, value, flags, bitset: (nodes,).
        sets: (splits, 8) uint32: bit c of a row says that category c goes left.
    """

    baseline: Array
    roots: Array
    target: Array
    feature: Array
    threshold: Array
    left: Array
    right: Array
    value: Array
    flags: Array
    bitset: Array
    sets: Array

    @classmethod
    def of(cls, fitted: Any, n_classes: int) -> Trees:
        """Read the trees of a fitted HistGradientBoostingClassifier."""
        codes = np.asarray(fitted.classes_, np.int64)
        columns: dict[str, list[Array]] = {name: [] for name in NODE}
        roots, target, sets, at, splits = [], [], [], 0, 0
        for round_ in fitted._predictors:  # sklearn gives no other way to the trees than these or a pickle
            for number, tree in enumerate(round_):
                nodes = tree.nodes
                roots.append(at)
                target.append(codes[1] if len(round_) == 1 else codes[number])
                columns["feature"].append(nodes["feature_idx"].astype(np.int32))
                columns["threshold"].append(nodes["num_threshold"].astype(np.float64))
                columns["left"].append(nodes["left"].astype(np.int32) + at)
                columns["right"].append(nodes["right"].astype(np.int32) + at)
                columns["value"].append(nodes["value"].astype(np.float64))
                columns["flags"].append((
                    nodes["missing_go_to_left"] * MISSING_LEFT + nodes["is_leaf"] * LEAF
                    + nodes["is_categorical"] * CATEGORICAL
                ).astype(np.uint8))  # fmt: skip
                columns["bitset"].append(nodes["bitset_idx"].astype(np.int32) + splits)
                sets.append(np.asarray(tree.raw_left_cat_bitsets, np.uint32).reshape(-1, 8))
                at, splits = at + len(nodes), splits + len(sets[-1])
        start = np.asarray(fitted._baseline_prediction, np.float64).ravel()
        baseline = np.zeros(n_classes)
        baseline[codes[1:] if len(start) == 1 else codes] = start
        arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
        return cls(baseline, np.array(roots, np.int32), np.array(target, np.int32), sets=np.concatenate(sets), **arrays)

    def raw(self, matrix: Array) -> Floats:
        """Return (N, K) sums of leaves for (N, F) numbers; all rows walk down one tree at a time."""
        out = np.tile(self.baseline, (len(matrix), 1))
        for root, code in zip(self.roots.tolist(), self.target.tolist(), strict=True):
            node = np.full(len(matrix), root, np.int32)
            todo = np.flatnonzero((self.flags[node] & LEAF) == 0)
            while len(todo):
                here = node[todo]
                node[todo] = np.where(self._left(matrix[todo, self.feature[here]], here), self.left[here],
                                      self.right[here])  # fmt: skip
                todo = todo[(self.flags[node[todo]] & LEAF) == 0]
            out[:, code] += self.value[node]
        return out

    def _left(self, values: Array, node: Array) -> Array:
        flags, hole = self.flags[node], np.isnan(values)
        left = values <= self.threshold[node]
        named = (flags & CATEGORICAL) > 0
        if named.any():
            level = np.where(hole, 0, values).astype(np.int64)[named]
            word = self.sets[self.bitset[node][named], level >> 5]
            left[named] = (word >> (level & 31).astype(np.uint32)) & 1
        return np.where(hole, (flags & MISSING_LEFT) > 0, left)


def _raw(fitted: Any, matrix: Array, n_classes: int) -> Floats:
    codes = np.asarray(fitted.classes_, np.int64)
    raw = np.asarray(fitted.decision_function(matrix), np.float64).reshape(len(matrix), -1)
    out = np.zeros((len(matrix), n_classes))
    out[:, codes[1:] if raw.shape[1] == 1 else codes] = raw
    return out


def _shifted(raw: Floats, spec: LossSpec, codes: Sequence[int] | Array) -> Floats:
    return far_below(raw if spec.prior is None else raw - np.asarray(spec.prior), codes)


def _is_category(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _tuple(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
