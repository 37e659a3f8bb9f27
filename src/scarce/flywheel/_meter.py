"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scarce.extras import need

PATHS = ("/predict", "/predict/batch", "/feedback", "/health", "/ready", "/metrics", "/docs", "/openapi.json")
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Meter:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        prometheus: Any = need("prometheus_client", extra="serve")
        self._text: Callable[[Any], bytes] = prometheus.generate_latest
        self.content_type: str = prometheus.CONTENT_TYPE_LATEST
        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        counter, histogram, gauge = prometheus.Counter, prometheus.Histogram, prometheus.Gauge
        self._requests = counter("scarce_requests", "Requests by path and status.", ("path", "status"),
                                 registry=registry)  # fmt: skip
        self._seconds = histogram("scarce_request_seconds", "From the first byte to the answer.", ("path",),
                                  buckets=SECONDS, registry=registry)  # fmt: skip
        self._predictions = counter("scarce_predictions", "Logged predictions.", ("served_as", "verdict"),
                                    registry=registry)  # fmt: skip
        self._sizes = histogram("scarce_batch_samples", "Samples that a model was given at once.", buckets=SIZES,
                                registry=registry)  # fmt: skip
        self._model = histogram("scarce_batch_seconds", "A model's time for a batch.", buckets=SECONDS,
                                registry=registry)  # fmt: skip
        self._dropped = counter("scarce_shadow_dropped", "Samples without a shadow answer.", registry=registry)
        self._unlogged = counter("scarce_unlogged_batches", "Batches that could not be logged and were refused.",
                                 registry=registry)  # fmt: skip
        self._feedback = counter("scarce_feedback", "Rows of feedback.", ("outcome",), registry=registry)
        self._waiting = gauge("scarce_waiting_samples", "Samples that wait for a model.", registry=registry)
        self._serving = gauge("scarce_serving", "1 for the model that answers.", ("alias", "model", "version"),
                              registry=registry)  # fmt: skip

    def request(self, path: str, status: int, seconds: float) -> None:
        """One request was answered."""
        shown = path if path in PATHS else "other"
        self._requests.labels(shown, str(status)).inc()
        self._seconds.labels(shown).observe(seconds)

    def batch(self, size: int, seconds: float) -> None:
        """One batch was answered by a model."""
        self._sizes.observe(size)
        self._model.observe(seconds)

    def predicted(self, served_as: str, verdict: str) -> None:
        """One prediction was logged."""
        self._predictions.labels(served_as, verdict).inc()

    def dropped(self, count: int) -> None:
        """So many samples got no shadow answer."""
        self._dropped.inc(count)

    def unlogged(self) -> None:
        """A batch could not be logged."""
        self._unlogged.inc()

    def feedback(self, outcome: str, count: int) -> None:
        """So many rows of feedback were ``confirmed``, ``corrected``, ``repeated`` or ``refused``."""
        self._feedback.labels(outcome).inc(count)

    def text(self, waiting: int, serving: dict[str, tuple[str, str]]) -> bytes:
        """Return everything in Prometheus' format.

        Args:
            waiting: samples that wait now.
            serving: alias to the model that answers and its version.
        """
        self._waiting.set(waiting)
        self._serving.clear()
        for alias, (model, version) in serving.items():
            self._serving.labels(alias, model, version).set(1)
        return self._text(self._registry)
