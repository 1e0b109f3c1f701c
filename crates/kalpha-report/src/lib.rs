//! Self-contained HTML reports, tables, maps and figures.
//!
//! A run fills one document per modality. The document is the `--json` output; together with
//! the figures it makes the terminal answer, the HTML report and the tables. Nothing here
//! opens a file or computes a result: text and bytes come out, the caller writes them.
//!
//! - [`eds`] the document, the terminal answer and the report of an EDS spectrum image
//! - [`png`], [`colour_scale`] maps as images
//! - [`figure`] SVG plots
//! - [`tables`] CSV
//! - [`number`] numbers as people read them

pub mod colour_scale;
pub mod eds;
pub mod figure;
pub mod number;
pub mod png;
pub mod tables;
