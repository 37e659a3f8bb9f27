"""Writes docs/cli.md from the commands themselves: ``python -m scarce.cli._reference > docs/cli.md``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from scarce.cli._group import ABOUT, PANELS, load

HEAD: Final = f"""# Command line

{ABOUT} Start with `scarce run photos/`.

Every command takes `--help`; with `--json` it prints exactly one JSON object to stdout and everything else to stderr.
Progress is drawn on stderr for whatever takes longer than two seconds: bars with the time left on a terminal, a plain
line now and then elsewhere, nothing with `--quiet`.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | a contract or a gate (`--fail-on`) failed |
| 2 | misuse, or data that cannot be used; the message says what to do |
| 3 | a fault in scarce itself; `--debug` shows the traceback |
| 130 | interrupted; what was finished, and the last committed version, is whole; the same command resumes |
"""


def reference() -> str:
    """Return the page."""
    parts = [HEAD]
    for panel, commands in PANELS.items():
        parts.append(f"## {panel}\n")
        for name in commands:
            command = load(name)
            children = getattr(command, "commands", None)
            if children:
                parts.append(f"### scarce {name}\n\n{_text(command.help)}\n")
                parts += [_section(f"{name} {child}", children[child], level=4) for child in children]
            else:
                parts.append(_section(name, command, level=3))
    return "\n".join(parts).rstrip() + "\n"


def _section(name: str, command: Any, *, level: int) -> str:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    optional = [item for item in command.params if item.param_type_name == "option" and not item.hidden]
    options = [item for item in optional if "--help" not in item.opts]
    usage = " ".join(["scarce", name, *(_metavar(item) for item in arguments), "[OPTIONS]"])
    lines = [f"{'#' * level} scarce {name}", "", _text(command.help), "", "```text", usage, "```", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| `{_metavar(item)}` | {_told(item)} |" for item in arguments]
    lines += [f"| {_names(item)} | {_told(item)} |" for item in options]
    if command.epilog:
        lines += ["", "```sh", *_examples(command.epilog), "```"]
    return "\n".join(lines) + "\n"


def _names(item: Any) -> str:
    value = "" if item.is_flag else f" {item.metavar or 'VALUE'}"
    shown = ", ".join(f"`{name}{value}`" for name in sorted(item.opts, key=len, reverse=True))
    return shown.replace("|", "\\|")


def _metavar(item: Any) -> str:
    return str(item.metavar or item.name.upper()) + ("..." if item.nargs == -1 else "")


def _told(item: Any) -> str:
    text = _text(item.help)
    if isinstance(item.show_default, str):
        return f"{text} Default: {_text(item.show_default)}."
    plain = item.default is not None and not item.required and not getattr(item, "is_flag", False)
    return f"{text} Default: `{item.default}`." if plain and str(item.default) not in ("", ".") else text


def _text(text: str | None) -> str:
    return re.sub(r"\\\[", "[", text or "").replace("|", "\\|").replace("<", "&lt;")


def _examples(epilog: str) -> Iterator[str]:
    return (re.sub(r"\\\[", "[", line) for line in epilog.splitlines() if line.startswith("scarce "))


if __name__ == "__main__":
    sys.stdout.write(reference())
