from __future__ import annotations

import io
import threading

import pytest

from scarce import progress
from scarce.cli import _bar
from scarce.cli._bar import Bar, clock, plain_line


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(_bar.time, "monotonic", lambda: time[0])
    return time


def test_plain_lines_are_late_rare_and_tell_the_time_left(now: list[float]) -> None:
    stream = io.StringIO()
    bar = Bar(stream=stream)
    with progress.listen(bar):
        progress.report("encode", 0, 100)
        for done in range(1, 101):
            now[0] += 0.25
            progress.report("encode", done, 100)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "encode: 8 of 100 (8%), 2 s, about 23 s left"
    assert 4 <= len(lines) <= 6  # 25 seconds, one line every five


def test_quick_work_says_nothing(now: list[float]) -> None:
    stream = io.StringIO()
    bar = Bar(stream=stream)
    for done in range(1001):
        now[0] += 0.001
        bar("hash", done, 1000)
    assert stream.getvalue() == ""


def test_sentences_are_printed_and_quiet_is_quiet() -> None:
    loud, quiet = io.StringIO(), io.StringIO()
    for stream, bar in ((loud, Bar(stream=loud)), (quiet, Bar(stream=quiet, quiet=True))):
        with progress.listen(bar):
            progress.say("this will take 3 minutes")
        assert stream.getvalue() == ("this will take 3 minutes\n" if stream is loud else "")


def test_bars_on_a_terminal_show_only_what_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bar, "PATIENCE_SECONDS", 0.0)
    stream = io.StringIO()
    with Bar(stream=stream, live=True) as bar, progress.listen(bar):
        progress.report("read", 0, None)
        progress.report("photos [not markup]", 5, 10)
        bar._drawn.refresh()
        progress.say("a sentence")
        progress.report("scan", 0, None)
        bar._drawn.refresh()
        assert list(bar._tasks) == ["scan"]
    text = stream.getvalue()
    assert "photos [not markup]" in text
    assert "5/10" in text
    assert "a sentence" in text


def test_bars_of_finished_work_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with Bar(stream=io.StringIO(), live=True) as bar:
        bar("x", 0, 3)
        bar("x", 3, 3)
        assert bar._tasks == {}


def test_reports_from_many_threads() -> None:
    with Bar(stream=io.StringIO(), live=True) as bar:
        work = [threading.Thread(target=lambda k=k: [bar(f"t{k}", i, 50) for i in range(51)]) for k in range(4)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        assert bar._tasks == {}


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (125, "2 min 05 s"), (7500, "2 h 05 min")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_plain_line_without_total() -> None:
    assert plain_line("judge", 0, None, 12) == "judge: 12 s"
    assert plain_line("walk", 1234, None, 12) == "walk: 1,234 done, 12 s"
