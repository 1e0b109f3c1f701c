//! Baselines under peaks.
//!
//! One file per method, named as in pybaselines where that has it.

pub mod airpls;
pub mod arpls;
pub mod asls;
pub mod aspls;
pub mod auto;
pub mod bremsstrahlung;
pub mod drpls;
mod edges;
pub mod energy_scale;
pub mod iarpls;
pub mod iasls;
pub mod imodpoly;
pub mod linear;
pub mod modpoly;
pub mod mor;
pub mod morphology;
pub mod plasmon_tail;
pub mod polynomial;
pub mod power_law;
pub mod psalsa;
pub mod pspline;
pub mod rolling_ball;
pub mod rubberband;
pub mod shirley;
pub mod snip;
pub mod std_distribution;
pub mod tophat;
pub mod tougaard;
pub mod whittaker;
