"""Where charts put what, against positions computed by hand."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from isthmus.training.gate.evidence import Reliability, ReliabilityBin
from isthmus.training.report import charts
from isthmus.training.report.charts import Series

CHALLENGER = Series("challenger", "challenger, version 3 (madan)")
CHAMPION = Series("champion", "champion, version 2 (source_only)")


def shapes(markup: str, kind: str) -> list[ET.Element]:
    """Elements of a class, in order."""
    return [one for one in ET.fromstring(markup).iter() if one.get("class") == kind]


def test_reliability_puts_confidence_across_and_accuracy_up():
    bins = (ReliabilityBin(confidence=0.5, accuracy=0.25, share=1.0),)
    chart = charts.reliability_chart([(CHALLENGER, Reliability(bins=bins, ece=0.25))])
    (dot,) = shapes(chart, "dot challenger")
    # The axes' box is 280 wide from 46 and 240 high from 12.
    assert (float(dot.get("cx")), float(dot.get("cy"))) == (46 + 140, 12 + 180)
    assert float(dot.get("r")) == 8.5
    assert ET.fromstring(chart).get("aria-label") == (
        "Reliability diagram. challenger, version 3 (madan): expected calibration error 25.0 %."
    )


def test_robustness_begins_with_clean_frames():
    chart = charts.robustness_chart(
        "fog", (1, 2), [(CHALLENGER, 0.5, (0.25, 0.0)), (CHAMPION, 0.25, (0.25, 0.25))], top=0.5
    )
    (line,) = shapes(chart, "line challenger")
    # The box is 196 wide from 34 and 118 high from 10.
    assert line.get("d") == "M34.0 10.0 132.0 69.0 230.0 128.0"
    assert len(shapes(chart, "dot champion")) == 3
    assert "clean and at severities 1, 2" in ET.fromstring(chart).get("aria-label")


def test_confusion_colours_by_share_of_the_true_class():
    counts = np.array([[75, 25, 0], [0, 0, 0]])
    chart = charts.confusion_chart(counts, ("road", "car"), "challenger")
    (right,), (wrong,) = shapes(chart, "cell right"), shapes(chart, "cell wrong")
    assert right.get("fill-opacity") == "0.77"
    assert wrong.get("fill-opacity") == "0.31"
    assert [one.text for one in ET.fromstring(chart).iter("title")] == [
        "true road, predicted road: 75.0 %",
        "true road, predicted car: 25.0 %",
    ]
    assert [one.text for one in ET.fromstring(chart).iter("text")] == ["road", "car", "road", "75", "25"]
    assert [one.text for one in shapes(chart, "mid")] == ["75"]  # on much colour its ink changes


def test_confusion_without_a_pixel_is_empty():
    assert not shapes(charts.confusion_chart(np.zeros((2, 3), int), ("road", "car"), "nobody"), "cell right")


def test_domains_differ_in_colour_by_role_and_in_shape(gap):
    chart = charts.domain_chart(gap)
    sources, targets = shapes(chart, "dot source"), shapes(chart, "dot target")
    assert [one.tag for one in (*sources, *targets)] == ["circle", "circle", "polygon", "polygon"]
    # First component from −1 to 1 with a margin of 6 %: −1 lies at 0.12 / 2.24 of the box, 426 wide from 26.
    assert float(sources[0].get("cx")) == pytest.approx(26 + 426 * 0.12 / 2.24, abs=0.06)
    assert "2 frames of gta5/train (source)" in ET.fromstring(chart).get("aria-label")


def test_text_is_escaped():
    chart = charts.confusion_chart(np.array([[1, 0]]), ("<b>&",), '"x"')
    assert "&lt;b&gt;&amp;" in chart
    assert "<b>" not in chart


def test_ornaments_are_hidden_from_screen_readers(gap):
    for marker in (charts.series_marker(CHAMPION), charts.domain_marker(gap, 1)):
        assert ET.fromstring(marker).get("aria-hidden") == "true"
