use kalpha_num::least_squares::LeastSquaresError;
use kalpha_physics::PhysicsError;
use thiserror::Error;

/// Why an EDS spectrum cannot be fitted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum FitError {
    /// The fitted range holds too few channels.
    #[error(
        "{channels} channels between {low} and {high} keV, {needed} are needed (hint: check the energy axis)"
    )]
    TooFewChannels {
        /// Channels found.
        channels: usize,
        /// Start of the range, keV.
        low: f64,
        /// End of the range, keV.
        high: f64,
        /// Channels needed.
        needed: usize,
    },
    /// The fitted range holds no counts.
    #[error("no counts between {low} and {high} keV (hint: the spectrum is empty or misplaced)")]
    NoCounts {
        /// Start of the range, keV.
        low: f64,
        /// End of the range, keV.
        high: f64,
    },
    /// Energies and counts do not belong together.
    #[error("{counts} counts for {energies} channel energies")]
    Length {
        /// Number of energies.
        energies: usize,
        /// Number of counts.
        counts: usize,
    },
    /// A channel holds no number.
    #[error("channel {channel} holds {value} (hint: counts must be finite; mask the channel)")]
    NotFinite {
        /// The channel.
        channel: usize,
        /// What it holds.
        value: f64,
    },
    /// Somebody asked the run to stop.
    #[error("cancelled")]
    Cancelled,
    /// A linear fit has no solution.
    #[error(transparent)]
    LeastSquares(#[from] LeastSquaresError),
    /// A line, width or attenuation could not be computed.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
}
