//! Every reader against what other programs read from the same files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bcf;
mod columns;
mod containers;
mod converted;
mod corpus;
mod diffraction;
mod dm;
mod emd;
mod fingerprint;
mod hspy;
mod mda;
mod multichannel;
mod raw;
mod single;
mod surface;
mod wdf;
mod written;
mod xas;
