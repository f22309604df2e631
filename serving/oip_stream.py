"""`ModelStreamInfer`: requests in, one answer each, in their order; an error belongs to its request."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from isthmus.errors import DrainingError
from isthmus.protos.inference import open_inference_pb2 as pb
from isthmus.serving.errors import reason_code, status_of
from isthmus.serving.oip_requests import FINAL_RESPONSE

logger = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 4
"""Requests of one stream that wait or run; the next one is read when one of them is answered."""

Answer = Callable[[pb.ModelInferRequest], Awaitable[tuple[pb.ModelInferResponse, Callable[[], None]]]]
Write = Callable[[pb.ModelStreamInferResponse], Awaitable[None]]


class InferStream:
    """One call of `ModelStreamInfer`.

    Args:
        answer: Works on a request. What comes with the response is called when it need not wait for its reader any
            more.
        write: Sends a message, and returns when there is room for another.
    """

    def __init__(self, answer: Answer, write: Write) -> None:
        self._answer = answer
        self._write = write
        self._kept: dict[int, Callable[[], None]] = {}  # by the response's id; it lives at least as long
        self._calls: deque[asyncio.Task[pb.ModelStreamInferResponse]] = deque()
        self._news = asyncio.Event()
        self._has_ended = False
        self._leaving: str | None = None

    def leave(self, reason: str) -> None:
        """Take no further request, for this reason; those that are there are answered."""
        if self._leaving is None:
            self._leaving = reason
            self._news.set()

    async def run(self, requests: AsyncIterator[pb.ModelInferRequest]) -> None:
        """Answer until the client ends the stream.

        Raises:
            DrainingError: The server ends it first, since it shuts down or the stream is old.
        """
        reader = asyncio.get_running_loop().create_task(self._read(requests), name="infer-stream-reader")
        try:
            while self._calls or not (self._has_ended or self._leaving):
                if self._calls:
                    response = await self._calls[0]
                    await self._write(response)
                    self._give_back(response)
                    del response  # else an idle stream would hold it
                    self._calls.popleft()
                    self._news.set()
                else:
                    self._news.clear()
                    await self._news.wait()
            if reader.done():
                reader.result()
            if not self._has_ended:
                raise DrainingError(self._leaving or "the stream has ended", remedy="Open another stream.")
        finally:
            tasks = {reader, *self._calls}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for give_back in self._kept.values():
                give_back()

    def _give_back(self, response: pb.ModelStreamInferResponse) -> None:
        give_back = self._kept.pop(id(response), None)
        if give_back is not None:
            give_back()

    async def _read(self, requests: AsyncIterator[pb.ModelInferRequest]) -> None:
        try:
            async for request in requests:
                if self._leaving:
                    return
                self._calls.append(asyncio.get_running_loop().create_task(self._response(request)))
                self._news.set()
                while len(self._calls) >= MAX_AT_ONCE:
                    self._news.clear()
                    await self._news.wait()
        finally:
            self._has_ended = not self._leaving
            self._news.set()

    async def _response(self, request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
        response = pb.ModelStreamInferResponse()
        try:
            answer, self._kept[id(response)] = await self._answer(request)
            response.infer_response.CopyFrom(answer)
        except Exception as error:
            if reason_code(error) == "INTERNAL":
                logger.exception("a request failed")
            response.error_message = status_of(error).message
            response.infer_response.id = request.id
        if request.parameters[FINAL_RESPONSE].bool_param:
            response.infer_response.parameters["triton_final_response"].bool_param = True
        return response
