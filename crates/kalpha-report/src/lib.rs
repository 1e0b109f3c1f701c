//! Self-contained HTML reports, tables, maps and figures.
