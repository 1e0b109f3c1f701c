use thiserror::Error;

/// What can go wrong when a physical quantity is looked up.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PhysicsError {
    /// The name is no element.
    #[error("unknown element `{name}` (hint: did you mean `{suggestion}`?)")]
    UnknownElement {
        /// The name as given.
        name: String,
        /// The symbol nearest to it.
        suggestion: String,
    },
    /// The name is no X-ray line of the element.
    #[error("unknown X-ray line `{name}` (hint: {element} has {available})")]
    UnknownLine {
        /// The name as given.
        name: String,
        /// The element, or what was read as one.
        element: String,
        /// Lines the element has, comma separated.
        available: String,
    },
    /// A number is outside the range in which the formula holds.
    #[error("{quantity} = {value} is outside {range}")]
    OutOfRange {
        /// Name of the quantity.
        quantity: &'static str,
        /// Value as given.
        value: f64,
        /// Allowed range, in words.
        range: &'static str,
    },
    /// The embedded atomic data could not be read.
    #[error("atomic data of {element} are missing: {what}")]
    MissingData {
        /// The element.
        element: String,
        /// What is missing.
        what: &'static str,
    },
}
