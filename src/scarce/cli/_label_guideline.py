"""``scarce label guideline``."""

from __future__ import annotations

from scarce.cli._options import AsJson, Debug, InProject, ProjectFolder, Quiet, Seed, Workers, folder_of
from scarce.cli._screen import relative, safe, screen

SHOWN = 12


def guideline(
    project: ProjectFolder = None,
    named: InProject = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the label book: what each class means, with examples from the data.

    The words are yours, in guideline/book.toml: definition, what it is not, rules with limits, edge cases, the default
    when unsure, a checklist, gold items. They are never overwritten; a change makes a new version. The pages (HTML and
    Markdown) show typical samples, look-alikes of other classes and borderline cases, and say what is still missing.

    Example:
        scarce label guideline photos-scarce
    """
    with screen(as_json, quiet, debug) as out:
        from scarce.loop.guideline import write_guideline
        from scarce.project import Project

        with Project.open(folder_of(project, named)) as opened:
            done = write_guideline(opened, workers=workers, seed=seed)
        lines = [f"version {done.version}: {safe(relative(done.html))}", f"your words: {safe(relative(done.words))}"]
        lines += [safe(f"warning: {text}") for text in done.warnings[:SHOWN]]
        lines += [f"and {len(done.warnings) - SHOWN} more warnings"] * (len(done.warnings) > SHOWN)
        out.show(done.to_json(), lambda console: console.print("\n".join(lines)))
