"""Writes xrd_jcamp.json: what jcamp reads from the tiny JCAMP-DX files."""

import importlib.metadata

import jcamp
from xrd_entries import HERE, entry, points, write


def one(name, differs=None):
    found = jcamp.readfile(str(HERE / "../corpus" / name))
    return entry(f"tests/corpus/{name}", found["y"], [points(found["x"])], differs=differs)


write(__file__, "jcamp", importlib.metadata.version("jcamp"), [one("tiny.jdx"), one("tiny_affn.dx")])
