"""MLServer's custom runtime: an Open Inference Protocol request with a JPEG file or a picture."""

from typing import Any

from bare_session import Segmenter  # type: ignore[import-not-found]  # pyright: ignore
from mlserver import MLModel  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
from mlserver.types import (  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
    InferenceRequest,
    InferenceResponse,
)


class SegmentRuntime(MLModel):  # type: ignore[misc]  # it is not installed beside us
    """One picture a request."""

    async def load(self) -> bool:
        """Open the session."""
        extra: dict[str, Any] = self.settings.parameters.extra
        self._segmenter = Segmenter(extra["model_file"], extra["num_threads"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Labels of the request's only input."""
        given = payload.inputs[0]
        if given.datatype == "BYTES":
            data = given.data[0] if isinstance(given.data, list) else given.data.root[0]
            labels = self._segmenter.of_file(data)
        else:
            labels = self._segmenter.of_image(NumpyCodec.decode_input(given)[0])
        output = NumpyCodec.encode_output("labels", labels[None])
        return InferenceResponse(model_name=self.name, outputs=[output])
