"""Label Studio over its plain HTTP API: questions go out as tasks, what people said comes back.

Tasks carry the sample's id, so nothing is pushed twice and every annotation finds its sample, whatever happened in
between. :class:`Server` speaks to it, :func:`push` and :func:`pull` exchange, :mod:`scarce.label_studio.backend` serves
predictions and the order of the queue to it.
"""

from __future__ import annotations

from scarce.label_studio._server import Server
from scarce.label_studio.exchange import Pulled, Pushed, pull, push

__all__ = ["Pulled", "Pushed", "Server", "pull", "push"]
