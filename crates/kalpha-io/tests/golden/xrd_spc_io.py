"""Writes xrd_spc_io.json: what spc-io reads from the tiny .spc files."""

import importlib.metadata

import numpy as np
import spc_io
from xrd_entries import HERE, entry, points, write


def subfiles(name):
    with open(HERE / "../corpus" / name, "rb") as file:
        return list(spc_io.SPC.from_bytes_io(file))


def entries():
    (one,) = subfiles("tiny.spc")
    yield entry("tests/corpus/tiny.spc", one.yarray, [points(one.xarray)])
    for i, sub in enumerate(subfiles("tiny_own_x.spc")):
        axes = [points(sub.xarray)]
        yield entry("tests/corpus/tiny_own_x.spc", sub.yarray, axes, signal=f"subfile {i + 1}")
    rows = subfiles("tiny_rows.spc")
    # spc-io gives every row the same z; the file states no other.
    axes = [{"first": 0, "last": len(rows) - 1, "len": len(rows)}, points(rows[0].xarray)]
    yield entry("tests/corpus/tiny_rows.spc", np.stack([r.yarray for r in rows]), axes)


write(__file__, "spc-io", importlib.metadata.version("spc-io"), entries())
