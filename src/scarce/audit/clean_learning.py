"""An estimator that finds its own label errors, in the shape of cleanlab's ``CleanLearning``."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from scarce.audit.label_error import flag_label_errors, judge_labels
from scarce.dataset import Array, Floats, Ints, Mask
from scarce.errors import ConfigError, DataError

WHO = "audit.clean_learning"


class CleanLearning:
    """Fit any scikit-learn classifier on labels some of which are wrong: find them, prune or fix them, fit again.

    Follows scikit-learn: parameters are kept as they are, :meth:`fit` returns the estimator, names of what was learned
    end in an underscore; ``clone``, ``GridSearchCV`` and pipelines take it.

    Args:
        clf: a classifier with ``fit`` and ``predict_proba``; None = standardized logistic regression.
        cv_n_folds: folds that give out-of-sample probabilities.
        rule: ``adaptive`` or one of cleanlab's filters; see :func:`~scarce.audit.label_error.flag_label_errors`.
        repair: ``prune`` leaves flagged rows out of the second fit; ``fix`` gives them the suggested class where it is
            likelier than not, and leaves out the others.
        seed: of the folds.

    Attributes:
        classes_: (K,) the labels, in the order of the columns of :meth:`predict_proba`.
        clf_: the classifier, fitted after pruning or fixing.
        label_issues_: what :meth:`get_label_issues` returns.
        cv_score_: accuracy of the out-of-sample predictions on all given labels.

    Source: Northcutt, Jiang and Chuang 2021 for the scheme; cleanlab's ``CleanLearning`` for the interface.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> y[:5] = 2  # five flowers of class 0 labelled 2
        >>> found = CleanLearning().fit(X, y).get_label_issues()
        >>> bool(found["is_label_issue"][:5].all())
        True
    """

    _estimator_type = "classifier"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn 1.6 and newer ask of a classifier."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier", target_tags=TargetTags(required=True), transformer_tags=None,
            regressor_tags=None, classifier_tags=ClassifierTags(), input_tags=InputTags(sparse=True),
        )  # fmt: skip

    def __init__(
        self, clf: Any = None, *, cv_n_folds: int = 5, rule: str = "adaptive",
        repair: Literal["prune", "fix"] = "prune", seed: int = 0,
    ) -> None:  # fmt: skip
        self.clf, self.cv_n_folds, self.rule, self.repair, self.seed = clf, cv_n_folds, rule, repair, seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002  scikit-learn's signature
        """Return the parameters; those of the classifier as ``clf__name`` if deep."""
        own = {name: getattr(self, name) for name in ("clf", "cv_n_folds", "rule", "repair", "seed")}
        inner = self.clf.get_params(deep=True) if deep and hasattr(self.clf, "get_params") else {}
        return own | {f"clf__{name}": value for name, value in inner.items()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``clf__name`` goes to the classifier.

        Raises:
            ConfigError: there is no such parameter.
        """
        inner = {}
        for name, value in params.items():
            if name.startswith("clf__"):
                inner[name.removeprefix("clf__")] = value
            elif name in self.get_params(deep=False):
                setattr(self, name, value)
            else:
                raise ConfigError(WHO, f"there is no parameter {name!r}", ", ".join(self.get_params(deep=False)))
        if inner:
            self.clf.set_params(**inner)
        return self

    def find_label_issues(
        self, X: Any, labels: Any, *, pred_probs: Array | None = None, groups: Array | None = None
    ) -> dict[str, Array]:
        """Find wrong labels without fitting the final classifier.

        Args:
            X: (N, ...) rows that the classifier takes: array, sparse matrix or frame.
            labels: (N,) given labels of any type.
            pred_probs: (N, K) out-of-sample probabilities, columns in sorted order of the labels; None = by
                cross-validation.
            groups: (N,) that stay in one fold.

        Returns:
            Arrays of N: ``is_label_issue`` bool, ``label_error_score`` in [0, 1] (1 = worst), ``given_label``,
            ``suggested_label``; a frame of them is ``pandas.DataFrame(result)``.

        Raises:
            DataError: lengths differ, a label is missing, or there are fewer than two classes.
        """
        codes = self._codes(X, labels)
        probs = self._cross_val_probs(X, codes, groups) if pred_probs is None else np.asarray(pred_probs, np.float64)
        opinion = judge_labels(codes, probs, seed=self.seed)
        flags: Mask = opinion.wrong > 0.5
        if self.rule != "adaptive":
            flags = flag_label_errors(codes, probs, rule=self.rule, seed=self.seed)
        self.cv_score_ = float((probs.argmax(axis=1) == codes).mean())
        self.label_issues_ = {
            "is_label_issue": flags, "label_error_score": np.asarray(opinion.wrong),
            "given_label": self.classes_[codes], "suggested_label": self.classes_[opinion.suggested],
        }  # fmt: skip
        self._wrong: Floats = np.asarray(opinion.wrong)
        return self.label_issues_

    def fit(
        self, X: Any, y: Any, *, sample_weight: Array | None = None, pred_probs: Array | None = None,
        groups: Array | None = None,
    ) -> Self:  # fmt: skip
        """Find wrong labels, prune or fix them, and fit the classifier on what is left.

        A class is never pruned away: where all of its rows are flagged, they stay.

        Args:
            X: rows, see :meth:`find_label_issues`.
            y: (N,) given labels.
            sample_weight: (N,) handed to the classifier's last fit.
            pred_probs: see :meth:`find_label_issues`.
            groups: see :meth:`find_label_issues`.

        Raises:
            ConfigError: ``repair`` is unknown.
            DataError: as :meth:`find_label_issues`.
        """
        if self.repair not in ("prune", "fix"):
            raise ConfigError(WHO, f"repair = {self.repair!r}", do="take 'prune' or 'fix'")
        issues = self.find_label_issues(X, y, pred_probs=pred_probs, groups=groups)
        flags, labels = issues["is_label_issue"].copy(), issues["given_label"].copy()
        for name in self.classes_:
            own = labels == name
            flags[own] &= not flags[own].all()
        keep = ~flags
        if self.repair == "fix":
            surely = flags & (self._wrong > 0.5)
            labels[surely], keep = issues["suggested_label"][surely], keep | surely
        rows = np.flatnonzero(keep)
        more = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)[rows]}
        self.clf_ = self._learned(_take(X, rows), labels[rows], **more)
        self.n_features_in_ = getattr(self.clf_, "n_features_in_", None)
        return self

    def get_label_issues(self) -> dict[str, Array]:
        """Return what was found; see :meth:`find_label_issues`.

        Raises:
            DataError: nothing was fitted yet.
        """
        if not hasattr(self, "label_issues_"):
            raise DataError(WHO, "nothing was fitted yet", do="call fit or find_label_issues")
        return self.label_issues_

    def compare(self, X: Any, y: Any, X_test: Any, y_test: Any) -> dict[str, float]:
        """Return the accuracy on trusted labels of the plain classifier and of the one fitted after the repair.

        Args:
            X: training rows; ``y`` their given labels.
            y: (N,) given labels.
            X_test: rows that took no part; ``y_test`` their right labels.
            y_test: (M,).
        """
        plain = self._fresh().fit(X, np.asarray(y))
        repaired = self.fit(X, y)
        truth = np.asarray(y_test)
        return {
            "plain": float((plain.predict(X_test) == truth).mean()),
            "repaired": float((repaired.predict(X_test) == truth).mean()),
        }

    def predict(self, X: Any) -> Array:
        """Return (N,) labels."""
        return np.asarray(self._fitted().predict(X))

    def predict_proba(self, X: Any) -> Floats:
        """Return (N, K) probabilities, columns in the order of ``classes_``."""
        return np.asarray(self._fitted().predict_proba(X))

    def score(self, X: Any, y: Any, sample_weight: Array | None = None) -> float:
        """Return the accuracy."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))

    def _fitted(self) -> Any:
        if not hasattr(self, "clf_"):
            raise DataError(WHO, "the estimator is not fitted yet", do="call fit")
        return self.clf_

    def _fresh(self) -> Any:
        from sklearn.base import clone
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if self.clf is not None and not hasattr(self.clf, "predict_proba"):
            raise ConfigError(
                WHO, f"{type(self.clf).__name__} gives no probabilities", do="wrap it in CalibratedClassifierCV"
            )
        if self.clf is None:
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return clone(self.clf)

    def _learned(self, X: Any, y: Array, **more: Any) -> Any:
        """Return a new classifier, fitted; rows that it refuses for their missing values are the user's to mend."""
        try:
            return self._fresh().fit(X, y, **more)
        except ValueError as error:
            holes = _holes(X)
            if not holes:
                raise
            what = f"the classifier does not take missing values, and {holes} rows hold NaN or infinity"
            raise DataError(WHO, what, do="fill them in, or pass a classifier that takes them") from error

    def _codes(self, X: Any, labels: Any) -> Ints:
        given = np.asarray(labels)
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        if given.ndim != 1 or len(given) != n:
            raise DataError(WHO, f"{n} rows and labels of shape {given.shape}", do="pass one label a row")
        gone = np.array([value is None or value != value for value in given.tolist()], bool)  # noqa: PLR0124  NaN
        if gone.any():
            raise DataError(WHO, f"{int(gone.sum())} labels are missing", do="leave these rows out")
        self.classes_, codes = np.unique(given, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(WHO, f"there are {len(self.classes_)} classes", do="two are the least")
        return np.asarray(codes, np.int64).reshape(-1)

    def _cross_val_probs(self, X: Any, codes: Ints, groups: Array | None) -> Floats:
        """Return (N, K) out-of-sample probabilities; a class that a fold's training side lacks gets 0 there."""
        from scarce import probe

        if self.cv_n_folds < 2:
            raise ConfigError(WHO, f"cv_n_folds = {self.cv_n_folds}", do="use 2 or more")
        fold = probe.fold_of(codes, groups, min(self.cv_n_folds, len(codes)), seed=self.seed)
        out = np.zeros((len(codes), len(self.classes_)))
        for k in np.unique(fold):
            train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            if len(np.unique(codes[train])) < 2:
                raise DataError(WHO, "a fold's training side has one class only", do="use fewer folds or more data")
            model = self._learned(_take(X, train), codes[train])
            out[np.ix_(test, np.asarray(model.classes_, np.int64))] = model.predict_proba(_take(X, test))
        return np.asarray(out / out.sum(axis=1, keepdims=True))


def _take(X: Any, rows: Ints) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if hasattr(X, "shape") else [X[row] for row in rows]


def _holes(X: Any) -> int:
    """Return how many rows hold NaN or infinity; 0 where rows are no numbers."""
    values = getattr(X, "data", X) if hasattr(X, "tocsr") else X
    try:
        rows = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return 0
    return int((~np.isfinite(rows.reshape(len(rows), -1))).any(axis=1).sum()) if rows.ndim else 0
