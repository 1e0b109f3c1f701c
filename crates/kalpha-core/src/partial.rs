//! States of some rows, that can travel and be merged.

use serde::{Serialize, de::DeserializeOwned};
use std::ops::Range;

/// Version of the byte layout.
const FORMAT: u32 = 1;

/// Partial states do not fit together.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartialError {
    /// Both states have seen some rows.
    #[error("cells {first:?} and {second:?} overlap: these rows would count twice")]
    Overlap {
        /// Cells of one state.
        first: Range<usize>,
        /// Cells of the other.
        second: Range<usize>,
    },
    /// The states come from different methods, versions or parameters.
    #[error("state of {got} cannot join a state of {expected}")]
    Origin {
        /// Origin of the state that is there.
        expected: String,
        /// Origin of the state that comes.
        got: String,
    },
    /// The bytes are not a state.
    #[error("these bytes are not a state: {reason}")]
    Bytes {
        /// What is wrong with them.
        reason: String,
    },
}

/// A state and the cells it covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial<S> {
    /// The state.
    pub state: S,
    /// Cells covered, ascending, without overlap.
    covers: Vec<Range<usize>>,
}

impl<S> Partial<S> {
    /// A state of the cells `covers`.
    pub fn new(state: S, covers: Range<usize>) -> Self {
        Self { state, covers: if covers.is_empty() { vec![] } else { vec![covers] } }
    }

    /// Cells covered.
    pub fn covers(&self) -> &[Range<usize>] {
        &self.covers
    }

    /// Adds another state with `merge`.
    ///
    /// # Errors
    /// When both have seen the same cells.
    pub fn merge(
        &mut self,
        other: Self,
        merge: impl FnOnce(&mut S, S),
    ) -> Result<(), PartialError> {
        for a in &self.covers {
            for b in &other.covers {
                if a.start < b.end && b.start < a.end {
                    return Err(PartialError::Overlap { first: a.clone(), second: b.clone() });
                }
            }
        }
        merge(&mut self.state, other.state);
        self.covers.extend(other.covers);
        self.covers.sort_by_key(|range| range.start);
        Ok(())
    }
}

impl<S: Serialize + DeserializeOwned> Partial<S> {
    /// The state as bytes. `origin` names step, revision and parameters.
    ///
    /// # Errors
    /// When the state cannot be serialised.
    pub fn to_bytes(&self, origin: &str) -> Result<Vec<u8>, PartialError> {
        postcard::to_stdvec(&(FORMAT, origin, &self.covers, &self.state))
            .map_err(|error| PartialError::Bytes { reason: error.to_string() })
    }

    /// The state in `bytes`, if it has this origin.
    ///
    /// # Errors
    /// When the bytes are no state, of another format version or of another origin.
    pub fn from_bytes(bytes: &[u8], origin: &str) -> Result<Self, PartialError> {
        let not = |error: postcard::Error| PartialError::Bytes { reason: error.to_string() };
        let ((format, found), rest): ((u32, String), _) =
            postcard::take_from_bytes(bytes).map_err(not)?;
        if format != FORMAT || found != origin {
            return Err(PartialError::Origin {
                expected: format!("{origin}, format {FORMAT}"),
                got: format!("{found}, format {format}"),
            });
        }
        let (covers, state) = postcard::from_bytes(rest).map_err(not)?;
        Ok(Self { state, covers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_and_other_origins_are_refused() {
        let mut a = Partial::new(1u64, 0..4);
        assert!(a.merge(Partial::new(2, 3..5), |x, y| *x += y).is_err());
        a.merge(Partial::new(2, 4..5), |x, y| *x += y).unwrap();
        assert_eq!((a.state, a.covers().len()), (3, 2));
        let bytes = a.to_bytes("pca 1").unwrap();
        assert_eq!(Partial::from_bytes(&bytes, "pca 1").unwrap(), a);
        assert!(Partial::<u64>::from_bytes(&bytes, "pca 2").is_err());
        for n in 0..bytes.len() {
            assert!(Partial::<u64>::from_bytes(&bytes[..n], "pca 1").is_err());
        }
    }
}
