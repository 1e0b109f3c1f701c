"""Writes gemmi_structures.json: what gemmi reads from the CIF files of the reference data, and the
operations it makes of every Hall symbol.

KALPHA_REFERENCE names the folder of the reference data (default: shared beside the checkout).
"""

import hashlib
import json
import os
import pathlib

import gemmi

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(os.environ.get("KALPHA_REFERENCE", HERE / "../../../../../shared"))


def rows(operations):
    """Rotations and translations (in 24ths), sorted."""
    out = []
    for op in operations:
        rot = [x // op.DEN for row in op.rot for x in row]
        out.append(rot + [x * 24 // op.DEN % 24 for x in op.tran])
    return sorted(out)


def digest(operations):
    text = "\n".join(" ".join(map(str, row)) for row in rows(operations))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_text(words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def of_block(block):
    """The operations the file lists, else those of its symbol."""
    tags = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"]
    listed = [gemmi.cif.as_string(v) for tag in tags for v in block.find_values(tag)]
    if listed:
        return [gemmi.Op(text) for text in listed]
    structure = gemmi.make_small_structure_from_block(block)
    group = structure.spacegroup or gemmi.find_spacegroup_by_name("P m -3 m")
    return list(group.operations())


def structures():
    for path in sorted(ROOT.glob("data/xrd/**/*.cif")):
        for block in gemmi.cif.read(str(path)):
            structure = gemmi.make_small_structure_from_block(block)
            if not structure.sites:
                continue
            cell = structure.cell
            atoms = {}
            for site in structure.get_all_unit_cell_sites():
                atoms[site.label] = atoms.get(site.label, 0) + 1
            sites = structure.sites
            xyz = [x for s in sites for x in (s.fract.x, s.fract.y, s.fract.z)]
            yield {
                "file": str(path.relative_to(ROOT)),
                "block": block.name,
                "volume": cell.volume,
                "edges": cell.a + 2 * cell.b + 3 * cell.c,
                "angles": cell.alpha + 2 * cell.beta + 3 * cell.gamma,
                "operations": digest(of_block(block)),
                "labels": digest_text(s.label for s in sites),
                "elements": digest_text(s.element.name for s in sites),
                "fract": sum(x * (i + 1) for i, x in enumerate(xyz)),
                "occupancy": sum(s.occ for s in sites),
                "in_cell": [atoms[label] for label in dict.fromkeys(s.label for s in sites)],
            }


def hall_symbols():
    lines = (HERE / "../../src/cif/space_groups.tsv").read_text().splitlines()
    for symbol in dict.fromkeys(line.split("\t")[4] for line in lines):
        yield symbol, digest(gemmi.symops_from_hall(symbol))


out = {
    "peer": "gemmi",
    "version": gemmi.__version__,
    "structures": list(structures()),
    "hall": dict(hall_symbols()),
}
(HERE / "gemmi_structures.json").write_text(json.dumps(out, indent=1) + "\n")
