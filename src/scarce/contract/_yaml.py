"""YAML as contracts need it: times stay text, a key that is given twice is an error, nothing runs."""

from __future__ import annotations

from typing import Any

from scarce.errors import ConfigError
from scarce.extras import need


def read_yaml(text: str) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: it is no YAML, no mapping, or gives a key twice.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = need("yaml", extra="contract")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """Safe, without times, strict about keys."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  of its base
            seen = set()
            for key, _ in node.value:
                if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
                if isinstance(key.value, str):
                    seen.add(key.value)
            found: dict[Any, Any] = super().construct_mapping(node, deep)
            return found

    Loader.yaml_implicit_resolvers = {
        letter: [(tag, pattern) for tag, pattern in items if tag != "tag:yaml.org,2002:timestamp"]
        for letter, items in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        body = yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigError("contract", f"this is not YAML{where}: {problem}") from error
    if not isinstance(body, dict):
        raise ConfigError("contract", "this is no data contract", f"it is {type(body).__name__}, not a mapping")
    return body


def write_yaml(body: dict[str, Any]) -> str:
    """Return a mapping as YAML, keys in their order."""
    yaml = need("yaml", extra="contract")

    class Dumper(yaml.SafeDumper):  # type: ignore[misc, name-defined]
        """Safe, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the shape of its base
            return True

    text: str = yaml.dump(body, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
