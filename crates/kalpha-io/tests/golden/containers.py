"""Writes containers_h5py.json, containers_numpy.json and containers_rosettasciio.json: what these
read from the HDF5, .npz and .zspy files of the reference.

KALPHA_REFERENCE names the folder of the reference data (default: shared beside the checkout).
"""

import hashlib
import json
import logging
import os
import pathlib
import warnings

import h5py
import numpy as np
import rsciio
from rsciio import hspy, zspy

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def axis(points):
    if isinstance(points, int):
        return {"offset": 0.0, "scale": 1.0, "len": points}
    points = np.asarray(points, dtype=float)
    return {"first": points[0], "last": points[-1], "len": len(points)}


def entry(file, values, axes, signal=None):
    stored = np.ascontiguousarray(values)
    stored = stored.astype(stored.dtype.newbyteorder("<"))
    return {
        "file": file,
        **({"signal": signal} if signal else {}),
        "shape": list(values.shape),
        "dtype": str(values.dtype.newbyteorder("=")),
        "sum": float(np.sum(values[np.isfinite(values)], dtype=float)),
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
        "axes": axes,
    }


def of_h5py():
    for name in ["ce3_edge", "ce4_edge"]:
        file = f"data/eels/{name}.hdf5"
        with h5py.File(ROOT / file) as opened:
            about = opened["Energy_axis"].attrs
            energy = {"offset": float(about["Offset"]), "scale": float(about["Dispersion"])}
            yield entry(file, opened["Data"][...], [energy])


def of_numpy():
    for file, signal, axes, spectrum in [
        ("raman/mindlab_covid_dataset.npz", "X", [None, "wavenumber"], -1),
        ("xrf/xrfmaps_2IDE/axo_std_cube.npz", "counts", [None] * 4, -1),
        ("xrf/multiel_validation.npz", "X", [None, "energy_keV"], -1),
        ("xas/repeatmix_Ni.npz", "mixtures", [None, "energy"], -1),
        ("xas/repeatmix_Mn.npz", "mixtures", [None, "energy"], -1),
        ("xas/repeatmix_As_10K_100K.npz", "mixtures", [None, "energy"], -1),
        ("xas/repeatmix_Mn.npz", "references", [None, "energy"], -1),
        ("xas/stxm_fe2p_tica_a.npz", "transmission", [None, None, "energy_eV"], 0),
    ]:
        file = f"data/{file}"
        with np.load(ROOT / file) as opened:
            values = np.moveaxis(opened[signal], spectrum, -1)
            points = [axis(n if name is None else opened[name])
                      for n, name in zip(values.shape, axes, strict=True)]
            yield entry(file, values, points, signal)


def of_rosettasciio():
    for module, file in [(zspy, "data/formats/signal1d_10x10-ZipStore.zspy"),
                         (hspy, "data/eels/CuZn_HAADF.hspy")]:
        (found,) = module.file_reader(str(ROOT / file))
        axes = [{"offset": float(a["offset"]), "scale": float(a["scale"])} for a in found["axes"]]
        yield entry(file, np.asarray(found["data"]), axes)


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    for name, peer, version, entries in [
        ("h5py", "h5py", h5py.__version__, of_h5py()),
        ("numpy", "NumPy", np.__version__, of_numpy()),
        ("rosettasciio", "RosettaSciIO", rsciio.__version__, of_rosettasciio()),
    ]:
        lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries)
        head = f'{{"peer": "{peer}", "version": "{version}", "entries": [\n'
        (HERE / f"containers_{name}.json").write_text(f"{head}{lines}\n]}}\n")


if __name__ == "__main__":
    main()
