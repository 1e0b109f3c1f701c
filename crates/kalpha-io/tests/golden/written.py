"""Checks what kalpha writes with other programs: h5py, HyperSpy, zarr-python and NumPy.

    KALPHA_REFERENCE=../shared python written.py path/to/kalpha

Every file of the list is converted to .npy, .hspy, .nxs, .zspy and .zarr; the values, axes and
titles the peers read are compared with those of the .npy and its JSON file. Run by hand: the
peers are no dependency of the tests.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import h5py
import hyperspy
import hyperspy.api as hs
import numpy as np
import zarr

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))
FILES = [
    "eds/EDS_SEM_TM002.hspy", "eds/EDS_TEM_FePt_nanoparticles.hspy", "eds/FePt_core_shell.hspy",
    "eds/P45_12bit_packed_8bit.bcf", "eds/bcf_v2_50x50px.bcf", "eds/test_TEM.bcf",
    "eels/CuZn_EELS_SI.hspy", "eels/CuZn_HAADF.hspy", "eels/EELS_LL_simulated_thickness.hspy",
    "eels/LSMO_linescan.hspy", "eels/LSMO_linescan_low_loss.hspy",
    "eels/CrL_coreloss_spectrum.msa", "eels/ce3_edge.hdf5", "formats/4on3_full.rpl",
    "formats/signal1d_10x10-ZipStore.zspy", "raman/mindlab_covid_dataset.npz",
    "xas/stxm_fe2p_tica_a.npz", "xas/cu_metal_rt.xdi", "xas/repeatmix_Mn.npz",
    "xrf/xrfmaps_2IDE/axo_std_cube.npz", "formats/EELS_SI.dm4", "raman/wire/line.wdf",
]


def points(axis):
    if "axis" in axis:
        return np.array(axis["axis"], dtype=float)
    return axis["offset"] + axis["scale"] * np.arange(axis["size"])


def check(what, ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{what}: {ours.shape} {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: {ours.dtype} {theirs.dtype}"
    assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), what


def one(kalpha, source, folder):
    def convert(name):
        target = folder / name
        subprocess.run([kalpha, "convert", "--quiet", str(source), str(target)], check=True)
        return target

    values = np.load(convert("a.npy"))
    stated = json.loads((folder / "a.json").read_text())
    image = values.shape[-1] == 1 and stated["axes"][-1]["name"] == "intensity" and values.ndim > 1
    array, axes = (values[..., 0], stated["axes"][:-1]) if image else (values, stated["axes"])

    def check_hyperspy(signal, name):
        check(f"{name} values", array, signal.data)
        assert (signal.axes_manager.navigation_dimension == 0) or not image
        for ours, axis in zip(axes, signal.axes_manager._axes, strict=True):
            np.testing.assert_allclose(axis.axis, points(ours), rtol=1e-12, err_msg=name)
            assert axis.units in (ours["units"], *([None, ""] if not ours["units"] else [])) or (
                str(axis.units) == "<undefined>" and not ours["units"]), (axis.units, ours)
        assert signal.metadata.General.title == stated["metadata"].get("title", ""), name

    path = convert("a.hspy")
    check_hyperspy(hs.load(path), "hspy")
    with h5py.File(path) as file:
        (name,) = file["Experiments"]
        check("h5py", array, file[f"Experiments/{name}/data"][...])
        assert file.attrs["file_format"] == "HyperSpy"
    with h5py.File(convert("a.nxs")) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        check("nexus", array, data[data.attrs["signal"]][...])
        for ours, name in zip(axes, data.attrs["axes"], strict=True):
            np.testing.assert_allclose(data[name][...], points(ours), rtol=1e-12)
            assert data[name].attrs["units"] == ours["units"]
    check("zarr", values, zarr.open_array(convert("a.zarr"), mode="r")[...])
    check_hyperspy(hs.load(convert("a.zspy")), "zspy")


def main():
    kalpha = sys.argv[1]
    done = 0
    for name in FILES:
        source = ROOT / "data" / name
        if not source.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                one(kalpha, source, pathlib.Path(folder))
                done += 1
                print("ok", name, flush=True)
            except Exception as error:
                print("FAILED", name, type(error).__name__, str(error)[:400], flush=True)
    versions = f"h5py {h5py.__version__}, HyperSpy {hyperspy.__version__}, zarr {zarr.__version__}"
    print(f"{done} of {len(FILES)} files; {versions}, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
