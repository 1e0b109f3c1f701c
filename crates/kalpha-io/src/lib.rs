//! Readers and writers, one folder per format.
//!
//! [`open`] reads a file into a [`kalpha_core::Dataset`]; [`detect`] says what format it could
//! have. A reader returns an error on any bytes, never panics, and never allocates what a
//! header merely claims.
//!
//! A new format is a folder with a `read.rs`, a type that is a [`Reader`], and one line in the
//! list of readers in `format.rs`.

mod archive;
mod athena;
mod axis_guess;
mod bcf;
mod blocks;
mod brml;
mod bruker_raw;
pub mod cif;
mod codec;
mod columns;
mod dense;
mod diffraction;
mod dm;
mod emd;
mod epics_mca;
mod error;
mod events;
mod fields;
mod format;
mod gather;
mod gsas;
mod hdf5;
mod hspy;
mod hyperspy;
mod input;
mod jcamp;
mod jeol;
mod labspec;
mod maestro;
mod mat;
mod mda;
mod msa;
mod named_arrays;
mod nexus;
mod npy;
mod npz;
mod open;
mod phi;
mod plain;
mod ras;
mod rasx;
mod ripple;
mod series;
mod sidecar;
mod signal_list;
mod spc;
mod spec;
mod specs_xy;
mod spx;
mod uxd;
mod vamas;
mod wdf;
pub mod write;
mod xdi;
mod xml;
mod xrdml;
mod xy;
mod zarr;
mod zip;

pub use error::IoError;
pub use format::{Confidence, FormatId, Reader, formats};
pub use input::Input;
pub use open::{EnergyAxis, OpenOptions, detect, open, open_all, read, signals};
