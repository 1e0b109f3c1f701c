"""Writes xrd_gemmi.json: powder patterns in CIF, their columns taken with gemmi."""

import gemmi
import numpy as np
from xrd_entries import ROOT, entry, points, write


def pattern(file, name, x, tags, default=None):
    block = next(b for b in gemmi.cif.read(str(ROOT / file)) if b.name == name)
    number = lambda tag: np.array([gemmi.cif.as_number(v) for v in block.find_values(tag)])
    axis = points(number(x), "degree 2theta")
    for tag in tags:
        signal = None if tag == default else f"{name}/{tag.lstrip('_')}"
        yield entry(file, number(tag), [axis], signal=signal)


SRM = "data/xrd/nist_srm660c/nist_srm660c_100a.cif"
TAGS = ["_pd_proc_intensity_total", "_pd_proc_ls_weight"]
X = "_pd_proc_2theta_corrected"
blocks = [b.name for b in gemmi.cif.read(str(ROOT / SRM)) if b.find_loop(X)]
entries = []
for i, name in enumerate(blocks):
    entries += pattern(SRM, name, X, TAGS, default=TAGS[0] if i == 0 else None)
write(__file__, "gemmi", gemmi.__version__, entries)
