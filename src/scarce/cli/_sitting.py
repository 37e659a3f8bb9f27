"""Questions at the terminal: the picture in half blocks, one key an answer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from scarce.cli._screen import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from scarce.loop.asking import Question
    from scarce.loop.sitting import Sitting

COLUMNS: Final = 48
"""Width of the picture in letters; each shows two pixels, one above the other."""
WORDS: Final = {"x": "set aside", "u": "unsure", "-": "undo", "q": "quit", "\x7f": "undo", "\x08": "undo",
                "\r": "yes", "\n": "yes", "": "yes", "\x04": "quit"}  # fmt: skip
HELP: Final = "Enter: yes   u: unsure   x: set aside   -: undo   q: quit   or type :name"


def sit(sitting: Sitting, console: Console) -> bool:
    """Ask until nothing waits; return False when the person quits before.

    Args:
        sitting: whose answers they are.
        console: where questions are shown.
    """
    back: Question | None = None
    with _asking(console) as ask:
        while waiting := sitting.waiting():
            question = next((item for item in waiting if back is not None and item.number == back.number), waiting[0])
            back = None
            _show(sitting, question, console, len(waiting))
            started = time.perf_counter()
            word = _meant(ask(), question, sitting.ds.schema.classes)
            if word == "quit":
                return False
            if word == "undo":
                back = sitting.undo()
                console.print("The last answer is taken back." if back else "There is nothing to take back.")
            elif word is None:
                console.print(f"That is no answer. {HELP}")
                back = question
            else:
                said = sitting.answer(question, word, time.perf_counter() - started)
                console.print(f"  {safe(said.label or said.verdict)}")
    return True


@contextmanager
def _asking(console: Console) -> Iterator[Callable[[], str]]:
    """Give a function that waits for one key, or for one line where there is no terminal.

    The terminal gives keys at once for the whole sitting, so that none is lost between two questions.
    """
    if not sys.stdin.isatty():
        yield _line
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows
        import click

        yield click.getchar
        return
    place = sys.stdin.fileno()
    before = termios.tcgetattr(place)
    try:
        tty.setcbreak(place, termios.TCSANOW)
        yield lambda: _key(place, console)
    finally:
        termios.tcsetattr(place, termios.TCSANOW, before)


def _key(place: int, console: Console) -> str:
    """Return one key; after a colon, all up to Enter."""
    key = os.read(place, 1).decode("ascii", errors="replace")
    if key != ":":
        return key or "q"
    typed = b""
    while (one := os.read(place, 1)) not in (b"\n", b"\r", b""):
        typed = typed[:-1] if one in (b"\x7f", b"\x08") else typed + one
        console.print(f"\r:{safe(typed.decode(errors='replace'))} ", end="")
    return ":" + typed.decode(errors="replace")


def _line() -> str:
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else "q"


def _meant(text: str, question: Question, classes: Sequence[str]) -> str | None:
    """Return what a key or a typed word means; None = nothing."""
    from scarce.loop.asking import KEYS

    word = WORDS.get(text, text.removeprefix(":").strip())
    if word == "yes":
        return question.suggestion or None if question.label is None else "right"
    keys = dict(zip(KEYS, classes, strict=False))
    if word in classes or word in ("set aside", "unsure", "undo", "quit"):
        return word
    if word == "right":
        return word if question.label is not None else None
    if word in keys and not text.startswith(":"):
        return keys[word]
    near = [name for name in classes if name.lower().startswith(word.lower())] if word else []
    return near[0] if len(near) == 1 else None


def _show(sitting: Sitting, question: Question, console: Console, left: int) -> None:
    from scarce.columns import sample_name
    from scarce.loop.asking import KEYS

    console.rule(f"{left} waiting")
    shown = _preview(sitting, question, min(COLUMNS, max(console.width - 4, 8)))
    console.print(shown)
    console.print(safe(sample_name(question.file)), soft_wrap=True)
    console.print(safe(question.reason), style="dim", soft_wrap=True)
    if question.label is not None:
        console.print(f"labelled {safe(question.label)}")
    if question.suggestion:
        console.print(f"the model says {safe(question.suggestion)} ({question.probability:.0%})")
    keys = (f"{key} {safe(name)}" for key, name in zip(KEYS, sitting.ds.schema.classes, strict=False))
    console.print("   ".join(keys))
    console.print(HELP, style="dim")


def _preview(sitting: Sitting, question: Question, columns: int) -> Text | str:
    """Return a sample as a terminal can show it."""
    from scarce import modality
    from scarce.errors import ScarceError
    from scarce.modality.words import words_of

    row = sitting.ds.rows_of([question.sample])
    try:
        [words] = words_of(sitting.ds, row)
        if words:
            return safe(words.replace("; ", "\n") if sitting.ds.schema.modality == "tabular" else words)[:2000]
        return half_blocks(modality.thumbnails(sitting.ds, row, size=columns)[0])
    except (ScarceError, OSError) as error:
        return safe(f"(cannot be shown: {error})")


def half_blocks(picture: Any) -> Text:
    """Return a picture (H, W) or (H, W, 3) uint8 as text: two pixels a letter, the upper one in front."""
    import numpy as np
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    colored = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    out = Text()
    paint: Callable[[Any], Color] = lambda pixel: Color.from_rgb(*(int(value) for value in pixel))  # noqa: E731
    for top in range(0, len(colored) - 1, 2):
        for above, below in zip(colored[top], colored[top + 1], strict=True):
            out.append("\N{UPPER HALF BLOCK}", Style(color=paint(above), bgcolor=paint(below)))
        out.append("\n")
    return out
