//! Self-contained HTML reports, tables, maps and figures.
//!
//! A run fills one document per modality. The document is the `--json` output; together with
//! the figures it makes the terminal answer, the HTML report and the tables. Nothing here
//! opens a file or computes a result: text and bytes come out, the caller writes them.
//!
//! - [`eds`]: the document, the terminal answer and the report of an EDS spectrum image.

pub mod eds;
