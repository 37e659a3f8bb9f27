"""How work is spread: no plugin knows which way."""

MODULES = ("local",)
