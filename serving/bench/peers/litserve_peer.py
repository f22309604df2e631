"""LitServe: POST /predict with a JPEG file, the answer is the mask's bytes."""

from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
from bare_session import Segmenter, options, say_when_ready  # type: ignore[import-not-found]  # pyright: ignore
from fastapi import Body, Response  # pyright: ignore[reportMissingImports]


class SegmentApi(litserve.LitAPI):  # type: ignore[misc]  # it is not installed beside us
    """One worker, one picture at a time: batches gain nothing on a CPU.

    Args:
        model_file: An ONNX file of ours.
        num_threads: Of the session.
    """

    def __init__(self, model_file: str, num_threads: int) -> None:
        super().__init__()
        self._given = (model_file, num_threads)

    def setup(self, device: str) -> None:  # noqa: ARG002 - the method's shape is LitServe's
        """Open the session, in the worker."""
        self._segmenter = Segmenter(*self._given)

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> bytes:
        """The file; LitServe makes its route from this annotation."""
        return request

    def predict(self, data: bytes) -> Any:
        """Its labels."""
        return self._segmenter.of_file(data)

    def encode_response(self, labels: Any) -> Response:
        """Their bytes."""
        return Response(labels.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve on the given port."""
    given = options()
    api = SegmentApi(str(given.model_file), given.num_threads)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=False)
    say_when_ready(f"http://127.0.0.1:{given.port}/health", f"127.0.0.1:{given.port}")
    server.run(host="127.0.0.1", port=given.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
