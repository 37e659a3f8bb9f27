"""Synonyms: WordNet's own files, other languages through NLTK or wn, or a list of the user."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from scarce.augment._text import edits_in, stop_words
from scarce.errors import ConfigError, ReadError
from scarce.extras import available, need
from scarce.recipe import Params

Synonyms = Callable[[str], list[str]]
"""A word to its synonyms, in a fixed order; empty where none is known."""
FOLDERS: Final = ("/usr/share/wordnet", "/usr/share/wordnet-3.0/dict", "/usr/local/WordNet-3.0/dict")
"""Where systems keep WordNet (Debian's package wordnet-base, Homebrew and the original installer)."""
KINDS: Final = ("noun", "verb", "adj", "adv")
_ENDINGS: Final = {
    "noun": (
        ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y"),
        ("s", ""),
    ),
    "verb": (("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""), ("s", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip
"""WordNet's rules of detachment (morphy)."""


@lru_cache(maxsize=4)
def lexicon(name: str) -> Synonyms:
    """Return the synonyms that a setting names.

    Args:
        name: ``auto`` (English WordNet where NLTK or the system keeps it), the path of a folder with WordNet's files
            (``data.noun`` ...), the path of a list (one group of synonyms a line, split by tabs, commas or ``=``),
            ``nltk:fra`` (Open Multilingual WordNet of NLTK, three-letter codes) or ``wn:ko`` (any lexicon of the
            package wn, by language).

    Raises:
        ConfigError: nothing of that name is there.
        ReadError: a file cannot be read.
    """
    kind, mark, language = name.partition(":")
    if mark and kind == "nltk":
        return _from_nltk(language)
    if mark and kind == "wn":
        return _from_wn(language)
    path = Path(name)
    if name != "auto":
        if (path / "data.noun").is_file():
            return _from_wordnet(path)
        if path.is_file():
            return _from_list(path)
        raise ConfigError(
            "augment", f"there are no synonyms at {name!r}", "it is neither a list nor a WordNet folder", HOW
        )
    folder = next((Path(place) for place in _folders() if (Path(place) / "data.noun").is_file()), None)
    if folder is not None:
        return _from_wordnet(folder)
    raise ConfigError("augment", "WordNet is not here", "looked in " + ", ".join(_folders()), HOW)


HOW: Final = """install WordNet (apt-get install wordnet-base, or python -m nltk.downloader wordnet), name its folder in
WNSEARCHDIR, or set lexicon to a list of your own: one group of synonyms a line, split by commas""".replace("\n", " ")


def edited(change: Callable[..., str], text: str, params: Params) -> str:
    """Return a text after an edit with synonyms, ``change(text, synonyms, n=, seed=, kept=)``, by drawn parameters."""
    return change(
        text, lexicon(str(params["lexicon"])), n=edits_in(text, params), seed=int(params["seed"]),
        kept=stop_words(str(params["kept"])),
    )  # fmt: skip


def _folders() -> list[str]:
    own = [place for place in (os.environ.get("WNSEARCHDIR"),) if place]
    if available("nltk"):
        nltk = need("nltk", extra="text")
        own += [str(Path(place) / "corpora" / "wordnet") for place in nltk.data.path]
    return [*own, *FOLDERS]


def _from_list(path: Path) -> Synonyms:
    groups: dict[str, list[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError("augment", f"the synonyms {path} cannot be read ({error})",
                        do="write one group a line in UTF-8, split by commas") from error  # fmt: skip
    for line in lines:
        words = [word.strip() for word in re.split(r"[\t,=、，]", line.partition("#")[0]) if word.strip()]
        for word in words:
            own = groups.setdefault(word.casefold(), [])
            own += [other for other in words if other != word and other not in own]
    if not groups:
        raise ReadError("augment", f"the list {path} holds no synonyms", do="write one group a line, split by commas")

    def find(word: str) -> list[str]:
        key = word.casefold()
        return groups[key] if key in groups else _with_particle(word, groups)

    return find


_FIRST, _LAST = "가", "힣"
_PAIRS: Final = {"은": "는", "이": "가", "을": "를", "과": "와", "으로": "로", "이나": "나", "이랑": "랑"}
_OTHERS: Final = ("의", "에", "도", "만", "에서", "에게", "까지", "부터", "보다", "처럼", "마다", "들")


def _with_particle(word: str, groups: dict[str, list[str]]) -> list[str]:
    """Return the synonyms of a Korean noun that carries a particle, each with the form that its last sound asks for."""
    if not (word and _FIRST <= word[-1] <= _LAST):
        return []
    back = {vowel: consonant for consonant, vowel in _PAIRS.items()}
    for particle in sorted({*_PAIRS, *back, *_OTHERS}, key=len, reverse=True):
        stem = word.removesuffix(particle)
        if stem == word or stem not in groups:
            continue
        closed, opened = (
            (particle, _PAIRS[particle]) if particle in _PAIRS else (back.get(particle, particle), particle)
        )
        return [other + (closed if _ends_closed(other, particle) else opened) for other in groups[stem]]
    return []


def _ends_closed(word: str, particle: str) -> bool:
    last = word[-1]
    if not _FIRST <= last <= _LAST:
        return False
    final = (ord(last) - ord(_FIRST)) % 28
    return bool(final) and not (final == 8 and particle in ("로", "으로"))  # after a final l the particle is 로


def _from_wordnet(folder: Path) -> Synonyms:
    """Read WordNet's data files once: about a second and 60 MB."""
    groups: dict[str, list[str]] = {}
    known: dict[str, set[str]] = {kind: set() for kind in KINDS}
    irregular: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    try:
        for kind in KINDS:
            _read_data(folder / f"data.{kind}", groups, known[kind])
            exceptions = folder / f"{kind}.exc"
            if exceptions.is_file():
                pairs = (line.split() for line in exceptions.read_text(encoding="latin-1").splitlines())
                irregular[kind] = {words[0]: words[1] for words in pairs if len(words) > 1}
    except (OSError, ValueError, IndexError) as error:
        raise ReadError("augment", f"WordNet in {folder} cannot be read ({error})", do="install it again") from error

    def find(word: str) -> list[str]:
        key = word.lower()
        forms = dict.fromkeys(form for kind in KINDS for form in _forms(key, kind, known[kind], irregular[kind]))
        found = dict.fromkeys(other for form in forms for other in groups.get(form, ()))
        return [other for other in found if other not in (key, *forms)]

    return find


def _read_data(path: Path, groups: dict[str, list[str]], known: set[str]) -> None:
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith(" "):
            continue
        _, _, _, width, rest = line.split(" ", 4)
        count = int(width, 16)
        cells = rest.split(" ", 2 * count)
        words = [cells[2 * place].partition("(")[0].replace("_", " ").lower() for place in range(count)]
        known.update(words)
        if count > 1:
            for word in words:
                groups.setdefault(word, []).extend(words)


def _forms(word: str, kind: str, known: set[str], irregular: dict[str, str]) -> Iterable[str]:
    """Return the base forms of a word that WordNet knows, itself first."""
    if word in known:
        yield word
    if word in irregular:
        yield irregular[word]
        return
    for ending, base in _ENDINGS[kind]:
        if word.endswith(ending) and len(word) > len(ending) + 1 and word[: -len(ending)] + base in known:
            yield word[: -len(ending)] + base


def _from_nltk(language: str) -> Synonyms:
    wordnet = need("nltk.corpus", extra="text").wordnet
    try:
        languages = wordnet.langs()
    except LookupError as error:
        raise ConfigError(
            "augment", "NLTK's WordNet is not here", do="python -m nltk.downloader wordnet omw-1.4"
        ) from error
    if language not in languages:
        raise ConfigError(
            "augment",
            f"Open Multilingual WordNet has no language {language!r}",
            f"it has {', '.join(sorted(languages))}",
        )

    def find(word: str) -> list[str]:
        names = (name for group in wordnet.synsets(word, lang=language) for name in group.lemma_names(language))
        return [name for name in dict.fromkeys(name.replace("_", " ") for name in names) if name != word]

    return find


def _from_wn(language: str) -> Synonyms:
    wn = need("wn", extra="text")
    if not wn.lexicons(lang=language):
        present = ", ".join(sorted({item.language for item in wn.lexicons()})) or "nothing"
        raise ConfigError("augment", f"wn has no lexicon of language {language!r}", f"it has {present}",
                          "python -m wn download NAME, or python -m wn add FILE")  # fmt: skip
    words = wn.Wordnet(lang=language)

    def find(word: str) -> list[str]:
        names = (name for group in words.synsets(word) for name in group.lemmas())
        return [name for name in dict.fromkeys(names) if name != word]

    return find
