"""Every error that a user can cause or meet, as one tree.

    IsthmusError                    INTERNAL
    ├── ConfigurationError          INVALID_ARGUMENT      a YAML file or an option
    ├── EnvironmentMissingError     FAILED_PRECONDITION   a package, system library or variable
    ├── DataError                   FAILED_PRECONDITION
    │   ├── DataMissingError        NOT_FOUND             a folder, split or file is not there
    │   ├── UnreadableFileError     DATA_LOSS             truncated or not what its name says
    │   ├── UnknownLabelIdError     OUT_OF_RANGE          an id outside the data set's label space
    │   └── PairMismatchError       FAILED_PRECONDITION   image and label do not belong together
    ├── TrainingError               FAILED_PRECONDITION
    │   ├── CheckpointError         FAILED_PRECONDITION   cannot be read, or is another run's
    │   └── PretrainedWeightsError  FAILED_PRECONDITION   keys or shapes do not match
    ├── ExportError                 FAILED_PRECONDITION
    │   ├── ParityError             FAILED_PRECONDITION   ONNX and torch disagree
    │   └── ContractError           FAILED_PRECONDITION   an ONNX file that is not ours to serve
    ├── RegistryError               UNAVAILABLE
    │   ├── NotRegisteredError      NOT_FOUND             no such model, version or alias
    │   └── GateRefusedError        FAILED_PRECONDITION   the challenger did not pass
    └── ServingError                INTERNAL
        ├── InvalidFrameError       INVALID_ARGUMENT      shape, dtype or bytes of a frame
        ├── NoModelError            FAILED_PRECONDITION   nothing has been promoted yet
        ├── ModelNotLoadedError     NOT_FOUND             that version is not loaded
        ├── ModelRefusedError       FAILED_PRECONDITION   a whole model that may not serve here
        ├── FrameTooLargeError      RESOURCE_EXHAUSTED    a frame or batch above the server's limits
        ├── OverloadedError         RESOURCE_EXHAUSTED    too much in flight
        ├── QuotaExceededError      RESOURCE_EXHAUSTED    a vehicle's own share is used up
        ├── UnauthenticatedError    UNAUTHENTICATED       no certificate that names a vehicle
        ├── NotAllowedError         PERMISSION_DENIED     the policy does not let this vehicle do that
        ├── FrameExpiredError       DEADLINE_EXCEEDED     a mask would come too late to be of use
        ├── FrameSupersededError    ABORTED               a newer frame of the same camera took its place
        ├── FrameDroppedError       ABORTED               a verdict that this client does not know
        ├── DrainingError           UNAVAILABLE           the server is shutting down
        ├── ProviderError           FAILED_PRECONDITION   no GPU where the policy demands one
        ├── BackendUnavailableError UNAVAILABLE           the server that computes for this one does not answer
        └── EngineLostError         UNAVAILABLE           the GPU failed; this server ends

Each message names the thing, the place and the remedy. `status` is the name of the gRPC status code that
the server answers with; the command line prints the message without a traceback and exits with 1.
"""

from pathlib import Path
from typing import ClassVar


class IsthmusError(Exception):
    """Base of all errors meant for people.

    Args:
        problem: What is wrong, in one clause that names the thing.
        where: File, option or address where it was seen.
        remedy: What the reader can do about it, as a full sentence.
    """

    status: ClassVar[str] = "INTERNAL"

    def __init__(self, problem: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.remedy = remedy
        text = problem if where is None else f"{where}: {problem}"
        super().__init__(text if remedy is None else f"{text.rstrip('.')}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip out of a data loader's worker process."""
        return _rebuild, (type(self), self.problem, self.where, self.remedy)


def _rebuild(kind: type[IsthmusError], problem: str, where: str | None, remedy: str | None) -> IsthmusError:
    return kind(problem, where=where, remedy=remedy)


class ConfigurationError(IsthmusError):
    """A configuration file or a command-line option is wrong."""

    status = "INVALID_ARGUMENT"


class EnvironmentMissingError(IsthmusError):
    """A Python package, a system library or an environment variable is missing."""

    status = "FAILED_PRECONDITION"


class DataError(IsthmusError):
    """A data set cannot be used as it is."""

    status = "FAILED_PRECONDITION"


class DataMissingError(DataError):
    """A folder, a split or a file of a data set is not there."""

    status = "NOT_FOUND"


class UnreadableFileError(DataError):
    """A file is truncated or is not what its name says."""

    status = "DATA_LOSS"


class UnknownLabelIdError(DataError):
    """A label file holds an id that its data set's label space does not know."""

    status = "OUT_OF_RANGE"


class PairMismatchError(DataError):
    """An image and its label file do not belong together (size, or one of them missing)."""


class TrainingError(IsthmusError):
    """A training run cannot start or go on."""

    status = "FAILED_PRECONDITION"


class CheckpointError(TrainingError):
    """A checkpoint cannot be read or belongs to another run."""


class PretrainedWeightsError(TrainingError):
    """Pretrained weights do not fit the encoder key by key."""


class ExportError(IsthmusError):
    """A segmenter cannot leave as ONNX."""

    status = "FAILED_PRECONDITION"


class ParityError(ExportError):
    """The exported ONNX model disagrees with torch."""


class ContractError(ExportError):
    """An ONNX file does not keep the contract between training and serving."""


class RegistryError(IsthmusError):
    """The model registry cannot be reached or answers wrongly."""

    status = "UNAVAILABLE"


class NotRegisteredError(RegistryError):
    """The registry knows no such model, version or alias."""

    status = "NOT_FOUND"


class GateRefusedError(RegistryError):
    """A challenger did not pass the promotion gate."""

    status = "FAILED_PRECONDITION"


class ServingError(IsthmusError):
    """The server cannot answer.

    Args:
        problem: As of every `IsthmusError`.
        where: As of every `IsthmusError`.
        remedy: As of every `IsthmusError`.
        retry_after_s: Seconds after which another try may succeed; None where nobody can say.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | Path | None = None,
        remedy: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip out of another process."""
        return *super().__reduce__(), {"retry_after_s": self.retry_after_s}


class InvalidFrameError(ServingError):
    """A frame's shape, type or bytes are wrong."""

    status = "INVALID_ARGUMENT"


class NoModelError(ServingError):
    """No model has been promoted yet."""

    status = "FAILED_PRECONDITION"


class ModelNotLoadedError(ServingError):
    """The requested model version is not the loaded one."""

    status = "NOT_FOUND"


class ModelRefusedError(ServingError):
    """A model that keeps its contract may not serve here: no verdict, another label space, too slow."""

    status = "FAILED_PRECONDITION"


class FrameTooLargeError(ServingError):
    """A frame or a batch is above the server's limits, and always will be."""

    status = "RESOURCE_EXHAUSTED"


class OverloadedError(ServingError):
    """Too much is in flight; another try may succeed."""

    status = "RESOURCE_EXHAUSTED"


class QuotaExceededError(ServingError):
    """A vehicle has used up its own share of the server."""

    status = "RESOURCE_EXHAUSTED"


class UnauthenticatedError(ServingError):
    """The caller shows no certificate that names a vehicle."""

    status = "UNAUTHENTICATED"


class NotAllowedError(ServingError):
    """The policy does not let this vehicle do what it asks for."""

    status = "PERMISSION_DENIED"


class FrameExpiredError(ServingError):
    """A frame outlived its `max_age`, or the caller's deadline, before a mask was ready."""

    status = "DEADLINE_EXCEEDED"


class FrameSupersededError(ServingError):
    """A newer frame of the same camera took this one's place."""

    status = "ABORTED"


class FrameDroppedError(ServingError):
    """The server gave a frame a verdict that this client does not know, and no mask."""

    status = "ABORTED"


class DrainingError(ServingError):
    """The server is shutting down."""

    status = "UNAVAILABLE"


class ProviderError(ServingError):
    """The execution provider that the policy demands is not there."""

    status = "FAILED_PRECONDITION"


class BackendUnavailableError(ServingError):
    """The back end of a gateway cannot be reached, or does not have the model."""

    status = "UNAVAILABLE"


class EngineLostError(ServingError):
    """The execution provider failed for good; the process must be started again."""

    status = "UNAVAILABLE"
