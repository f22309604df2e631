"""Ray Serve: POST /predict with a JPEG file, the answer is the mask's bytes."""

import time

import ray  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
from bare_session import Segmenter, options  # type: ignore[import-not-found]  # pyright: ignore
from ray import serve  # pyright: ignore[reportMissingImports]
from starlette.requests import Request  # pyright: ignore[reportMissingImports]
from starlette.responses import Response  # pyright: ignore[reportMissingImports]


class SegmentDeployment:
    """One replica, one picture at a time.

    Args:
        model_file: An ONNX file of ours.
        num_threads: Of the session.
    """

    def __init__(self, model_file: str, num_threads: int) -> None:
        self._segmenter = Segmenter(model_file, num_threads)

    async def __call__(self, request: Request) -> Response:
        """Labels of a file."""
        labels = self._segmenter.of_file(await request.body())
        return Response(labels.tobytes(), media_type="application/octet-stream")


def main() -> None:
    """Serve on the given port."""
    given = options()
    ray.init(include_dashboard=False, log_to_driver=False, num_cpus=2)
    serve.start(http_options={"host": "127.0.0.1", "port": given.port})
    deployment = serve.deployment(SegmentDeployment, num_replicas=1, max_ongoing_requests=1)
    serve.run(deployment.bind(str(given.model_file), given.num_threads), route_prefix="/predict")
    print(f"listens on 127.0.0.1:{given.port}", flush=True)  # noqa: T201 - what the bench waits for
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
