"""What one writes in an afternoon: grpc.aio, a worker thread, first in, first out. It runs in our own environment.

A call whose deadline has passed is cancelled by gRPC, and then does not run if it still waited for the thread.
"""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc.aio

from isthmus.protos.isthmus.serving.v1 import segmentation_pb2 as pb
from isthmus.protos.isthmus.serving.v1 import segmentation_pb2_grpc
from isthmus.serving.bench.peers.bare_session import Segmenter, options


class NaiveServicer(segmentation_pb2_grpc.SegmentationServiceServicer):
    """Decodes and computes each JPEG on one thread, in order of arrival.

    Args:
        segmenter: The session.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._thread = ThreadPoolExecutor(1)

    async def Segment(self, request: pb.SegmentRequest, context: Any) -> pb.SegmentResponse:  # noqa: N802, ARG002
        """Segment one JPEG."""
        work = functools.partial(self._segmenter.of_file, request.frame.data)
        labels = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        result = pb.FrameResult(
            camera_id=request.frame.camera_id,
            sequence_number=request.frame.sequence_number,
            verdict=pb.VERDICT_SEGMENTED,
            mask_encoding=pb.MASK_ENCODING_RAW8,
            mask_width=labels.shape[1],
            mask_height=labels.shape[0],
            mask=labels.tobytes(),
        )
        return pb.SegmentResponse(result=result)


async def _serve() -> None:
    given = options()
    server = grpc.aio.server()
    servicer = NaiveServicer(Segmenter(str(given.model_file), given.num_threads))
    segmentation_pb2_grpc.add_SegmentationServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listens on 127.0.0.1:{port}", flush=True)  # noqa: T201 - what the bench waits for
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve())
