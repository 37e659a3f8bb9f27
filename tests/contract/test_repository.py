"""The repository works for a stranger: no hosts, no machine paths, pinned and hashed packages, a small example."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HOST = re.compile(
    r"https?://|file://|--index-url|--extra-index-url|--find-links|--trusted-host|(?<![\w-])/(?:work|root|home|opt|tmp)/"
)


def tracked(root: Path) -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in done.stdout.splitlines()]


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "peers.txt"])
def test_requirements_are_pinned_hashed_and_name_no_host_or_path(root: Path, name: str) -> None:
    text = (root / "requirements" / name).read_text("utf-8")
    assert not HOST.search(text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 30
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_what_the_demo_needs_is_the_same_in_both(root: Path) -> None:
    run, dev = (
        dict(
            re.findall(
                r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (root / "requirements" / name).read_text("utf-8"), re.MULTILINE
            )
        )
        for name in ("run.txt", "dev.txt")
    )
    assert {name: dev.get(name) for name in run} == run


def test_no_tracked_text_names_a_path_of_a_machine(root: Path) -> None:
    bad = re.compile(r"(?<![\w.-])/(?:work|root|home)/[a-z]")
    own = Path(__file__).name
    for path in tracked(root):
        if path.suffix in (".py", ".md", ".toml", ".txt", ".css", "") and path.is_file() and path.name != own:
            found = bad.search(path.read_text("utf-8", errors="ignore"))
            assert not found, f"{path.relative_to(root)} names {found.group() if found else ''}"


def test_no_tracked_file_is_large(root: Path) -> None:
    large = [path.name for path in tracked(root) if path.is_file() and path.stat().st_size > 6_000_000]
    assert not large


def test_the_example_is_the_published_long_tail(garments: Path) -> None:
    table = pq.read_table(garments, columns=["label", "split", "row"])
    labels, splits, rows = (table[name].to_pylist() for name in ("label", "split", "row"))
    counts: dict[tuple[str, str], int] = {}
    for label, split in zip(labels, splits, strict=True):
        counts[split, label] = counts.get((split, label), 0) + 1
    train = [counts["train", name] for name in dict.fromkeys(sorted(labels, key=lambda name: -counts["train", name]))]
    assert train == [4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40]
    assert {value for (split, _), value in counts.items() if split == "test"} == {200}
    assert len(set(zip(splits, rows, strict=True))) == 11_000
    size = sum(path.stat().st_size for path in garments.parent.iterdir())
    assert size < 10_000_000


def test_the_example_can_be_made_again_byte_for_byte(garments: Path, fashion: Path, tmp_path: Path) -> None:
    import runpy

    main = runpy.run_path(str(garments.parent / "make.py"))["main"]
    main(fashion, tmp_path / "again.parquet")
    mine, shipped = pq.read_table(tmp_path / "again.parquet"), pq.read_table(garments)
    assert mine.equals(shipped)


def test_make_says_what_it_can_do(root: Path) -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=root, capture_output=True, text=True, check=True)
    for target in ("setup", "demo", "test", "test-all", "lint", "bench", "docs"):
        assert f"make {target}" in done.stdout


def test_setup_is_kind_to_an_old_python(root: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; --version) echo "Python 3.9.2";; esac\n')
    old.chmod(0o755)
    command = ["make", "-s", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode != 0
    assert "scarce needs Python 3.11 or newer" in done.stdout
    assert "Python 3.9.2" in done.stdout
