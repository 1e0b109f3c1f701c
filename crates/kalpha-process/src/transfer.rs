//! Transfer between instruments, and from Monday to Friday on the same one.

pub mod calibration;
pub mod model;
pub mod standards;
pub mod step;
