//! Line shapes: one file each, with derivatives to every parameter.
//!
//! A shape is a function of the axis and a few named parameters. Widths are full widths at half
//! maximum unless the field says otherwise; `area` is the integral over the axis, `height` the value
//! at the maximum. All derivatives are analytic and tested against central differences in one
//! test over all shapes.

mod active_background;
mod doniach_sunjic;
mod exponential_tail;
mod gaussian;
mod gl_product;
mod lorentzian;
mod polynomial;
mod pseudo_voigt;
mod sigmoid_pseudo_voigt;
mod split_pseudo_voigt;
mod step;
mod voigt;

pub use active_background::Scatterer;

use super::PeakError;
use kalpha_num::{
    lanes::Lanes,
    simd::{self, Kernel},
};

/// What a parameter does, which decides its default bounds and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Multiplies the whole shape.
    Amplitude,
    /// Place on the axis.
    Position,
    /// A width, in units of the axis, above zero.
    Width,
    /// A share between 0 and 1.
    Share,
    /// Any other number.
    Other,
}

/// A parameter of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapeParameter {
    /// Name: `center`.
    pub name: &'static str,
    /// What it does.
    pub role: Role,
    /// Smallest value it makes sense at.
    pub lower: f64,
    /// Largest value.
    pub upper: f64,
    /// Start where nothing better is known; NaN where the data must tell.
    pub start: f64,
}

impl ShapeParameter {
    const fn new(name: &'static str, role: Role) -> Self {
        let (lower, upper, start) = match role {
            Role::Width => (0.0, f64::INFINITY, f64::NAN),
            Role::Share => (0.0, 1.0, 0.5),
            Role::Amplitude | Role::Position => (f64::NEG_INFINITY, f64::INFINITY, f64::NAN),
            Role::Other => (f64::NEG_INFINITY, f64::INFINITY, 0.0),
        };
        Self { name, role, lower, upper, start }
    }

    const fn within(self, lower: f64, upper: f64, start: f64) -> Self {
        Self { lower, upper, start, ..self }
    }
}

/// What one sees of a peak: its starting point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Place of the maximum.
    pub center: f64,
    /// Height above the background.
    pub height: f64,
    /// Full width at half maximum.
    pub fwhm: f64,
}

/// Height, area and width of a shape at given parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Place of the maximum.
    pub position: f64,
    /// Value there.
    pub height: f64,
    /// Integral over the whole axis; infinite where it diverges.
    pub area: f64,
    /// Full width at half maximum.
    pub fwhm: f64,
}

/// A line shape, a step or a background.
pub trait LineShape: Send + Sync {
    /// Name in recipes: `pseudo_voigt`.
    fn id(&self) -> &'static str;

    /// One line: equation.
    fn about(&self) -> &'static str;

    /// Parameters, in the order of all other functions.
    fn parameters(&self) -> &'static [ShapeParameter];

    /// Adds nothing: `value[i] = f(x_i)`, and `slopes[k m + i] = df/dp_k` where asked.
    fn evaluate(&self, x: &[f64], p: &[f64], value: &mut [f64], slopes: Option<&mut [f64]>);

    /// Parameters for what is seen.
    fn start(&self, seen: Seen) -> Vec<f64>;

    /// Position, height, area, width; `None` for what is no peak.
    fn measures(&self, p: &[f64]) -> Option<Measures>;

    /// The peak that others scatter from: false for steps and backgrounds.
    fn is_peak(&self) -> bool {
        true
    }

    /// What the shape makes of the sum of all peaks, for backgrounds that peaks cause.
    fn scatterer(&self) -> Option<&dyn Scatterer> {
        None
    }
}

impl std::fmt::Debug for dyn LineShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

/// All shapes.
pub static SHAPES: &[&dyn LineShape] = &[
    &gaussian::Gaussian { by_height: false },
    &gaussian::Gaussian { by_height: true },
    &lorentzian::Lorentzian { by_height: false },
    &lorentzian::Lorentzian { by_height: true },
    &voigt::Voigt,
    &pseudo_voigt::PseudoVoigt { by_height: false },
    &pseudo_voigt::PseudoVoigt { by_height: true },
    &gl_product::GlProduct,
    &split_pseudo_voigt::SplitPseudoVoigt,
    &sigmoid_pseudo_voigt::SigmoidPseudoVoigt,
    &doniach_sunjic::DoniachSunjic { tail_up: true },
    &doniach_sunjic::DoniachSunjic { tail_up: false },
    &exponential_tail::ExponentialTail { up: false },
    &exponential_tail::ExponentialTail { up: true },
    &step::ErfStep,
    &step::ArctanStep,
    &active_background::Shirley { kinetic: false },
    &active_background::Shirley { kinetic: true },
    &active_background::Tougaard { kinetic: false },
    &active_background::Tougaard { kinetic: true },
    &polynomial::Polynomial { degree: 0 },
    &polynomial::Polynomial { degree: 1 },
    &polynomial::Polynomial { degree: 2 },
    &polynomial::Polynomial { degree: 3 },
];

/// The shape of that name.
///
/// # Errors
/// [`PeakError::Shape`] with all names.
pub fn shape(id: &str) -> Result<&'static dyn LineShape, PeakError> {
    SHAPES.iter().copied().find(|s| s.id() == id).ok_or_else(|| PeakError::Shape {
        shape: id.to_owned(),
        known: SHAPES.iter().map(|s| s.id()).collect::<Vec<_>>().join(", "),
    })
}

/// Points worked on together.
const L: usize = 8;
type V = Lanes<L>;

/// A shape given at eight points at once.
trait Pointwise<const N: usize>: Copy {
    /// Value and derivatives at `x`. Mark it `#[inline(always)]`.
    fn at(&self, x: V) -> (V, [V; N]);
}

struct Fill<'a, S, const N: usize> {
    shape: S,
    x: &'a [f64],
    value: &'a mut [f64],
    slopes: Option<&'a mut [f64]>,
}

impl<S: Pointwise<N>, const N: usize> Kernel for Fill<'_, S, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { shape, x, value, slopes } = self;
        let m = x.len();
        let whole = m - m % L;
        let (inside, rest) = value.split_at_mut(whole);
        match slopes {
            None => {
                for (x, value) in x.chunks_exact(L).zip(inside.chunks_exact_mut(L)) {
                    let (f, _) = shape.at(load(x));
                    store(&f, value);
                }
                if whole < m {
                    let (f, _) = shape.at(load(&x[whole..]));
                    rest.copy_from_slice(&f.0[..m - whole]);
                }
            }
            Some(slopes) => {
                for (i, (x, value)) in x.chunks_exact(L).zip(inside.chunks_exact_mut(L)).enumerate()
                {
                    let (f, d) = shape.at(load(x));
                    store(&f, value);
                    for (k, d) in d.iter().enumerate() {
                        let first = k * m + i * L;
                        store(d, &mut slopes[first..first + L]);
                    }
                }
                if whole < m {
                    let (f, d) = shape.at(load(&x[whole..]));
                    rest.copy_from_slice(&f.0[..m - whole]);
                    for (k, d) in d.iter().enumerate() {
                        slopes[k * m + whole..(k + 1) * m].copy_from_slice(&d.0[..m - whole]);
                    }
                }
            }
        }
    }
}

/// Writes eight values; a copy of known length.
#[inline(always)]
fn store(from: &V, to: &mut [f64]) {
    if let Ok(to) = <&mut [f64; L]>::try_from(to) {
        *to = from.0;
    }
}

#[inline(always)]
fn load(x: &[f64]) -> V {
    match <[f64; L]>::try_from(x) {
        Ok(x) => Lanes(x),
        // The end of the axis, filled up with its last point.
        Err(_) => Lanes(std::array::from_fn(|k| x[k.min(x.len() - 1)])),
    }
}

fn fill<S: Pointwise<N>, const N: usize>(
    shape: S,
    x: &[f64],
    value: &mut [f64],
    slopes: Option<&mut [f64]>,
) {
    simd::run(Fill { shape, x, value, slopes });
}

/// `values` for parameters `p`, padded with NaN where too few were given.
fn array<const N: usize>(p: &[f64]) -> [f64; N] {
    std::array::from_fn(|k| p.get(k).copied().unwrap_or(f64::NAN))
}

/// 4 ln 2.
const FOUR_LN2: f64 = 4.0 * std::f64::consts::LN_2;

/// Area of a Gaussian of unit height and width.
fn gaussian_area() -> f64 {
    (std::f64::consts::PI / FOUR_LN2).sqrt()
}

/// Area of a Lorentzian of unit height and width.
const LORENTZIAN_AREA: f64 = std::f64::consts::FRAC_PI_2;

const AREA: ShapeParameter = ShapeParameter::new("area", Role::Amplitude);
const HEIGHT: ShapeParameter = ShapeParameter::new("height", Role::Amplitude);
const CENTER: ShapeParameter = ShapeParameter::new("center", Role::Position);
const FWHM: ShapeParameter = ShapeParameter::new("fwhm", Role::Width);
const FRACTION: ShapeParameter = ShapeParameter::new("fraction", Role::Share);

/// A peak of `height` at `center` whose profile falls on both sides, measured by bisection: full
/// width at half maximum, searched over `reach`.
fn half_width(profile: impl Fn(f64) -> f64, position: f64, height: f64, reach: f64) -> f64 {
    let side = |direction: f64| {
        let (mut inside, mut outside) = (0.0, reach);
        // Far enough to be below half.
        for _ in 0..60 {
            if profile(position + direction * outside) < 0.5 * height {
                break;
            }
            outside *= 2.0;
        }
        for _ in 0..80 {
            let middle = 0.5 * (inside + outside);
            match profile(position + direction * middle) > 0.5 * height {
                true => inside = middle,
                false => outside = middle,
            }
        }
        0.5 * (inside + outside)
    };
    side(1.0) + side(-1.0)
}

/// Value of a shape at one point.
fn value_at(shape: &dyn LineShape, x: f64, p: &[f64]) -> f64 {
    let mut value = [0.0];
    shape.evaluate(&[x], p, &mut value, None);
    value[0]
}

#[cfg(test)]
mod tests;
