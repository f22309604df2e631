from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from isthmus.artifact import METADATA_KEY, sha256_of
from isthmus.datasets.label_space import CITYSCAPES19
from isthmus.errors import ContractError, ExportError, ParityError
from isthmus.training import export as exporting
from isthmus.training.export import EXPORT_FILES, ExportResult, export_onnx, load_export
from isthmus.training.fcn8s import Fcn8s
from isthmus.training.golden import decode_golden, drawn_streets, golden_picture
from isthmus.training.onnx_graph import ServingGraph
from isthmus.training.onnx_model import OnnxModel, read_card
from isthmus.training.parity import check_parity
from isthmus.training.pretrained import IMAGENET
from isthmus.training.segmenters import NUM_CLASSES, Decoder, Segmenter, SegmenterConfig, build_segmenter

SIZE_HW = (64, 96)


def test_graph_keeps_the_contract(exported: ExportResult):
    session = onnxruntime.InferenceSession(str(exported.export.onnx_file), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    labels, confidence = session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", "height", "width", 3])
    assert (labels.name, labels.type, labels.shape) == ("labels", "tensor(uint8)", ["batch", "height", "width"])
    assert (confidence.name, confidence.type, confidence.shape) == ("confidence", "tensor(uint8)", ["batch", 32, 48])
    assert list(session.get_modelmeta().custom_metadata_map) == [METADATA_KEY]


def test_no_intermediate_axis_keeps_the_exporters_name(exported: ExportResult):
    model = onnx.load(exported.export.onnx_file)
    named = {
        dim.dim_param
        for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    }
    assert named == {"batch", "height", "width"}


def test_file_is_whole_and_tells_nothing_about_the_machine(exported: ExportResult):
    assert {path.name for path in exported.export.directory.iterdir()} == set(EXPORT_FILES)
    assert [path.name for path in exported.export.directory.parent.iterdir()] == ["street"]  # no scratch folder
    content = exported.export.onnx_file.read_bytes()
    assert b".py" not in content
    assert b"site-packages" not in content


def test_softmax_runs_at_the_heads_resolution_only(exported: ExportResult):
    model = onnx.shape_inference.infer_shapes(onnx.load(exported.export.onnx_file))
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    (shape,) = (value.type.tensor_type.shape for value in model.graph.value_info if value.name == softmax.output[0])
    assert [dim.dim_value for dim in shape.dim[2:]] == [32, 48]


def test_parity_was_checked_at_two_batches_three_sizes_and_on_the_real_frame(exported: ExportResult):
    sizes = [(case.batch, case.size_hw) for case in exported.parity]
    assert sizes == [
        (1, (64, 96)),
        (2, (64, 96)),
        (1, (96, 144)),
        (2, (96, 144)),
        (1, (53, 75)),
        (2, (53, 75)),
        (1, (64, 96)),
    ]
    assert all(case.holds for case in exported.parity)


@pytest.mark.parametrize(("batch", "size_hw"), [(1, (64, 96)), (3, (200, 331)), (2, (33, 47))])
def test_torch_and_onnxruntime_agree_even_on_noise(exported: ExportResult, segmenter, batch, size_hw):
    images = np.random.default_rng(0).integers(0, 256, (batch, *size_hw, 3), dtype=np.uint8)
    labels, confidence = ServingGraph(segmenter, SIZE_HW).segment(images)
    ort_labels, ort_confidence = OnnxModel(exported.export.onnx_file, threads=1).predict(images)
    assert labels.dtype == confidence.dtype == ort_labels.dtype == ort_confidence.dtype == np.uint8
    assert ort_labels.shape == (batch, *size_hw)
    assert np.mean(ort_labels == labels) >= 0.999
    assert np.abs(ort_confidence.astype(int) - confidence.astype(int)).max() <= 1


def test_shrinking_averages_instead_of_skipping_pixels(exported: ExportResult):
    # Four times the network size. In each group of four columns the outer two have the colour of car (0,0,142), the
    # inner two that of train (0,80,100). Their mean (0,40,121) lies nearest to bus (0,60,100); sampling without
    # antialiasing would see the inner two alone.
    frame = np.zeros((256, 384, 3), np.uint8)
    frame[:] = (0, 80, 100)
    frame[:, 0::4] = frame[:, 3::4] = (0, 0, 142)
    labels, _ = OnnxModel(exported.export.onnx_file, threads=1).predict(frame[None])
    assert set(np.unique(labels[0, 16:-16, 16:-16])) == {CITYSCAPES19.names.index("bus")}


def test_confidence_is_the_largest_softmax_times_255(exported: ExportResult):
    frame = np.full((1, 64, 96, 3), (70, 130, 180), np.uint8)  # sky, exactly
    labels, confidence = OnnxModel(exported.export.onnx_file, threads=1).predict(frame)
    colors = np.asarray([entry.color for entry in exported.export.card.label_space.classes]) / 255
    scores = np.exp(-50 * ((colors - colors[10]) ** 2).sum(1))
    assert (labels == 10).all()
    assert np.abs(confidence.astype(int) - round(255 / scores.sum())).max() <= 1


def test_card_travels_inside_and_beside_the_file(exported: ExportResult):
    card = read_card(exported.export.onnx_file)
    assert card == exported.export.card == OnnxModel(exported.export.onnx_file).card
    assert load_export(exported.export.directory) == exported.export
    assert card.method == "source_only"
    assert card.network_size_hw == SIZE_HW
    assert card.label_space.classes[13].name == "car"
    assert card.weights_sha256 == sha256_of(exported.export.directory / "weights.safetensors")


def test_golden_frame_is_a_drawn_street_with_torchs_labels(exported: ExportResult, segmenter: Segmenter):
    image, labels = decode_golden(exported.export.card.golden)
    assert (image == drawn_streets(1, SIZE_HW)[0]).all()
    expected, _ = ServingGraph(segmenter, SIZE_HW).segment(image[None])
    assert (labels == expected[0]).all()
    assert OnnxModel(exported.export.onnx_file).golden_agreement() >= 0.999


def test_golden_frame_of_a_large_network_is_small():
    picture = golden_picture(drawn_streets(1, (512, 1024))[0])
    assert picture.shape == (128, 256, 3)


def test_exporting_leaves_the_segmenter_alone(exported: ExportResult, segmenter: Segmenter):
    assert segmenter.training
    assert all(parameter.requires_grad for parameter in segmenter.parameters())


def test_tampered_card_is_refused(exported: ExportResult, tmp_path: Path):
    model = onnx.load(exported.export.onnx_file)
    model.metadata_props[0].value = model.metadata_props[0].value.replace('"schema_version":1', '"schema_version":"1"')
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path)
    with pytest.raises(ContractError, match="schema_version"):
        read_card(path)
    del model.metadata_props[:]
    onnx.save_model(model, path)
    with pytest.raises(ContractError, match="no model card"):
        read_card(path)
    with pytest.raises(ContractError, match="no model card"):
        OnnxModel(path)


def test_file_that_is_no_onnx_is_refused(tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ContractError, match="as ONNX"):
        read_card(path)
    with pytest.raises(ContractError, match="onnxruntime cannot load"):
        OnnxModel(path)


def test_graph_with_other_outputs_is_refused(exported: ExportResult, tmp_path: Path):
    model = onnx.load(exported.export.onnx_file)
    del model.graph.output[1]
    onnx.save_model(model, tmp_path / "model.onnx")
    with pytest.raises(ContractError, match="expected"):
        OnnxModel(tmp_path / "model.onnx")


def test_changed_or_missing_files_are_no_export(exported: ExportResult, tmp_path: Path):
    for file in EXPORT_FILES:
        (tmp_path / file).write_bytes((exported.export.directory / file).read_bytes())
    model = onnx.load(tmp_path / "model.onnx")
    model.doc_string = "touched"
    onnx.save_model(model, tmp_path / "model.onnx")
    with pytest.raises(ContractError, match=r"not the file that manifest\.json describes"):
        load_export(tmp_path)
    (tmp_path / "model.onnx").write_bytes(exported.export.onnx_file.read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(ContractError, match="weights that the model card names"):
        load_export(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ContractError, match="no manifest"):
        load_export(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ContractError, match=r"no manifest\.json"):
        load_export(tmp_path)


@pytest.fixture
def wrong_graph(exported: ExportResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the exporter return a graph whose car is never found."""
    model = onnx.load(exported.export.onnx_file)
    (bias,) = (item for item in model.graph.initializer if item.name.endswith("classifier.bias"))
    values = numpy_helper.to_array(bias).copy()
    values[13] -= 1e4
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    monkeypatch.setattr(exporting, "build_onnx", lambda graph: model)


@pytest.mark.usefixtures("wrong_graph")
def test_disagreement_leaves_nothing_behind(segmenter, facts, real_frame, tmp_path: Path):
    with pytest.raises(ParityError, match="batch 1 at 64x96"):
        export_onnx(segmenter, facts, tmp_path / "out", network_size_hw=SIZE_HW, frames=[real_frame])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("wrong_graph")
def test_disagreement_keeps_the_earlier_export(exported, segmenter, facts, real_frame, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    for file in EXPORT_FILES:
        (out / file).write_bytes((exported.export.directory / file).read_bytes())
    with pytest.raises(ParityError):
        export_onnx(segmenter, facts, out, network_size_hw=SIZE_HW, frames=[real_frame])
    assert load_export(out).manifest == exported.export.manifest


def test_parity_names_a_confidence_that_is_off(exported: ExportResult, segmenter: Segmenter):
    shifted = ServingGraph(segmenter, SIZE_HW)
    with torch.no_grad():
        # Equal factors on all logits keep the labels and change the softmax.
        shifted.segmenter.network.classifier.weight *= 0.5
        shifted.segmenter.network.classifier.bias *= 0.5
    with pytest.raises(ParityError, match="confidence off by up to"):
        check_parity(shifted, OnnxModel(exported.export.onnx_file))


def test_network_size_must_fit_every_encoder(segmenter, facts, tmp_path: Path):
    with pytest.raises(ExportError, match="60x96 is no multiple of 32"):
        export_onnx(segmenter, facts, tmp_path / "out", network_size_hw=(60, 96))
    assert list(tmp_path.iterdir()) == []


def test_drawn_streets_are_structured_and_repeat():
    first, again = drawn_streets(2, (60, 90)), drawn_streets(2, (60, 90))
    assert first.shape == (2, 60, 90, 3)
    assert (first == again).all()
    assert (first[0] != first[1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("decoder", get_args(Decoder))
def test_every_decoder_exports_and_agrees(decoder, facts, tmp_path):
    torch.manual_seed(0)
    if decoder == "fcn8s":
        segmenter = Segmenter(Fcn8s(NUM_CLASSES, fc_channels=16), IMAGENET)
    else:
        config = SegmenterConfig(decoder=decoder, encoder="timm-tf_efficientnet_lite0", weights="none")
        segmenter = build_segmenter(config)
    result = export_onnx(segmenter.eval(), facts, tmp_path / decoder, network_size_hw=SIZE_HW)
    assert all(case.holds for case in result.parity)
