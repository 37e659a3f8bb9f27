"""The application: paths, what they read, and what they answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

from scarce.errors import ScarceError
from scarce.flywheel import _schema as schema
from scarce.flywheel._answering import Answering
from scarce.flywheel._deployed import Deployment
from scarce.flywheel._gather import Gatherer, Item
from scarce.flywheel._guard import statuses
from scarce.flywheel._limits import Limits, RefusedError, no_room
from scarce.flywheel._memory import keep_small
from scarce.flywheel._meter import Meter
from scarce.flywheel.feedback import give
from scarce.flywheel.promote import CHALLENGER, CHAMPION
from scarce.lineage import digest

if TYPE_CHECKING:
    from scarce.project import Project

BACKLOG: Final = 64
"""Requests with feedback that may wait for the database."""
PROBE_SECONDS: Final = 2.0
FORM, JSON = "multipart/form-data", "application/json"
Source = Annotated[str, Query(max_length=100, pattern=r"^[\w .:/+-]*$", description="Camera, line or client; kept.")]


class Service:
    """Everything that the paths share.

    Args:
        project: whose champion answers.
        limits: of requests.
        deployment, answering, gatherer, meter: the parts.
    """

    def __init__(
        self, project: Project, limits: Limits, *, deployment: Deployment, answering: Answering, gatherer: Gatherer,
        meter: Meter,
    ) -> None:  # fmt: skip
        self.project, self.limits, self.deployment = project, limits, deployment
        self.answering, self.gatherer, self.meter = answering, gatherer, meter
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self._writing = 0
        self._probe: asyncio.Future[str] | None = None
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="probe")

    def stop(self) -> None:
        """Finish what was taken."""
        self.gatherer.stop()
        self.answering.stop()
        self._writer.shutdown()
        self._prober.shutdown(wait=False, cancel_futures=True)

    async def predict(self, request: Request, source: Source = "") -> Response:
        """Answer one sample: a picture as the body or as the part ``file`` of a form, a text as JSON."""
        found = (await self._predicted(request, source, most=1))[0]
        if isinstance(found, RefusedError):
            raise found
        return JSONResponse(found)

    async def predict_batch(self, request: Request, source: Source = "") -> Response:
        """Answer several samples: parts ``files`` of a form, or ``texts`` as JSON. A broken one costs no other."""
        found = await self._predicted(request, source, most=self.limits.most)
        return JSONResponse({
            "answers": [{"error": one.why, "status": one.status} if isinstance(one, RefusedError) else one
                        for one in found]
        })  # fmt: skip

    async def feedback(
        self,
        request: Request,
        new_classes: Annotated[bool, Query(description="Keep labels that are no class of the project yet.")] = False,  # noqa: FBT002
    ) -> Response:
        """Keep what people say about predictions; it is on disk when this answers. Said twice it is kept once."""
        rows = schema.parsed(schema.ROWS, await request.body())
        if self._writing >= BACKLOG:
            raise RefusedError(503, "too much feedback waits for the database", after=1)
        self._writing += 1
        task = self._writer.submit(self._give, [row.model_dump() for row in rows], new_classes)
        task.add_done_callback(lambda _: self._written())
        try:
            said = await asyncio.shield(asyncio.wrap_future(task))
        except ScarceError as error:
            raise RefusedError(503, f"the feedback cannot be kept: {error}", after=5) from error
        return JSONResponse(said)

    async def health(self) -> Response:
        """Say that the process lives."""
        return JSONResponse({"status": "alive"})

    async def ready(self) -> Response:
        """Say whether it can answer: the model's thread runs, the database is reached, and the disk has room."""
        why = [] if self.gatherer.alive else ["the model's thread has ended"]
        why += [trouble] if (trouble := await self._database()) else []
        champion, challenger = self.deployment.champion, self.deployment.challenger
        body = {
            "ready": not why, "model": champion.name, "version": champion.version,
            "challenger": challenger and challenger.name, "waiting": self.gatherer.length,
            "why": why + list(self.deployment.trouble.values()),
        }  # fmt: skip
        return JSONResponse(body, 503 if why else 200)

    async def metrics(self) -> Response:
        """Return counters and times for Prometheus."""
        champion, challenger = self.deployment.champion, self.deployment.challenger
        serving = {CHAMPION: (champion.name, champion.version or "")}
        if challenger is not None:
            serving[CHALLENGER] = (challenger.name, challenger.version or "")
        return Response(self.meter.text(self.gatherer.length, serving), media_type=self.meter.content_type)

    async def _predicted(self, request: Request, source: str, *, most: int) -> list[dict[str, Any] | RefusedError]:
        """Return an answer or a refusal for each sample of a request."""
        self.gatherer.expect(1)
        try:
            contents = await self._contents(request, most)
        finally:
            self.gatherer.expect(-1)
        out: list[Any] = []
        for content in contents:
            try:
                out.append(self._item(content, source))
            except RefusedError as error:
                out.append(error)
        items = [one for one in out if isinstance(one, Item)]
        try:
            self.gatherer.put(items)
            answers = await asyncio.gather(
                *(asyncio.wrap_future(item.future) for item in items), return_exceptions=True
            )
        except asyncio.CancelledError:
            for item in items:
                item.future.cancel()
            raise
        found = iter(answers)
        told: list[Any] = [next(found) if isinstance(one, Item) else one for one in out]
        for one in told:
            if isinstance(one, BaseException) and not isinstance(one, RefusedError):
                raise one
        busy = [one for one in told if isinstance(one, RefusedError) and one.status == 503]
        if busy:
            raise busy[0]
        return told

    def _item(self, content: bytes, source: str) -> Item:
        """Return a sample that may wait for the model.

        Raises:
            RefusedError: it is no sample of the model's kind, or too large.
        """
        text = self.deployment.champion.modality == "text"
        weight = self.limits.text(content.decode()) if text else self.limits.picture(content)
        return Item(request=uuid.uuid4().hex, content=content, sample=digest(content), source=source, weight=weight)

    async def _contents(self, request: Request, most: int) -> list[bytes]:
        """Return the content of each sample of a request.

        Raises:
            RefusedError: it holds none, too many, or something else.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        modality = self.deployment.champion.modality
        if modality == "text":
            if kind != JSON:
                raise RefusedError(415, f"the model reads texts: send {JSON} with text, or texts")
            found = schema.parsed(schema.TEXT if most == 1 else schema.TEXTS, await request.body())
            contents = [text.encode() for text in ([found.text] if most == 1 else found.texts)]
        elif kind == FORM:
            contents = await self._parts(request, most)
        elif kind == JSON or most > 1:
            raise RefusedError(415, f"the model reads pictures: send {FORM}" + " or the file itself" * (most == 1))
        else:
            contents = [await request.body()]
        if len(contents) > most:
            raise RefusedError(413, f"{len(contents)} samples in one request; the most is {most} ([serve] most)")
        return contents

    async def _parts(self, request: Request, most: int) -> list[bytes]:
        wanted = "file" if most == 1 else "files"
        try:
            async with request.form(max_files=most + 1, max_fields=16) as form:
                files = [part for name, part in form.multi_items() if isinstance(part, UploadFile) and name == wanted]
                contents = [await part.read() for part in files]
        except HTTPException as error:
            if "Too many" in str(error.detail):
                raise RefusedError(413, f"{error.detail} ([serve] most)") from None
            raise RefusedError(400, f"the form cannot be read: {error.detail}") from None
        except (ValueError, LookupError) as error:
            raise RefusedError(400, f"the form cannot be read: {error}") from None
        except OSError as error:
            raise RefusedError(503, f"the form cannot be kept: {error.strerror}", after=5) from error
        if not contents:
            raise RefusedError(422, f"the form holds no file named {wanted}")
        return contents

    def _give(self, rows: list[dict[str, Any]], new_classes: bool) -> dict[str, Any]:  # noqa: FBT001
        said = give(self.project, rows, source="http", new_classes=new_classes).to_json()
        for outcome in ("confirmed", "corrected", "repeated"):
            self.meter.feedback(outcome, said[outcome])
        self.meter.feedback("refused", len(said["refused"]))
        return said

    def _written(self) -> None:
        self._writing -= 1

    async def _database(self) -> str:
        """Return what is wrong with the database, empty = nothing; one look at a time."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.wrap_future(self._prober.submit(self._looked))
        try:
            return await asyncio.wait_for(asyncio.shield(self._probe), PROBE_SECONDS)
        except TimeoutError:
            return f"the database did not answer within {PROBE_SECONDS:g} seconds"

    def _looked(self) -> str:
        try:
            self.project.state.aliases()
        except ScarceError as error:
            return str(error)
        return no_room(self.project.folder)


def application(service: Service) -> Any:
    """Return the FastAPI application."""

    @asynccontextmanager
    async def life(_: Any) -> AsyncIterator[None]:
        service.gatherer.start()
        tidy = asyncio.create_task(keep_small())
        yield
        tidy.cancel()
        await asyncio.to_thread(service.stop)

    from scarce import __version__

    app = FastAPI(title="scarce", version=__version__, lifespan=life, redoc_url=None,
                  description="Predictions of the model that @champion means.")  # fmt: skip
    app.add_exception_handler(RefusedError, _refused)

    def route(path: str, method: str, call: Callable[..., Any], answer: Any, **more: Any) -> None:
        codes = more.pop("codes", (401, 403))
        told: dict[int | str, dict[str, Any]] = {200: {"model": answer}}
        told |= {code: {"model": schema.Trouble, "description": text} for code, text in statuses(codes).items()}
        told |= more.pop("also", {})
        app.add_api_route(path, call, methods=[method], responses=told, response_model=None,
                          openapi_extra=more.pop("body", None), **more)  # fmt: skip

    kind = service.deployment.champion.modality
    every = (400, 401, 403, 408, 413, 415, 422, 503)
    route("/predict", "POST", service.predict, schema.Answer, codes=every, body=schema.ONE[kind])
    route("/predict/batch", "POST", service.predict_batch, schema.Batch, codes=every, body=schema.MANY[kind])
    route("/feedback", "POST", service.feedback, schema.Kept, codes=(401, 403, 408, 413, 422, 503), body=schema.SAID)
    route("/health", "GET", service.health, dict[str, str], codes=(403,))
    route("/ready", "GET", service.ready, schema.Ready, codes=(403,),
          also={503: {"model": schema.Ready, "description": "It cannot answer now."}})  # fmt: skip
    app.add_api_route("/metrics", service.metrics, methods=["GET"], response_class=Response, responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **{code: {"model": schema.Trouble, "description": text} for code, text in statuses((401, 403)).items()},
    })  # fmt: skip
    return app


async def _refused(_: Any, error: Any) -> Response:
    headers = {} if error.after is None else {"retry-after": str(error.after)}
    if error.status == 413:
        headers["connection"] = "close"
    return JSONResponse({"detail": error.why}, error.status, headers)
