"""Writes xrd_fairmat.json: what fairmat-readers-xrd reads from .rasx and .brml."""

import importlib.metadata

import numpy as np
from fairmat_readers_xrd import read_bruker_brml, read_rigaku_rasx
from xrd_entries import ROOT, entry, points, write


def one(read, file):
    found = read(str(ROOT / file))
    values = np.asarray(found["intensity"].magnitude, dtype=float)
    angles = np.asarray(found["2Theta"].magnitude, dtype=float)
    return entry(file, values.ravel(), [points(angles.ravel(), "degree 2theta")])


write(
    __file__,
    "fairmat-readers-xrd",
    importlib.metadata.version("fairmat-readers-xrd"),
    [
        one(read_rigaku_rasx, "data/xrd/readers/rigaku_powder.rasx"),
        one(read_bruker_brml, "data/xrd/readers/bruker_absorber.brml"),
    ],
)
