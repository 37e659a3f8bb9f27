"""The sections of `scarce.toml`: frozen dataclasses whose fields carry their own documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def setting(
    default: Any, doc: str, *, low: float | None = None, high: float | None = None, choices: Sequence[str] = ()
) -> Any:
    """Declare one documented key.

    Args:
        default: its value when the file does not name it.
        doc: what it does, for people; shown as a comment.
        low: smallest value, itself allowed.
        high: greatest value, itself allowed.
        choices: allowed values of a text.
    """
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": tuple(choices)})


@dataclass(frozen=True, kw_only=True)
class Project:
    """The project as a whole."""

    name: str = setting("", "Shown on reports; empty = the folder's name.")
    metric: str = setting(
        "balanced_accuracy",
        "What every decision is judged by: balanced_accuracy, macro_f1, rare_average_precision or "
        "recall_at_fpr (recall at the false-alarm rate of [evaluate]).",
    )
    normal_classes: tuple[str, ...] = setting(
        (), "Classes of sound parts; all others are defects. Empty = told by name (good, ok, normal ...)."
    )
    state_url: str = setting(
        "", "Where annotations, ledger and looks at the test set are kept. Empty = SQLite in .scarce/state.db; a team "
        "gives a PostgreSQL URL: postgresql+psycopg://user@host/database.",
    )  # fmt: skip
    registry_url: str = setting(
        "", "Registry of models of MLflow that shows @champion and @challenger as well: http://host:5000, or "
        "sqlite:///mlflow.db. Empty = none.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Io:
    """How sources are read; empty = found by themselves."""

    label: str = setting("", "Column of the label.")
    group: str = setting("", "Column of the group that must not be split: part, lot, patient, video.")
    split: str = setting("", "Column of a given split: train, val, test or pool.")
    time: str = setting("", "Column of the time a sample was taken.")
    text: str = setting("", "Column of the text, for text data.")


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Measuring what is wrong with the data. Parameters of a check: [audit.<check>]."""

    only: tuple[str, ...] = setting((), "Run these checks only; empty = all that fit the data.")
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Clean:
    """Setting rows aside and mending labels. Parameters of an action: [clean.<action>]."""

    relabel: bool = setting(default=False, doc="Change labels where the audit is sure; false = only propose.")
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Groups first, strata second."""

    ratios: tuple[float, ...] = setting(
        (0.7, 0.1, 0.2), "Shares of train, val and test; they sum to 1.", low=0.0, high=1.0
    )
    hold_out: str = setting("", "Put all samples with this value into test: camera=B.")
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Turning samples into features. Parameters of an encoder: [encode.<encoder>]."""

    encoder: str = setting("auto", "Name of the encoder, or timm:MODEL; auto = the best one that is installed.")
    size: int = setting(
        0, "Side of the picture that the encoder sees, in pixels; 0 = told by the data.", low=0, high=4096
    )
    batch: int = setting(64, "Samples a batch.", low=1, high=65536)
    quota_gib: float = setting(10.0, "Cached features may take this much disk; the longest unused go first.", low=0.0)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which samples to ask about next. Parameters of a strategy: [label.query.<strategy>]."""

    strategy: str = setting("auto", "Name of the strategy; auto = a cold start first, then doubt and variety together.")
    budget: int = setting(50, "Samples to ask about in one round.", low=1)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Labelling functions and the models that join them. Parameters of a model: [label.rule.<model>]."""

    functions: str = setting("", "File of labelling functions, relative to the project: rules.py.")
    model: str = setting("auto", "Label model; auto = the best on the labelled samples, majority without any.")
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Several annotators. Parameters of a method: [label.vote.<method>]."""

    method: str = setting(
        "auto", "How votes become one label; auto = dawid_skene, with fewer votes one_coin, with few majority."
    )
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ZeroShot:
    """Labels without labels, from image-text models or prototypes. Parameters: [label.zero_shot.<method>]."""

    method: str = setting("auto", "Name of the method; auto = an image-text model if prompts are given.")
    precision: float = setting(0.95, "Wanted share of right ones among labels that are taken over.", low=0.5, high=1.0)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A few labels, spread over their neighbors. Parameters of a method: [label.spread.<method>]."""

    method: str = setting("auto", "Name of the method; auto = spectral.")
    neighbors: int = setting(10, "Nearest samples that each one is tied to.", low=1, high=1000)
    confidence: float = setting(0.8, "From this probability on it becomes a label.", low=0.0, high=1.0)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Label:
    """Labels for less work."""

    target: float = setting(0.95, "Stop asking when the project's metric reaches this.", low=0.0, high=1.0)
    initial: int = setting(100, "Samples to ask about in the first round.", low=1)
    flat_rounds: int = setting(3, "Stop when so many rounds together gain less than flat_gain; 0 = never.", low=0)
    flat_gain: float = setting(0.005, "Gain of the metric that is worth going on.", low=0.0, high=1.0)
    stable: float = setting(
        0.99, "Stop when the models of four rounds agree so far (Cohen's kappa); 1 = never.", low=0.0, high=1.0
    )
    query: Query = Query()
    rule: Rule = Rule()
    spread: Spread = Spread()
    vote: Vote = Vote()
    zero_shot: ZeroShot = ZeroShot()


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Growing rare classes by changed copies. Parameters of an operation: [augment.<operation>]."""

    policy: str = setting("auto", "Name of the policy or domain: auto, garment, part ...")
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Samples out of models. Parameters of a generator: [synthesize.generate.<generator>]."""

    most_rejected: int = setting(100, "So many rejected ones in one call end it.", low=1)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What refuses made samples. Parameters of a screen: [synthesize.screen.<screen>]."""

    only: tuple[str, ...] = setting((), "Use these screens only; empty = all.")
    most_share: float = setting(
        0.5, "Warn where more of a class's training samples would be synthetic.", low=0.0, high=1.0
    )
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Synthesize:
    """Growing rare classes by made defects. Parameters of a kind: [synthesize.<kind>]."""

    only: tuple[str, ...] = setting((), "Use these kinds only; empty = those that fit the data.")
    ratio: float = setting(3.0, "Target without --n: the largest class over any other; 1 = equal.", low=1.0, high=1000)
    target_count: int = setting(0, "Target without --n, in samples of each class; 0 = by ratio.", low=0)
    copies: int = setting(20, "Most samples for one real one of the class, and uses of one picture.", low=1, high=10000)
    generate: Generate = Generate()
    screen: Screen = Screen()
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """The chooser's thresholds: the first plan whose limits hold is proposed."""

    ratio_augment: float = setting(10.0, "Below this imbalance (largest class over smallest): augment only.", low=1.0)
    ratio_weight: float = setting(50.0, "Below this: logit adjustment or class weights as well.", low=1.0)
    ratio_focal: float = setting(
        100.0, "Up to this: augment, synthesize, logit adjustment. Above: the full hybrid.", low=1.0
    )
    small_total: int = setting(1000, "With fewer samples in all: the full hybrid.", low=0)
    oversample_total: int = setting(10000, "With fewer samples in all: oversample as well.", low=0)
    clean_first_error_rate: float = setting(
        0.05, "From this share of label errors on, cleaning comes first.", low=0, high=1
    )
    clean_first_total: int = setting(5000, "With fewer samples than this, cleaning comes first.", low=0)


@dataclass(frozen=True, kw_only=True)
class Rebalance:
    """Weights, sampling and losses. Parameters of a method: [rebalance.<method>]."""

    only: tuple[str, ...] = setting((), "Judge these methods only; empty = those the chooser proposes.")
    strategy: Strategy = Strategy()
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Train:
    """The final model. Parameters of a trainer: [train.<trainer>]."""

    trainer: str = setting("auto", "linear_probe (seconds), finetune (minutes), blend (both) or auto (by pixels).")
    model: str = setting("auto", "Backbone of finetune and blend: any name that timm knows.")
    epochs: int = setting(0, "Passes over the training data; 0 = chosen by the trainer.", low=0, high=100000)
    tracking: str = setting("files", "Where the course of a network is written: files (history.csv) or mlflow.")
    quota_gib: float = setting(5.0, "Checkpoints may take this much disk; the oldest go first.", low=0.0)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """The look at the test set."""

    false_positive_rate: float = setting(0.01, "Share of sound parts that may be called defective.", low=0.0, high=1.0)
    confidence: float = setting(0.95, "Confidence of intervals and bounds.", low=0.5, high=0.9999)


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """How decisions are judged."""

    folds: int = setting(5, "Folds of each cross-validation.", low=2, high=100)
    repeats: int = setting(0, "Repeats of the cross-validation with new folds; 0 = as time allows.", low=0, high=1000)
    alpha: float = setting(0.05, "Chance of any false claim over the whole plan.", low=0.0001, high=0.5)


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Answering in production."""

    keep_images: bool = setting(
        default=False, doc="Keep every sample that was answered, in .scarce/production; false = only its hash."
    )
    shadow: bool = setting(default=False, doc="Let @challenger answer too, unseen, for comparison.")
    share: float = setting(
        0.0, "Share of the samples, chosen by their content, that @challenger answers.", low=0.0, high=1.0
    )
    batch: int = setting(32, "Most samples that the model is given at once.", low=1, high=1024)
    wait_ms: float = setting(
        2.0, "So long the first of them waits for others, where more requests are open.", low=0.0, high=1000.0
    )
    waiting: int = setting(256, "Samples that may wait; beyond it requests are told to come again.", low=1, high=65536)
    most: int = setting(64, "Most samples of one request.", low=1, high=4096)
    mib: float = setting(16.0, "Most MiB of one request.", low=0.001, high=1024.0)
    megapixels: float = setting(50.0, "Larger pictures are refused by their header.", low=0.001, high=100.0)
    seconds: float = setting(10.0, "A request that is not answered by then is told so.", low=0.1, high=600.0)


@dataclass(frozen=True, kw_only=True)
class Flywheel:
    """Going on in production: what to ask people, when to train again, when to raise an alarm."""

    period: str = setting(
        "auto", "What the budget is for: week, month, or auto: the month once production is stable.",
        choices=("auto", "week", "month"),
    )  # fmt: skip
    labels_per_week: int = setting(100, "Labels that people can give in a week (UTC, from Monday).", low=1)
    labels_per_month: int = setting(100, "The same in a month, once the project is stable.", low=1)
    retrain_after: int = setting(100, "New labelled samples before a model is trained again.", low=1)
    audit: float = setting(
        0.1, "Share of the labels that goes to samples drawn at random: only they can say how good the answers are.",
        low=0.1, high=1.0,
    )  # fmt: skip
    uncertainty: float = setting(0.5, "Share of doubt in what is asked first; the three sum to 1.", low=0.0, high=1.0)
    rarity: float = setting(0.3, "Share of how rare the likely class is.", low=0.0, high=1.0)
    diversity: float = setting(0.2, "Share of how unlike the others a sample is.", low=0.0, high=1.0)
    strategy: str = setting(
        "priority", "What chooses the others: priority with these three, or another strategy of [label.query]."
    )
    sure: float = setting(0.7, "Confirmations of answers below this probability are worth more.", low=0.0, high=1.0)
    margin: float = setting(
        0.05, "Recall that a class may lose by a promotion; 0.05 is 5 points.", low=0.001, high=0.999
    )
    drift_rate: float = setting(
        0.01, "Chance that one look for drift raises an alarm although nothing changed.", low=0.0001, high=0.5
    )


@dataclass(frozen=True, kw_only=True)
class Study:
    """Whole experiments. Parameters of a study: [study.<study>]."""

    minutes: float = setting(60.0, "Time that one study keeps to; it can be run again to go on.", low=0.0)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The whole loop."""

    minutes: float = setting(30.0, "Time to keep to.", low=0.0)
    seed: int = setting(0, "Seed of everything random.", low=0)
    workers: int = setting(0, "Processes or threads; 0 = one a core.", low=0)


@dataclass(frozen=True, kw_only=True)
class Sections:
    """Every section, in the order of the file."""

    project: Project = Project()
    io: Io = Io()
    audit: Audit = Audit()
    clean: Clean = Clean()
    split: Split = Split()
    encode: Encode = Encode()
    label: Label = Label()
    augment: Augment = Augment()
    synthesize: Synthesize = Synthesize()
    rebalance: Rebalance = Rebalance()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    ledger: Ledger = Ledger()
    serve: Serve = Serve()
    flywheel: Flywheel = Flywheel()
    study: Study = Study()
    run: Run = Run()
