"""Exports in fp16: what they compute in, how far they may be from fp32, and which pixels of the golden frame count."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from isthmus.artifact import sha256_of
from isthmus.errors import ContractError, ExportError, ParityError
from isthmus.serving.config import ServerConfig
from isthmus.serving.model import load_model
from isthmus.training.export import ExportResult, export_onnx, load_export
from isthmus.training.golden import decode_golden, encode_golden, golden_agreement
from isthmus.training.half_precision import halved, undecided_pixels
from isthmus.training.onnx_graph import ServingGraph, attach_card
from isthmus.training.onnx_model import OnnxModel, read_card
from isthmus.training.parity import TOLERANCES, check_parity

SIZE_HW = (64, 96)


@pytest.fixture(scope="module")
def half_export(segmenter, facts, real_frame, tmp_path_factory) -> ExportResult:
    out = tmp_path_factory.mktemp("half") / "street"
    return export_onnx(segmenter, facts, out, network_size_hw=SIZE_HW, frames=[real_frame], precision="fp16")


def test_network_is_fp16_and_the_rest_is_not(half_export):
    model = onnx.shape_inference.infer_shapes(onnx.load(half_export.export.onnx_file))
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    by_type = {}
    for node in model.graph.node:
        by_type.setdefault(node.op_type, set()).update(kinds[name] for name in node.output if name in kinds)
    assert by_type["Conv"] == {TensorProto.FLOAT16}
    assert by_type["Resize"] | by_type["Softmax"] == {TensorProto.FLOAT}
    session = onnxruntime.InferenceSession(str(half_export.export.onnx_file), providers=["CPUExecutionProvider"])
    assert {item.type for item in [*session.get_inputs(), *session.get_outputs()]} == {"tensor(uint8)"}


def test_card_tells_precision_and_what_was_measured(half_export, exported):
    card = read_card(half_export.export.onnx_file)
    assert card == half_export.export.card
    assert load_export(half_export.export.directory) == half_export.export
    assert (card.precision, exported.export.card.precision) == ("fp16", "fp32")
    assert card.agreement_with_fp32 == min(case.label_agreement for case in half_export.parity)
    assert 0.99 <= card.agreement_with_fp32 <= 1
    assert exported.export.card.agreement_with_fp32 is None
    assert card.weights_sha256 == exported.export.card.weights_sha256  # the weights beside it are those of training


def test_golden_frame_compares_what_fp16_is_certain_of(half_export, segmenter):
    card = half_export.export.card
    assert OnnxModel(half_export.export.onnx_file).golden_agreement() == 1.0
    _, labels = decode_golden(card.golden)
    graph = ServingGraph(segmenter, SIZE_HW)
    image, _ = decode_golden(card.golden)
    undecided = undecided_pixels(graph, halved(graph), image)
    assert 0 < undecided.mean() < 0.5
    flipped = labels.copy()
    flipped[undecided] += 1
    assert golden_agreement(card.golden, flipped) == 1.0
    flipped[~undecided] += 1
    assert golden_agreement(card.golden, flipped) == 0.0


def test_server_loads_it_and_refuses_wrong_labels(half_export, tmp_path: Path):
    config = ServerConfig(model_file=half_export.export.onnx_file, num_threads=1)
    manifest = half_export.export.manifest
    loaded = load_model(half_export.export.onnx_file, config, name=None, version="file", sha256=manifest.sha256)
    assert loaded.card.precision == "fp16"
    loaded.engine.close()
    image, labels = decode_golden(half_export.export.card.golden)
    for golden, message in (
        (encode_golden(image, (labels + 1) % 19, np.zeros(labels.shape, bool)), "agrees with torch on"),
        (encode_golden(image, labels, np.ones(labels.shape, bool)), "no pixel to compare"),
    ):
        model = onnx.load(half_export.export.onnx_file)
        attach_card(model, half_export.export.card.model_copy(update={"golden": golden}))
        onnx.save_model(model, tmp_path / "model.onnx")
        with pytest.raises(ContractError, match=message):
            load_model(
                tmp_path / "model.onnx", config, name=None, version="file", sha256=sha256_of(tmp_path / "model.onnx")
            )


def test_more_than_one_per_cent_of_other_labels_is_refused(half_export, segmenter):
    other = ServingGraph(segmenter, SIZE_HW)
    with torch.no_grad():
        other.segmenter.network.classifier.bias[0] += 0.5  # the road wins where it was close
    with pytest.raises(ParityError, match=r"At least 99\.0%"):
        check_parity(other, OnnxModel(half_export.export.onnx_file), precision="fp16")
    assert TOLERANCES["fp16"].min_agreement < TOLERANCES["fp32"].min_agreement


def test_numbers_that_fp16_cannot_hold_are_refused(segmenter, facts, tmp_path: Path):
    large = ServingGraph(segmenter, SIZE_HW).segmenter
    with torch.no_grad():
        large.network.classifier.weight *= 1e4
    with pytest.raises(ExportError, match="too large for fp16"):
        export_onnx(large, facts, tmp_path / "out", network_size_hw=SIZE_HW, precision="fp16")
    assert list(tmp_path.iterdir()) == []


def test_network_that_is_nowhere_certain_is_refused(segmenter):
    graph = ServingGraph(segmenter, SIZE_HW)
    with torch.no_grad():
        graph.segmenter.network.classifier.weight *= 1e-3
        graph.segmenter.network.classifier.bias.zero_()
        graph.segmenter.network.classifier.bias += 100  # far from zero, fp16 is coarse
    with pytest.raises(ExportError, match="leaves the label certain on"):
        undecided_pixels(graph, halved(graph), np.full((64, 96, 3), 128, np.uint8))
