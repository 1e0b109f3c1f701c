//! Energy scale and resolution; axes from features of known position.

pub mod binding_energy;
pub mod energy;
pub mod peaks;
