"""What a server has logged so far."""

import json
from pathlib import Path
from typing import Any


def lines(log: Path) -> list[dict[str, Any]]:
    """The JSON lines that are whole; gRPC's own are among them and are left out."""
    whole = log.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
