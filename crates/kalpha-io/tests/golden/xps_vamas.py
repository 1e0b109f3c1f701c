"""What the package vamas reads from surface analysis files: writes xps_vamas.json."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
from vamas import Vamas

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def blocks(path):
    # The package wants the name .vms and nothing before the first line.
    for block in Vamas(path.read_bytes().lstrip()).blocks:
        name = block.block_identifier.strip()
        if name.startswith("Block No"):
            name = (block.species_label.strip() + block.transition_or_charge_state_label).strip(" \0")
        for place, variable in enumerate(block.corresponding_variables):
            values = np.asarray(variable.y_values, dtype="<f8")
            last = block.x_start + block.x_step * (len(values) - 1)
            yield {
                "file": str(path.relative_to(SHARED)),
                "signal": name if place == 0 else f"{name}/{variable.label.strip()}",
                "shape": [len(values)],
                "dtype": "float64",
                "sum": float(values.sum()),
                "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
                "axes": [{
                    "name": block.x_label,
                    "unit": block.x_units,
                    "first": block.x_start,
                    "last": last,
                    "len": len(values),
                }],
            }


def main():
    files = sorted(p for p in (SHARED / "data/xps").iterdir() if p.suffix in (".vms", ".npl"))
    lines = ",\n".join(json.dumps(e) for path in files for e in blocks(path))
    head = f'{{"peer": "vamas", "version": "{version("vamas")}", "entries": [\n'
    (HERE / "xps_vamas.json").write_text(head + lines + "\n]}\n")


main()
