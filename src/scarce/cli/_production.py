"""What ``scarce status`` says about production: phase, next step, labels, models, alarms, figures over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from scarce.cli._screen import safe, table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
WEEKS, MONTHS, DECISIONS, CLASSES = 6, 6, 3, 20
FIGURES: Final = (("detection", "detection"), ("false_defect", "false"), ("accuracy", "accuracy"))


def draw_plan(console: Console, body: Row) -> None:
    """Print phase, next step, and what the period may still cost."""
    plan = body["plan"]
    console.print(f"Phase: {plan['phase']}. {safe(_sentence(plan['why']))}")
    console.print(f"Next: {safe(_sentence(plan['next']['why']))}\n  {safe(plan['next']['command'])}\n", soft_wrap=True)
    budget, fresh, after = plan["budget"], plan["new_samples"], plan["retrain_after"]
    unknown = "not known: no card of a model says what it learned" if body["models"] else "no model yet"
    spent = f"{budget['spent']:,} of {budget['total']:,}"
    rows = [
        *((name, _model(body[name])) for name in ("champion", "challenger")),
        (f"labels of {budget['period']}", f"{spent}, {budget['left']:,} left until {budget['ends']}"),
        ("new samples", f"{fresh:,} of {after:,} before training again" if fresh is not None else unknown),
        *(("last alarms" if not place else "", f"{row['at'][:10]}  {row['said']}")
          for place, row in enumerate(body["alarms"][::-1][:DECISIONS])),
        *(("last decisions" if not place else "", f"{row['at'][:10]}  {row['decision']}: {row['verdict']}")
          for place, row in enumerate(body["promotions"][::-1][:DECISIONS])),
    ]  # fmt: skip
    if body["stranded"]:
        rows.append(("left behind", body["stranded"]["said"]))
    if body["state_lost"]:
        rows.insert(0, ("state", "gone: what people said, ledger and aliases. Put state.db of a backup back"))
    console.print(table(("production", ""), rows))


def draw_kpis(console: Console, body: Row) -> None:
    """Print the figures by week and month, and what they stand on."""
    kpis = body["kpis"]
    whole = kpis["all"]
    if whole is None:
        return
    rows = [*kpis["weeks"][-WEEKS:], *kpis["months"][-MONTHS:], whole]
    shown = [(key, name) for key, name in FIGURES if whole[key] is not None]
    heads = ("labels", "drawn", *(name for _, name in shown), "to a person")
    cells = [
        (row["period"], labels(row), row["drawn"], *(share(row[key]) for key, _ in shown),
         share(row["to_person"], bounds=False)) for row in rows
    ]  # fmt: skip
    console.print(table(("period", *heads), cells, right=heads))
    console.print("In %, with 95 % intervals, from samples that were drawn at random (drawn). labels: given, and saved")
    console.print("against labelling all. false: sound ones called defect. to a person: answers ask and unknown.")
    console.print(f"{whole['labels_spent']:,} labels in place of {whole['labels_full']:,}.")
    if whole["left_out"]:
        console.print(f"{whole['left_out']:,} confirmed answers were not drawn at random and are left out.")
    if any((untold := kpis["untold"]).values()):
        words = {"open": "wait for an answer", "unsure": "nobody could tell"}
        told = [f"{untold[name]:,} {said}" for name, said in words.items() if untold[name]]
        console.print(f"Of the drawn samples {', '.join(told)}: they are in no figure.")
    if (gap := whole["calibration_gap"])["value"] is not None:
        bounds = f"{100 * gap['low']:+.1f} to {100 * gap['high']:+.1f}"
        console.print(f"Mean probability minus accuracy: {100 * gap['value']:+.1f} points ({bounds}).")
    console.print()


def class_table(body: Row) -> Table:
    """Return the rows of each class by origin, its recall in production, and the real samples that it lacks."""
    whole = body["kpis"]["all"]
    recall = whole["classes"] if whole else {}
    lacks = {row["class"]: row for row in body["plan"]["missing"]}
    made = any(row["augmented"] or row["synthetic"] for row in body["origins"].values())
    heads = ["real", *(["augmented", "synthetic"] if made else []), *(["in production"] if whole else []),
             *(["to learn", "to judge"] if lacks else [])]  # fmt: skip
    rows = []
    for name, origins in list(body["origins"].items())[:CLASSES]:
        lack = lacks.get(name, {"to_learn": 0, "to_promote": 0})
        rows.append((
            name, *(f"{origins[kind]:,}" for kind in ("real", *(("augmented", "synthetic") if made else ()))),
            *([share(recall.get(name))] if whole else []),
            *([f"{lack[key]:,}" if lack[key] else "" for key in ("to_learn", "to_promote")] if lacks else []),
        ))  # fmt: skip
    return table(("class", *heads), rows, right=heads)


def lacking(body: Row) -> Iterator[str]:
    """Yield sentences about missing real samples, and only then about made ones."""
    plan = body["plan"]
    if not plan["missing"]:
        return
    yield "to learn, to judge: real samples that are missing to train on, and in test for a promotion to be proven."
    proof = {row["sound"]: row["to_prove"] for row in plan["missing"] if row["to_prove"]}
    if proof:
        told = ((False, "defects in test would prove a detection of 99 %"),
                (True, "sound ones false defects of 1 %"))  # fmt: skip
        yield ", ".join(f"{proof[sound]:,} more {text}" for sound, text in told if sound in proof) + "."
    if (then := plan["then"]) is not None:
        yield f"{_sentence(then['why'])}\n  {then['command']}"


def labels(row: Row) -> str:
    """Return labels that were given, and the share that was saved against labelling all: ``100 (97 % saved)``."""
    saved = row["share_saved"]
    return f"{row['labels_spent']:,}" + (f" ({100 * saved:.0f} % saved)" if saved is not None else "")


def share(rate: Row | None, *, bounds: bool = True) -> str:
    """Return a share in per cent with its interval: ``93 [81-98]``, a dash where nothing can be said."""
    if rate is None or rate["value"] is None:
        return "-"
    value = f"{100 * rate['value']:.0f}"
    return f"{value} [{100 * rate['low']:.0f}-{100 * rate['high']:.0f}]" if bounds else value


def _model(row: Row | None) -> str:
    return "none" if row is None else f"{row['target']} on {row['version'] or 'unknown data'}, since {row['at'][:10]}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
