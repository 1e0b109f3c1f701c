"""Writes xrd_xrayutilities.json: what xrayutilities reads from .xrdml and .ras."""

import numpy as np
import xrayutilities
from xrd_entries import ROOT, entry, files, points, write
from xrayutilities.io.panalytical_xml import XRDMLFile
from xrayutilities.io.rigaku_ras import RASFile


def xrdml():
    for file in files("data/xrd/*/*.xrdml"):
        scan = XRDMLFile(str(ROOT / file)).scan
        # xrayutilities divides counts by the counting time; the file holds counts.
        time = np.asarray(scan.ddict["countTime"], dtype=float)
        rates = np.asarray(scan.ddict["detector"], dtype=float)
        counts = rates * (time[:, None] if rates.ndim == 2 else time)
        assert np.abs(counts - counts.round()).max() < 1e-6
        axes = [points(np.atleast_2d(scan.ddict["2Theta"])[0], "degree 2theta")]
        if rates.ndim == 2:
            omega = np.asarray(scan.ddict["Omega"], dtype=float)
            axes.insert(0, points(omega[:, 0] if omega.ndim == 2 else omega, "degree"))
        yield entry(file, counts.round(), axes)


def ras():
    file = "data/xrd/readers/rigaku_nims.ras"
    scan = RASFile(str(ROOT / file)).scan
    axis = points(scan.data[scan.scan_axis], "degree 2theta")
    yield entry(file, np.asarray(scan.data["int"], dtype=float), [axis])


write(__file__, "xrayutilities", xrayutilities.__version__, [*xrdml(), *ras()])
