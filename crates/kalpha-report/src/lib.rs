//! Self-contained HTML reports, tables, maps and figures.
//!
//! A run fills one document per modality. The document is the `--json` output; together with
//! the figures it makes the terminal answer, the HTML report and the tables. Nothing here
//! opens a file or computes a result: text and bytes come out, the caller writes them.
//!
//! - [`eds`] the document, the terminal answer and the report of an EDS spectrum image
//! - [`spectra`] spectra of any modality, treated row by row
//! - [`png`], [`colour_scale`] maps as images
//! - [`figure`] SVG plots
//! - [`tables`] CSV
//! - [`number`] numbers as people read them

mod answer;
pub mod colour_scale;
pub mod document;
pub mod eds;
pub mod figure;
pub mod number;
mod page;
pub mod png;
pub mod spectra;
pub mod tables;
