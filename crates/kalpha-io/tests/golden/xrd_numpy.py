"""Writes xrd_numpy.json: powder patterns in columns as NumPy reads them."""

import numpy as np
from xrd_entries import ROOT, entry, files, points, write


def columns():
    for file in [*files("data/xrd/autoanalyzer/*/Spectra/*.xy"), *files("data/xrd/cpd/*.prn")]:
        table = np.loadtxt(ROOT / file)
        axis = points(table[:, 0], "degree 2theta")
        yield entry(file, table[:, 1].copy(), [axis])
        if table.shape[1] > 2:
            yield entry(file, table[:, 2].copy(), [axis], signal="column 3")


def fxye():
    file = "data/xrd/readers/11BM_NAC.fxye"
    lines = (ROOT / file).read_text().splitlines()
    bank = next(i for i, line in enumerate(lines) if line.startswith("BANK"))
    table = np.loadtxt(lines[bank + 1 :])
    axis = points(table[:, 0] / 100, "degree 2theta")
    yield entry(file, table[:, 1].copy(), [axis])
    yield entry(file, table[:, 2].copy(), [axis], signal="esd")


def three_columns():
    file = "data/xrd/readers/rigaku_three_column.ras"
    lines = (ROOT / file).read_text().splitlines()
    table = np.loadtxt(lines[lines.index("*RAS_INT_START") + 1 : lines.index("*RAS_INT_END")])
    yield entry(file, table[:, 1].copy(), [points(table[:, 0], "degree 2theta")])


write(__file__, "NumPy", np.__version__, [*columns(), *fxye(), *three_columns()])
