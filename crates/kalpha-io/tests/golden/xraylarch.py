"""What xraylarch reads from X-ray absorption and fluorescence files: writes xraylarch.json."""

import hashlib
import json
import os
from pathlib import Path

import larch
import numpy as np
from larch.io import read_ascii, read_athena, read_xdi
from larch.io.gse_mcafile import GSEMCA_File

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))
DATA = SHARED / "data"

# Where all columns of a text count; elsewhere the default one.
COLUMNS = {
    "xas/fe2o3_rt1.xmu": ["mu", "i0"],
    "xas/PtH.dat": [f"column {i}" for i in range(2, 33)],
    "xas/HXN_refs/xanes_fit_plot.csv": [
        "Data_y", "Fit_y", "LiFe(II)PO4_y", "Pyrite_y", "StainlessSteelNP_y", "Hematite_NP_y",
    ],
}


def entry(path, x, y, signal=None, unit=None):
    values = np.ascontiguousarray(y, dtype="<f8")
    made = {"file": str(path.relative_to(SHARED))}
    if signal is not None:
        made["signal"] = signal
    axis = {"first": float(x[0]), "last": float(x[-1]), "len": len(x)}
    if unit is not None:
        axis["unit"] = unit
    return made | {
        "shape": list(values.shape),
        "dtype": "float64",
        "sum": float(values.sum()),
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "axes": [axis],
    }


def xdi(path):
    group = read_xdi(str(path))
    labels = list(group.array_labels)
    x = labels.index("energy") if "energy" in labels else 0
    for i, label in enumerate(labels):
        if i != x:
            yield entry(path, group.data[x], group.data[i], label.split()[0], "eV")


def columns(path):
    data = read_ascii(str(path)).data
    name = str(path.relative_to(DATA))
    if len(data) == 1:
        yield entry(path, np.arange(data.shape[1]), data[0])
    elif name in COLUMNS:
        for label, values in zip(COLUMNS[name], data[1:]):
            yield entry(path, data[0], values, label)
    else:
        yield entry(path, data[0], data[1])


def decimal_commas(path):
    data = read_ascii(str(path)).data
    why = "larch takes the decimal comma of the file for the end of a column"
    yield entry(path, data[0], data[1]) | {"differs": {"values": why}}


def athena(path):
    project = read_athena(str(path), do_preedge=False, do_bkg=False, do_fft=False)
    groups = [project[name] for name in project.keys()]
    for group in groups:
        label = str(group.label).strip()
        # dispersive.prj holds arrays over detector pixels.
        pixels = str(getattr(group.athena_params, "is_pixel", 0)) in ("1", "1.0")
        unit = "" if pixels else "eV"
        for array in ("mu", "i0", "signal", "stddev"):
            values = getattr(group, array, None)
            if values is not None and len(values) == len(group.energy):
                name = label if array == "mu" else f"{label}.{array}"
                yield entry(path, group.energy, values, name, unit)


def mca(path):
    file = GSEMCA_File(str(path))
    for channel in file.mcas:
        yield entry(path, channel.get_energy(), channel.counts, None, "keV")


def main():
    found = [(xdi, p) for p in (DATA / "xas").rglob("*") if p.suffix in (".xdi", ".xd", ".xxdi")]
    found += [(xdi, DATA / "xas/HXN_refs/FeLibNov2021.nor")]
    found += [(athena, p) for p in (DATA / "xas").glob("*.prj")]
    found += [(columns, p) for p in (DATA / "xas").glob("*.xmu")]
    found += [(columns, p) for p in (DATA / "xas").rglob("feff*.dat")]
    found += [(columns, DATA / "xas/PtH.dat")]
    found += [(columns, p) for p in (DATA / "xas/Fe_minerals_ALS").glob("*.e")]
    found += [(columns, p) for p in (DATA / "xas/TXM_refs").glob("*.txt")]
    found += [(columns, DATA / "xas/HXN_refs" / n) for n in ("energy_list_corr.txt", "xanes_fit_plot.csv")]
    found += [(columns, p) for p in (DATA / "raman/morb").glob("*.txt")]
    found += [(columns, p) for p in (DATA / "xps").glob("*.txt")]
    found += [(columns, DATA / "xps/C1s_sample.csv"), (columns, DATA / "xrf/XRFSpectrum.mca")]
    found += [(decimal_commas, DATA / "xas/pyfitit_Mn/001_Mn_metal.dat")]
    found += [(mca, DATA / "xrf/larch_xrf_spectra.mca")]
    entries = [e for read, path in sorted(found, key=lambda f: str(f[1])) for e in read(path)]
    lines = ",\n".join(json.dumps(e) for e in entries)
    head = f'{{"peer": "xraylarch", "version": "{larch.__version__}", "entries": [\n'
    (HERE / "xraylarch.json").write_text(head + lines + "\n]}\n")


main()
