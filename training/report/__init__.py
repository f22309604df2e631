"""What a version's promotion leaves for people: one HTML page that needs no network, and a MODEL_CARD.md.

page           evidence, pictures and lineage to `report.html`
views          evidence to what the page's tables and charts show
charts         charts as inline SVG, which stay sharp and follow the page's colours
frames         the worst frames as pictures inside the page
domain_gap     features of sources, adapted and target frames in two dimensions
model_card     `MODEL_CARD.md` in the form that Hugging Face's hub reads
"""

from isthmus.training.report.domain_gap import DomainGap, checkpoint_domain_gap
from isthmus.training.report.frames import FramePictures, draw_worst_frames
from isthmus.training.report.model_card import model_card_markdown
from isthmus.training.report.page import write_report

__all__ = [
    "DomainGap",
    "FramePictures",
    "checkpoint_domain_gap",
    "draw_worst_frames",
    "model_card_markdown",
    "write_report",
]
