//! The document and its faces, on two synthetic runs: a quantified film and a refused rock.

#[path = "eds/document.rs"]
mod document;
#[path = "eds/film.rs"]
mod film;
#[path = "eds/render.rs"]
mod render;
#[path = "eds/rock.rs"]
mod rock;
#[path = "eds/sample.rs"]
mod sample;
#[path = "eds/tables.rs"]
mod tables;
