//! Axes, units, rows and cells, metadata, noise, quantities, diagnostics and the primitives.
