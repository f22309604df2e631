import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FrameEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FRAME_ENCODING_UNSPECIFIED: _ClassVar[FrameEncoding]
    FRAME_ENCODING_RGB8: _ClassVar[FrameEncoding]
    FRAME_ENCODING_JPEG: _ClassVar[FrameEncoding]
    FRAME_ENCODING_PNG: _ClassVar[FrameEncoding]

class MaskEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MASK_ENCODING_UNSPECIFIED: _ClassVar[MaskEncoding]
    MASK_ENCODING_RAW8: _ClassVar[MaskEncoding]
    MASK_ENCODING_ZSTD: _ClassVar[MaskEncoding]
    MASK_ENCODING_PNG: _ClassVar[MaskEncoding]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_SEGMENTED: _ClassVar[Verdict]
    VERDICT_EXPIRED: _ClassVar[Verdict]
    VERDICT_SUPERSEDED: _ClassVar[Verdict]
    VERDICT_OVERLOADED: _ClassVar[Verdict]
    VERDICT_INVALID: _ClassVar[Verdict]
    VERDICT_FAILED: _ClassVar[Verdict]

class ServiceClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_CLASS_UNSPECIFIED: _ClassVar[ServiceClass]
    SERVICE_CLASS_LIVE: _ClassVar[ServiceClass]
    SERVICE_CLASS_BULK: _ClassVar[ServiceClass]

class ModelChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_CHANGE_UNSPECIFIED: _ClassVar[ModelChange]
    MODEL_CHANGE_CURRENT: _ClassVar[ModelChange]
    MODEL_CHANGE_SWAPPED: _ClassVar[ModelChange]
    MODEL_CHANGE_ROLLED_BACK: _ClassVar[ModelChange]
    MODEL_CHANGE_REFUSED: _ClassVar[ModelChange]
FRAME_ENCODING_UNSPECIFIED: FrameEncoding
FRAME_ENCODING_RGB8: FrameEncoding
FRAME_ENCODING_JPEG: FrameEncoding
FRAME_ENCODING_PNG: FrameEncoding
MASK_ENCODING_UNSPECIFIED: MaskEncoding
MASK_ENCODING_RAW8: MaskEncoding
MASK_ENCODING_ZSTD: MaskEncoding
MASK_ENCODING_PNG: MaskEncoding
VERDICT_UNSPECIFIED: Verdict
VERDICT_SEGMENTED: Verdict
VERDICT_EXPIRED: Verdict
VERDICT_SUPERSEDED: Verdict
VERDICT_OVERLOADED: Verdict
VERDICT_INVALID: Verdict
VERDICT_FAILED: Verdict
SERVICE_CLASS_UNSPECIFIED: ServiceClass
SERVICE_CLASS_LIVE: ServiceClass
SERVICE_CLASS_BULK: ServiceClass
MODEL_CHANGE_UNSPECIFIED: ModelChange
MODEL_CHANGE_CURRENT: ModelChange
MODEL_CHANGE_SWAPPED: ModelChange
MODEL_CHANGE_ROLLED_BACK: ModelChange
MODEL_CHANGE_REFUSED: ModelChange

class Frame(_message.Message):
    __slots__ = ("camera_id", "sequence_number", "captured_at", "max_age", "width", "height", "encoding", "data", "service_class")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    sequence_number: int
    captured_at: _timestamp_pb2.Timestamp
    max_age: _duration_pb2.Duration
    width: int
    height: int
    encoding: FrameEncoding
    data: bytes
    service_class: ServiceClass
    def __init__(self, camera_id: _Optional[str] = ..., sequence_number: _Optional[int] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., encoding: _Optional[_Union[FrameEncoding, str]] = ..., data: _Optional[bytes] = ..., service_class: _Optional[_Union[ServiceClass, str]] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("decode_us", "queue_us", "infer_us", "encode_us")
    DECODE_US_FIELD_NUMBER: _ClassVar[int]
    QUEUE_US_FIELD_NUMBER: _ClassVar[int]
    INFER_US_FIELD_NUMBER: _ClassVar[int]
    ENCODE_US_FIELD_NUMBER: _ClassVar[int]
    decode_us: int
    queue_us: int
    infer_us: int
    encode_us: int
    def __init__(self, decode_us: _Optional[int] = ..., queue_us: _Optional[int] = ..., infer_us: _Optional[int] = ..., encode_us: _Optional[int] = ...) -> None: ...

class SegmentRequest(_message.Message):
    __slots__ = ("frame", "mask_encoding", "include_confidence")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    MASK_ENCODING_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    mask_encoding: MaskEncoding
    include_confidence: bool
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ..., mask_encoding: _Optional[_Union[MaskEncoding, str]] = ..., include_confidence: _Optional[bool] = ...) -> None: ...

class SegmentResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: FrameResult
    def __init__(self, result: _Optional[_Union[FrameResult, _Mapping]] = ...) -> None: ...

class StreamSegmentRequest(_message.Message):
    __slots__ = ("frame", "mask_encoding", "include_confidence")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    MASK_ENCODING_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    frame: Frame
    mask_encoding: MaskEncoding
    include_confidence: bool
    def __init__(self, frame: _Optional[_Union[Frame, _Mapping]] = ..., mask_encoding: _Optional[_Union[MaskEncoding, str]] = ..., include_confidence: _Optional[bool] = ...) -> None: ...

class StreamSegmentResponse(_message.Message):
    __slots__ = ("result", "model", "reconnect")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_FIELD_NUMBER: _ClassVar[int]
    result: FrameResult
    model: ModelInfo
    reconnect: Reconnect
    def __init__(self, result: _Optional[_Union[FrameResult, _Mapping]] = ..., model: _Optional[_Union[ModelInfo, _Mapping]] = ..., reconnect: _Optional[_Union[Reconnect, _Mapping]] = ...) -> None: ...

class Reconnect(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class FrameResult(_message.Message):
    __slots__ = ("camera_id", "sequence_number", "verdict", "model_version", "label_space_id", "mask_encoding", "mask_width", "mask_height", "mask", "confidence_width", "confidence_height", "confidence", "class_fractions", "timings", "reason", "reason_code")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_SPACE_ID_FIELD_NUMBER: _ClassVar[int]
    MASK_ENCODING_FIELD_NUMBER: _ClassVar[int]
    MASK_WIDTH_FIELD_NUMBER: _ClassVar[int]
    MASK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CLASS_FRACTIONS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    sequence_number: int
    verdict: Verdict
    model_version: str
    label_space_id: str
    mask_encoding: MaskEncoding
    mask_width: int
    mask_height: int
    mask: bytes
    confidence_width: int
    confidence_height: int
    confidence: bytes
    class_fractions: _containers.RepeatedScalarFieldContainer[float]
    timings: Timings
    reason: str
    reason_code: str
    def __init__(self, camera_id: _Optional[str] = ..., sequence_number: _Optional[int] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., model_version: _Optional[str] = ..., label_space_id: _Optional[str] = ..., mask_encoding: _Optional[_Union[MaskEncoding, str]] = ..., mask_width: _Optional[int] = ..., mask_height: _Optional[int] = ..., mask: _Optional[bytes] = ..., confidence_width: _Optional[int] = ..., confidence_height: _Optional[int] = ..., confidence: _Optional[bytes] = ..., class_fractions: _Optional[_Iterable[float]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., reason: _Optional[str] = ..., reason_code: _Optional[str] = ...) -> None: ...

class LabelClass(_message.Message):
    __slots__ = ("name", "color_rgb")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLOR_RGB_FIELD_NUMBER: _ClassVar[int]
    name: str
    color_rgb: int
    def __init__(self, name: _Optional[str] = ..., color_rgb: _Optional[int] = ...) -> None: ...

class LabelSpace(_message.Message):
    __slots__ = ("id", "name", "classes")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    classes: _containers.RepeatedCompositeFieldContainer[LabelClass]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., classes: _Optional[_Iterable[_Union[LabelClass, _Mapping]]] = ...) -> None: ...

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("model", "max_frame_pixels", "previous", "challenger")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_PIXELS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    CHALLENGER_FIELD_NUMBER: _ClassVar[int]
    model: ModelInfo
    max_frame_pixels: int
    previous: ModelInfo
    challenger: ModelInfo
    def __init__(self, model: _Optional[_Union[ModelInfo, _Mapping]] = ..., max_frame_pixels: _Optional[int] = ..., previous: _Optional[_Union[ModelInfo, _Mapping]] = ..., challenger: _Optional[_Union[ModelInfo, _Mapping]] = ...) -> None: ...

class WatchModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchModelResponse(_message.Message):
    __slots__ = ("change", "model", "reason", "refused_version", "changed_at")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFUSED_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    change: ModelChange
    model: ModelInfo
    reason: str
    refused_version: str
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, change: _Optional[_Union[ModelChange, str]] = ..., model: _Optional[_Union[ModelInfo, _Mapping]] = ..., reason: _Optional[str] = ..., refused_version: _Optional[str] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("name", "version", "sha256", "method", "git_commit", "exported_at", "label_space", "network_width", "network_height", "provider", "provider_fallback", "from_cache")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    GIT_COMMIT_FIELD_NUMBER: _ClassVar[int]
    EXPORTED_AT_FIELD_NUMBER: _ClassVar[int]
    LABEL_SPACE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_WIDTH_FIELD_NUMBER: _ClassVar[int]
    NETWORK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    FROM_CACHE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    method: str
    git_commit: str
    exported_at: _timestamp_pb2.Timestamp
    label_space: LabelSpace
    network_width: int
    network_height: int
    provider: str
    provider_fallback: bool
    from_cache: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ..., method: _Optional[str] = ..., git_commit: _Optional[str] = ..., exported_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., label_space: _Optional[_Union[LabelSpace, _Mapping]] = ..., network_width: _Optional[int] = ..., network_height: _Optional[int] = ..., provider: _Optional[str] = ..., provider_fallback: _Optional[bool] = ..., from_cache: _Optional[bool] = ...) -> None: ...
