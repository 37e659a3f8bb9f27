"""What goes over HTTP: the shapes that OpenAPI shows, and how bodies are read into them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.functional_validators import AfterValidator

from scarce.flywheel._limits import RefusedError

MOST_ROWS: Final = 1000
"""Rows of feedback in one request."""


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text must not hold the character NUL")
    return text


WHOLE: Final = {"pattern": "^[^\\u0000]*$"}
"""What OpenAPI says about it."""
Name = Annotated[str, Field(max_length=200, json_schema_extra=WHOLE), AfterValidator(_storable)]


class Answer(BaseModel):
    """One prediction."""

    model_config = ConfigDict(populate_by_name=True)

    request: str = Field(description="Its id; name it in feedback.")
    label: str = Field(alias="class", description="Likeliest class.")
    probability: float = Field(ge=0, le=1, description="Of that class, calibrated.")
    natural_probability: float | None = Field(description="Where classes are as common as in training; null = alike.")
    verdict: Literal["accept", "reject", "unknown", "ask"] = Field(
        description="At the operating point; unknown = none of the classes; ask = a person should decide."
    )
    candidates: list[str] = Field(description="Classes that remain possible, the likeliest first.")
    defect_score: float | None = Field(description="1 - p(normal); null without a normal class.")
    unknown_score: float | None = Field(description="How foreign it is, higher = more; null without a detector.")
    model: str = Field(description="Name of the model that answered.")
    version: str | None = Field(description="Version of the data that it stands on.")
    sample: str = Field(description="Hash of the sample's content.")


class Failure(BaseModel):
    """A sample of a batch that has no answer."""

    error: str = Field(description="Why.")
    status: int = Field(description="The status that it would have had alone.")


class Batch(BaseModel):
    """Answers, in the order of the samples."""

    answers: list[Answer | Failure]


class Row(BaseModel):
    """What somebody says about one prediction: a label, or that it was right."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request: Name = Field(min_length=1, description="Its id.")
    label: Name = Field(default="", description="What it is.")
    confirm: bool = Field(default=False, description="The answer was right.")
    voter: Name = Field(default="", description="Who says so.")
    note: Annotated[str, Field(max_length=2000, json_schema_extra=WHOLE), AfterValidator(_storable)] = ""


class Refusal(BaseModel):
    """A row that was not kept."""

    request: str
    why: str


class Kept(BaseModel):
    """What became of feedback; it is on disk."""

    kept: int
    confirmed: int
    corrected: int
    repeated: int = Field(description="Said before; kept once.")
    refused: list[Refusal]


class Text(BaseModel):
    """A text, for models of texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(min_length=1, description="Not only blanks.", json_schema_extra={"pattern": r"\S"})


class Texts(BaseModel):
    """Several texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(min_length=1, description="None of them empty.")


class Trouble(BaseModel):
    """Why there is no answer."""

    detail: Any


class Ready(BaseModel):
    """What answers now."""

    ready: bool
    model: str
    version: str | None
    challenger: str | None
    waiting: int
    why: list[str] = Field(description="What is wrong; models that could not be loaded.")


ROWS: Final = TypeAdapter(Annotated[list[Row], Field(min_length=1, max_length=MOST_ROWS)])
TEXT: Final = TypeAdapter(Text)
TEXTS: Final = TypeAdapter(Texts)


def parsed(kind: TypeAdapter[Any], body: bytes) -> Any:
    """Return a body of JSON as what it should be.

    Raises:
        RefusedError: it is not; the reason names the place, not the value.
    """
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        why = "; ".join(
            f"{'.'.join(str(part) for part in one['loc']) or 'the body'}: {one['msg']}" for one in found[:5]
        )
        raise RefusedError(422, why) from None


def body_of(*parts: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what OpenAPI says about a body: content type and schema of each way to send it."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in parts}}}


FILE: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
ONE: Final = {
    "image": body_of(
        ("application/octet-stream", FILE), ("image/*", FILE),
        ("multipart/form-data", {"type": "object", "properties": {"file": FILE}, "required": ["file"]}),
    ),
    "text": body_of(("application/json", Text.model_json_schema())),
}  # fmt: skip
"""How one sample is sent, by the kind of data that the model reads."""
MANY: Final = {
    "image": body_of(
        ("multipart/form-data", {"type": "object", "required": ["files"], "properties": {
            "files": {"type": "array", "items": FILE, "minItems": 1}}}),
    ),
    "text": body_of(("application/json", Texts.model_json_schema())),
}  # fmt: skip
SAID: Final = body_of(
    ("application/json", {"type": "array", "minItems": 1, "maxItems": MOST_ROWS, "items": Row.model_json_schema()}),
)  # fmt: skip
