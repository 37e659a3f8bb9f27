from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from scarce.cli import _group, _reference, main
from scarce.loop.options import Options

HEAVY = ("torch", "cv2", "sklearn", "pandas", "lance", "pyarrow", "numpy", "rich", "sqlalchemy")
SRC = Path(_group.__file__).parent


def leaves() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in _group.COMMANDS:
        command = _group.load(name)
        children = getattr(command, "commands", None)
        found += [(f"{name} {child}", item) for child, item in children.items()] if children else [(name, command)]
    return found


def test_one_file_per_command_and_no_other() -> None:
    files = {path.stem for path in SRC.glob("*.py") if not path.stem.startswith("_")}
    assert files == set(_group.COMMANDS)


def test_help_loads_nothing_heavy_and_is_fast() -> None:
    code = (
        "import sys, json\nfrom scarce.cli import main\nmain(['--help'])\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr)"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    assert json.loads(done.stderr) == []
    for name in _group.COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert seconds < 0.6  # of processor time: the clock on the wall depends on who else uses the machine


def test_importing_scarce_cli_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scarce.cli import _group\n"
        "[_group.load(name) for name in _group.COMMANDS]\n"
        f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(_group.COMMANDS))
def test_table_of_help_equals_the_docstrings(name: str) -> None:
    command = _group.load(name)
    assert command.help.split("\n")[0] == _group.COMMANDS[name]


def test_every_command_has_example_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    for name, command in leaves():
        options = {option for item in command.params for option in item.opts}
        assert "--json" in options, name
        assert f"scarce {name}" in command.epilog, name
        assert main([*name.split(), "--help"]) == 0
        shown = capsys.readouterr().out
        assert "Example" in shown
        assert "--json" in shown


def test_run_options_equal_the_fields_of_options() -> None:
    params = {item.name: item for item in _group.load("run").params}
    ours = set(params) - {"path", "as_json", "quiet", "debug", "help", "install_completion", "show_completion"}
    assert ours == {field.name for field in dataclasses.fields(Options)}
    for field in dataclasses.fields(Options):
        shown, default = params[field.name].show_default, field.default
        if isinstance(default, tuple):
            assert shown == ",".join(map(str, default))
        elif isinstance(default, int | float) and not isinstance(default, bool) and field.name != "seed":
            assert shown == f"{default:g}", field.name
        elif isinstance(default, str):
            assert shown == default, field.name


def test_every_option_says_what_it_does() -> None:
    for name, command in leaves():
        for item in command.params:
            assert item.help, (name, item.name)


def test_command_files_hold_no_logic() -> None:
    for name in _group.COMMANDS:
        lines = inspect.getsource(__import__(f"scarce.cli.{name}", fromlist=["x"])).splitlines()
        assert len(lines) <= 150, f"{name} has {len(lines)} lines"


def test_docs_page_is_what_the_commands_say(root: Path) -> None:
    page = root / "docs" / "cli.md"
    assert page.read_text(encoding="utf-8") == _reference.reference(), (
        "run: python -m scarce.cli._reference > docs/cli.md"
    )


@pytest.mark.parametrize(
    "words",
    [["rnu"], ["run"], ["run", "x", "--seed", "many"], ["run", "x", "--ratios", "a,b"], ["run", "x", "--nonsense"],
     ["audit", "--fail-on", "sometimes"], ["--nonsense"], ["tag"], ["diff"]],
)  # fmt: skip
def test_misuse_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert shown.err.strip()


def test_closest_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "evaluate" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from scarce import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"scarce {__version__}\n"


def test_no_command_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code = main([])
    shown = capsys.readouterr()
    assert code in (0, 2)
    assert "scarce run photos/" in shown.out + shown.err


def test_overview_keeps_to_the_width() -> None:
    for line in typer.unstyle(_group.overview(width=80)).splitlines() if hasattr(typer, "unstyle") else []:
        assert len(line) <= 80 or "scarce run" in line
