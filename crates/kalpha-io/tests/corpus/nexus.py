"""Writes tiny.nxs (NXdata of 2014 and of before, a stack with energies first) and tiny_plain.h5.

h5py 3.16.0 wrote the files that are committed. Values as in filters.py, of a smaller map.
"""

import sys

import h5py
import numpy as np

i, j, c = np.meshgrid(np.arange(2), np.arange(3), np.arange(20), indexing="ij")
values = ((i + 3 * j) * (c % 17) + c // 5).astype("u2")
energy = 7100 + 0.5 * np.arange(20) ** 1.1
folder = sys.argv[1]


def group(parent, name, kind, **attributes):
    made = parent.create_group(name)
    made.attrs["NX_class"] = kind
    made.attrs.update(attributes)
    return made


with h5py.File(f"{folder}/tiny.nxs", "w", libver="latest") as file:
    file.attrs["NX_class"] = "NXroot"
    file.attrs["default"] = "scan"
    old = group(file, "before", "NXentry")
    data = group(old, "data", "NXdata")
    data["counts"] = values
    data["counts"].attrs.update({"signal": 1, "axes": "row:column:energy"})
    data["row"] = np.arange(2.0)
    data["column"] = 10 * np.arange(3.0)
    data["energy"] = energy
    data["energy"].attrs["units"] = "eV"
    scan = group(file, "scan", "NXentry", default="map")
    scan["title"] = "iron on a grid"
    scan["definition"] = "NXxas"
    group(scan, "instrument", "NXinstrument")["name"] = "beamline 1"
    stack = group(scan, "stack", "NXdata", signal="counts", axes=["energy", ".", "x"])
    stack["counts"] = np.moveaxis(values, -1, 0).astype("f4") / 4
    stack["energy"] = energy
    stack["energy"].attrs["units"] = "eV"
    stack["x"] = np.arange(4.0)  # edges of three pixels
    stack["x"].attrs["units"] = "um"
    chosen = group(scan, "map", "NXdata", signal="counts", axes=["y", "x", "energy"],
                   auxiliary_signals=["norm"], energy_indices=2)
    chosen.create_dataset("counts", data=values, compression="gzip", chunks=(1, 2, 20))
    chosen["norm"] = values / 7.0
    chosen["energy"] = energy
    chosen["energy"].attrs["units"] = "eV"
    chosen["y"] = [0.5, 0.75]
    chosen["x"] = [1, 2, 3]
    chosen["x"].attrs["units"] = "um"

with h5py.File(f"{folder}/tiny_plain.h5", "w", libver="latest") as file:
    file["Data"] = values[1, 2].astype("f8") / 3
    axis = file.create_group("Energy_axis")
    axis.attrs.update({"Offset": 860.0, "Dispersion": 0.05, "Size": 20})
