//! Energy scale and resolution.

pub mod energy;
