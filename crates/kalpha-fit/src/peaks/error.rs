use thiserror::Error;

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum PeakError {
    /// No such shape.
    #[error("there is no line shape `{shape}` (hint: one of {known})")]
    Shape {
        /// Name given.
        shape: String,
        /// All names.
        known: String,
    },
    /// No such parameter.
    #[error("there is no parameter `{parameter}` (hint: one of {known})")]
    Parameter {
        /// Name given.
        parameter: String,
        /// Names there are.
        known: String,
    },
    /// Two components, or a component and a variable, of one name.
    #[error("the name `{name}` is given twice or is not a name (hint: letters, digits and _)")]
    Name {
        /// The name.
        name: String,
    },
    /// A model without components, or without anything to fit.
    #[error("the model has no {what} (hint: add one)")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// An expression that cannot be read.
    #[error("`{parameter}` = `{expression}`: {what} at character {at}")]
    Expression {
        /// Parameter it belongs to.
        parameter: String,
        /// The expression.
        expression: String,
        /// What is wrong.
        what: &'static str,
        /// Where, from 1.
        at: usize,
    },
    /// Tied parameters that depend on each other.
    #[error("tied in a circle: {circle} (hint: leave one of them free)")]
    Circle {
        /// Names along the circle.
        circle: String,
    },
    /// An expression that gives no number: a division by zero, a root of a negative number.
    #[error(
        "`{parameter}` = `{expression}` gives {value} (hint: a division by zero, or a root or \
         logarithm of what is not positive)"
    )]
    NotANumber {
        /// Parameter it belongs to.
        parameter: String,
        /// The expression.
        expression: String,
        /// What it gives.
        value: f64,
    },
    /// Constraints that cannot hold together.
    #[error("`{parameter}`: {what}")]
    Contradiction {
        /// The parameter.
        parameter: String,
        /// Which constraints.
        what: String,
    },
    /// A peak that is not on the axis.
    #[error(
        "`{parameter}` = {value} is outside the data, {first} to {last} (hint: widen the range, or \
         leave the peak out)"
    )]
    Outside {
        /// The parameter.
        parameter: String,
        /// Its value.
        value: f64,
        /// Begin of the axis.
        first: f64,
        /// End of the axis.
        last: f64,
    },
    /// Fewer points with weight than free parameters.
    #[error("{points} points cannot determine {parameters} parameters (hint: fix or tie some)")]
    Few {
        /// Points that count.
        points: usize,
        /// Free parameters.
        parameters: usize,
    },
    /// Lengths do not agree.
    #[error("{what} has {got} values where the axis has {expected}")]
    Length {
        /// Which.
        what: &'static str,
        /// Found.
        got: usize,
        /// Needed.
        expected: usize,
    },
    /// NaN or infinity where numbers are needed.
    #[error("{what} is {value} at point {index} (hint: leave such points out, or weigh them zero)")]
    NotFinite {
        /// Which values.
        what: &'static str,
        /// Point.
        index: usize,
        /// Value there.
        value: f64,
    },
    /// An axis that does not ascend.
    #[error("the axis does not ascend at point {index} (hint: sort the points, drop doubles)")]
    Axis {
        /// Point.
        index: usize,
    },
    /// A weight below zero.
    #[error("weight {value} at point {index} is negative (hint: weights are inverse variances)")]
    Weight {
        /// Point.
        index: usize,
        /// Weight there.
        value: f64,
    },
    /// Every weight is zero.
    #[error("no point has a weight above zero")]
    NoWeight,
    /// Counts below zero.
    #[error(
        "{value} counts at point {index}: a Poisson likelihood needs counts (hint: fit raw counts, \
         or by least squares)"
    )]
    Negative {
        /// Point.
        index: usize,
        /// Value there.
        value: f64,
    },
    /// The model is not positive where counts are: no likelihood at the start.
    #[error(
        "the model gives {value} at {x}, where {counts} counts are (hint: a background above zero, \
         amplitudes bounded below by zero)"
    )]
    NotPositive {
        /// Place on the axis.
        x: f64,
        /// Counts there.
        counts: f64,
        /// The model there.
        value: f64,
    },
    /// No peak stands out where the model needs a start.
    #[error("no peak to start `{component}` from (hint: give its center)")]
    NoPeak {
        /// The component.
        component: String,
    },
    /// The minimiser cannot start.
    #[error(transparent)]
    LeastSquares(#[from] kalpha_num::least_squares::LeastSquaresError),
}
