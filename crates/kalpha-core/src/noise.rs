//! What is known of the noise of a row artefact.

use serde::{Deserialize, Serialize};

/// The noise model that every step declares for what it makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseModel {
    /// Counts times `gain`: variance = gain x mean.
    Poisson {
        /// Signal units per count.
        gain: f64,
    },
    /// The same standard deviation everywhere.
    Gaussian {
        /// Standard deviation, in signal units.
        sigma: f64,
    },
    /// Read-out noise on top of counting noise.
    PoissonGaussian {
        /// Signal units per count.
        gain: f64,
        /// Standard deviation of the read-out noise.
        sigma: f64,
    },
    /// One variance per value, in the named row artefact.
    Variance(String),
    /// Neighbouring values are not independent any more.
    Correlated,
    /// Nothing is known.
    Unknown,
}

impl NoiseModel {
    /// Raw counts.
    pub const COUNTS: Self = Self::Poisson { gain: 1.0 };

    /// True for raw counts, whose likelihood is Poisson.
    pub fn is_counts(&self) -> bool {
        *self == Self::COUNTS
    }
}
