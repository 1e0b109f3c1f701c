//! Elements, X-ray lines, attenuation, detectors and forward models.

pub mod attenuation;
pub mod bremsstrahlung;
pub mod detector;
pub mod elements;
mod error;
pub mod ionization;
pub mod lines;
pub mod photoemission;
pub mod pileup;
pub mod profile;
pub mod simulate;
pub mod specimen;

pub use error::PhysicsError;
