"""Texts from a language model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, final

from scarce.errors import ConfigError, DataError, ReadError
from scarce.extras import need
from scarce.hub import fetching
from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order
from scarce.synthesize.generate._json import read_texts
from scarce.synthesize.generate._prompt import fill, read_prompt
from scarce.synthesize.generate._server import RefusedError, Server, Terms

WHO: Final = "synthesize.language_model"
EDGES: Final = {
    "ambiguous": "the wording could at first sight belong to another class",
    "rare": "unusual words, sayings or jargon of the field",
    "noisy": "typing errors, missing marks, abbreviations, mixed languages",
    "contrary": "they mention the opposite, deny it, or praise and complain at once",
}
"""The four kinds of edge cases."""
Say = Callable[[str, int], str]
"""A prompt and a seed in, an answer out."""


@final
@dataclass(frozen=True, kw_only=True)
class LanguageModel(AbstractGenerator):
    """Write texts with a language model: new examples, edge cases or paraphrases of a class.

    Use when a class of texts is rare and its meaning can be said in words. Do not use when wording is all that matters,
    or when real texts must not leave the house and the model is a service.
    Sent to base_url, if one is named: the prompt with the names of the classes and up to ``shown`` real training texts
    of the class; the key, where key_env names one. Redirects are not followed. Without base_url the model runs here and
    nothing is sent.
    Needs: training samples of the class for edge cases and paraphrases.
    Writes: texts; near copies of real texts and of each other are rejected.
    Source: Yoo et al. 2021, GPT3Mix; Dai et al. 2023, AugGPT (paraphrases).

    Args:
        task: examples, edge_cases (four kinds in turn, from five examples) or paraphrases (of one real text each).
        base_url: address of a service that speaks OpenAI's chat protocol, for example http://localhost:8000/v1.
        model: name that the service knows; without base_url a folder or hub name for transformers.
        revision: commit or branch of a hub model; empty = its newest.
        key_env: name of the environment variable that holds the key; empty = none is sent.
        domain: what the texts are about.
        style: how they should read.
        sentences: how long each is.
        each: texts a call; 0 = three for paraphrases, five for the others.
        shown: real examples in a prompt; paraphrases show one.
        prompts: folder with your own prompt files; empty = the shipped ones.
        temperature: how freely it writes; 0 = always the likeliest word.
        most_tokens: of one answer.
        json_mode: ask the service for JSON by the protocol's own switch; not every service has it.
        price: money for one text; counted for most_money.
        most_calls: requests in all, failed ones included; 0 = no limit.
        most_money: in all, in the currency of price; 0 = no limit.
        timeout_seconds: for one request.
        tries: of one request, where the service is busy or does not answer.
        pause_seconds: before the second try; doubled before each further one.
    """

    makes: ClassVar[str] = "text"
    extra: ClassVar[str | None] = "synthesize"
    free: ClassVar[tuple[str, ...]] = (
        "base_url", "key_env", "price", "most_calls", "most_money", "timeout_seconds", "tries", "pause_seconds",
    )  # fmt: skip

    task: Literal["examples", "edge_cases", "paraphrases"] = "examples"
    base_url: str = ""
    model: str = ""
    revision: str = ""
    key_env: str = ""
    domain: str = "everyday texts"
    style: str = ""
    sentences: str = "one or two sentences"
    each: int = 0
    shown: int = 5
    prompts: str = ""
    temperature: float = 0.9
    most_tokens: int = 1024
    json_mode: bool = False
    price: float = 0.0
    most_calls: int = 0
    most_money: float = 0.0
    timeout_seconds: float = 120.0
    tries: int = 5
    pause_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if min(self.each, self.shown, self.price, self.most_calls, self.most_money, self.temperature) < 0:
            raise ConfigError(WHO, "each, shown, price, most_calls, most_money and temperature must not be negative")
        if self.tries < 1 or self.timeout_seconds <= 0 or self.most_tokens < 1 or (self.most_money and not self.price):
            what = f"tries = {self.tries}, timeout_seconds = {self.timeout_seconds}, most_tokens = {self.most_tokens}"
            raise ConfigError(WHO, f"{what}, price = {self.price} are out of range",
                              do="use 1 or more, a time > 0, and a price with most_money")  # fmt: skip

    def sources(self) -> tuple[str, int]:
        """Return how many real texts of the class a prompt shows."""
        most = 1 if self.task == "paraphrases" else self.shown
        return ("class", most) if most else ("none", 0)

    def per_order(self) -> int:
        """Return the texts of one call."""
        return self.each or (3 if self.task == "paraphrases" else 5)

    def combinations(self, name: str) -> list[dict[str, str]]:  # noqa: ARG002  one hook
        """Return the four kinds of edge cases where they are asked for."""
        return [{"edge": kind} for kind in EDGES] if self.task == "edge_cases" else [{}]

    def maker(self, spent: Mapping[str, float]) -> AbstractContextManager[Maker]:
        """Load the model, or get ready to speak to the service."""
        if not self.model:
            raise ConfigError(WHO, "model is empty", do="name a model of the service, or a folder or hub name")
        prompts = {name: read_prompt(self.prompts, name, who=WHO) for name in (self.task, "repair")}
        return _ready(self, prompts, spent)


@contextlib.contextmanager
def _ready(plugin: LanguageModel, prompts: Mapping[str, str], spent: Mapping[str, float]) -> Iterator[Maker]:
    if not plugin.base_url:
        yield _Writer(plugin, prompts, _local(plugin), None)
        return
    terms = Terms(base_url=plugin.base_url, key_env=plugin.key_env, price=plugin.price, most_calls=plugin.most_calls,
                  most_money=plugin.most_money, timeout_seconds=plugin.timeout_seconds, tries=plugin.tries,
                  pause_seconds=plugin.pause_seconds)  # fmt: skip
    server = Server(terms, WHO, spent)
    yield _Writer(plugin, prompts, _service(plugin, server), server)


class _Writer:
    """A model that answers prompts with texts."""

    def __init__(self, plugin: LanguageModel, prompts: Mapping[str, str], say: Say, server: Server | None) -> None:
        self.plugin, self.prompts, self.say, self.server = plugin, prompts, say, server
        self.spent: Mapping[str, float] = server.spent if server is not None else {}

    def make(self, order: Order) -> Iterator[Made]:
        """Ask once, and once more for JSON where the answer is none."""
        plugin = self.plugin
        count = self.server.affordable(order.count) if self.server is not None else order.count
        edge = order.values.get("edge", "")
        values = {
            "label": order.label, "domain": plugin.domain, "style": plugin.style, "sentences": plugin.sentences,
            "count": str(count), "kind": EDGES.get(edge, ""), "classes": ", ".join(order.classes),
            "examples": "\n".join(f"- {source.content}" for source in order.sources),
        }  # fmt: skip
        prompt = fill(self.prompts[plugin.task], values, who=WHO)
        record = {"model": plugin.model, "revision": plugin.revision, "task": plugin.task, "prompt": prompt}
        parents = tuple(source.id for source in order.sources)
        try:
            answer = self.say(prompt, order.seed)
            texts = read_texts(answer)
            if not texts and answer.strip():
                texts = read_texts(self.say(fill(self.prompts["repair"], {"answer": answer}, who=WHO), order.seed))
        except RefusedError as error:
            yield Made("", record=record, refused=error.what)
            return
        if self.server is not None:
            self.server.paid(len(texts))
        if not texts:
            yield Made("", record=record, refused="the answer is no JSON with texts")
        for text in texts[:count]:
            yield Made(text, None, parents, record)


def _service(plugin: LanguageModel, server: Server) -> Say:
    def say(prompt: str, seed: int) -> str:
        body: dict[str, Any] = {
            "model": plugin.model, "messages": [{"role": "user", "content": prompt}], "seed": seed,
            "temperature": plugin.temperature, "max_tokens": plugin.most_tokens,
        }  # fmt: skip
        if plugin.json_mode:
            body["response_format"] = {"type": "json_object"}
        answer = server.post("/chat/completions", body, server.bearer())
        try:
            return _said(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError) as error:
            raise RefusedError(WHO, f"the answer has another form: {str(answer)[:100]}") from error

    return say


def _said(content: Any) -> str:
    """Return what a chat answer says; some servers answer in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") if isinstance(part, dict) else str(part) for part in content)
    return str(content or "")


def _local(plugin: LanguageModel) -> Say:
    """Return a model of transformers on this machine."""
    torch, transformers = need("torch", extra="synthesize"), need("transformers", extra="synthesize")
    place = Path(plugin.model).expanduser()
    name = str(place) if place.exists() else plugin.model
    options = {"revision": plugin.revision} if plugin.revision else {}
    try:
        with fetching(name):
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
            model = transformers.AutoModelForCausalLM.from_pretrained(name, **options).eval()
    except (OSError, ValueError, RuntimeError, ImportError, KeyError) as error:
        do = "name a folder or hub model for transformers, or a service with base_url"
        raise ReadError(
            WHO, f"the model {plugin.model!r} cannot be loaded ({str(error).strip()[:300]})", do=do
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device)

    def say(prompt: str, seed: int) -> str:
        if getattr(tokenizer, "chat_template", None):
            told = [{"role": "user", "content": prompt}]
            prompt = tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        batch = tokenizer(prompt, return_tensors="pt").to(device)
        batch.pop("token_type_ids", None)
        draw: dict[str, Any] = (
            {"do_sample": True, "temperature": plugin.temperature} if plugin.temperature else {"do_sample": False}
        )
        draw |= {"max_new_tokens": plugin.most_tokens, "pad_token_id": tokenizer.eos_token_id}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            try:
                out = model.generate(**batch, **draw)
            except (RuntimeError, ValueError, IndexError) as error:
                raise DataError(WHO, f"the model {plugin.model!r} failed ({str(error).strip()[:200]})",
                                do="show fewer examples, or set a smaller most_tokens") from error  # fmt: skip
        return str(tokenizer.decode(out[0, batch["input_ids"].shape[1] :], skip_special_tokens=True))

    return say
