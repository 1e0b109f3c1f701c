//! PCA, number of components, NMF, phases and the rare-phase guard.

pub mod mcr;
pub mod nmf_kl;
pub mod pca;
pub mod phases;
pub mod rank;
pub mod rare;
pub mod reconstruction;
pub mod simplisma;
#[cfg(test)]
mod simulated;
pub mod target;
