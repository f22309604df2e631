"""The Python blocks of the documents run as they stand, against the tiny model's server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.errors import ServingError
from isthmus.serving.errors import reason_code
from isthmus.serving.frame_record import VERDICTS

OURS, TRITON = "from isthmus.serving.client", "import tritonclient"


def python_blocks(document: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("document", "starts"), [("docs/protocol.md", [OURS, TRITON]), ("README.md", [OURS])])
def test_python_blocks_run(repository, document, starts, address, tiny, tmp_path):
    blocks = [block for block in python_blocks(repository / document) if "isthmus.serving" in block or TRITON in block]
    assert len(blocks) == len(starts)
    assert all(start in block for block, start in zip(blocks, starts, strict=True))
    (tmp_path / "frame.jpg").write_bytes(tiny.jpeg(tiny.street()))
    given = "from pathlib import Path\nframe = Path('frame.jpg').read_bytes()\n"
    for block in blocks:
        assert "127.0.0.1:50051" in block
        code = given + block.replace("127.0.0.1:50051", address).replace("street-segmenter", "tiny")
        # In processes of their own: tritonclient's generated code and ours claim the same protobuf names.
        run = subprocess.run(
            [sys.executable, "-W", "default::ResourceWarning", "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert "ResourceWarning" not in run.stderr


def test_each_reason_of_a_verdict_is_documented(repository):
    document = (repository / "docs/protocol.md").read_text(encoding="utf-8")
    table = document[document.index("### Verdicts") : document.index("More verdicts may follow")]
    for error, verdict in VERDICTS.items():
        if issubclass(error, ServingError):
            code = reason_code(error("x"))
            assert any(f"`{verdict.upper()}`" in line and f"`{code}`" in line for line in table.splitlines()), code
