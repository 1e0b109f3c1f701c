//! Least-squares polynomials on a fixed axis.

/// Orthonormal polynomials up to some order on the points of an axis.
///
/// The fit of any data is two products with them, which is what the pseudo-inverse of a
/// Vandermonde matrix gives, without its bad condition.
#[derive(Clone, Debug)]
pub struct Polynomial {
    basis: Vec<Vec<f64>>,
}

impl Polynomial {
    /// Polynomials of order 0 to `order` on the points `x`, fewer where the points do not tell
    /// them apart.
    pub fn new(x: &[f64], order: usize) -> Self {
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        let half = 0.5 * (high - low);
        let middle = 0.5 * (high + low);
        let mapped: Vec<f64> =
            x.iter().map(|v| if half > 0.0 { (v - middle) / half } else { 0.0 }).collect();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for k in 0..=order {
            // x times the polynomial before spans the same space as the next power.
            let mut next: Vec<f64> = match basis.last() {
                Some(before) => before.iter().zip(&mapped).map(|(p, x)| p * x).collect(),
                None => vec![1.0; x.len()],
            };
            let size = norm(&next);
            // Twice is enough (Giraud, Langou and Rozložník 2005).
            for _ in 0..2 {
                for p in &basis {
                    let c = dot(p, &next);
                    next.iter_mut().zip(p).for_each(|(n, p)| *n -= c * p);
                }
            }
            let left = norm(&next);
            if k >= x.len() || left.is_nan() || left <= 1e-10 * size {
                break;
            }
            next.iter_mut().for_each(|n| *n /= left);
            basis.push(next);
        }
        Self { basis }
    }

    /// The polynomials, each with one value per point.
    pub fn basis(&self) -> &[Vec<f64>] {
        &self.basis
    }

    /// Puts the polynomial nearest to `y` into `z`.
    pub fn smooth(&self, y: &[f64], z: &mut [f64]) {
        z.fill(0.0);
        for p in &self.basis {
            let c = dot(p, y);
            z.iter_mut().zip(p).for_each(|(z, p)| *z += c * p);
        }
    }
}

/// Least squares on some of the points only.
#[derive(Clone, Debug, Default)]
pub struct Masked {
    /// Lower triangle of the Cholesky factor, row by row.
    factor: Vec<f64>,
    coefficients: Vec<f64>,
}

impl Masked {
    /// Prepares fits of `polynomial` to the points where `keep` is 1 (elsewhere 0). Returns
    /// false where the kept points do not determine it.
    pub fn prepare(&mut self, polynomial: &Polynomial, keep: &[f64]) -> bool {
        let basis = &polynomial.basis;
        let m = basis.len();
        self.factor.clear();
        self.factor.resize(m * m, 0.0);
        self.coefficients.resize(m, 0.0);
        let f = &mut self.factor;
        for i in 0..m {
            for j in 0..=i {
                let mut g: f64 =
                    basis[i].iter().zip(&basis[j]).zip(keep).map(|((a, b), k)| a * b * k).sum();
                for k in 0..j {
                    g -= f[i * m + k] * f[j * m + k];
                }
                if i == j {
                    // The basis is orthonormal on all points, so 1 is the scale.
                    if g.is_nan() || g <= 1e-12 {
                        return false;
                    }
                    f[i * m + i] = g.sqrt();
                } else {
                    f[i * m + j] = g / f[j * m + j];
                }
            }
        }
        true
    }

    /// Puts the polynomial nearest to the kept points of `y` into `z`.
    pub fn smooth(&mut self, polynomial: &Polynomial, keep: &[f64], y: &[f64], z: &mut [f64]) {
        let m = polynomial.basis.len();
        let (f, c) = (&self.factor, &mut self.coefficients);
        for (i, p) in polynomial.basis.iter().enumerate() {
            let mut t: f64 = p.iter().zip(y).zip(keep).map(|((p, y), k)| p * y * k).sum();
            for k in 0..i {
                t -= f[i * m + k] * c[k];
            }
            c[i] = t / f[i * m + i];
        }
        for i in (0..m).rev() {
            let mut t = c[i];
            for k in i + 1..m {
                t -= f[k * m + i] * c[k];
            }
            c[i] = t / f[i * m + i];
        }
        z.fill(0.0);
        for (p, c) in polynomial.basis.iter().zip(&*c) {
            z.iter_mut().zip(p).for_each(|(z, p)| *z += c * p);
        }
    }
}

/// Standard deviation of `a - b` (n in the denominator).
pub(crate) fn deviation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let mean = a.iter().zip(b).map(|(a, b)| a - b).sum::<f64>() / n;
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b - mean) * (a - b - mean)).sum();
    (squares / n).sqrt()
}

/// Sum of products, in eight parallel sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + a1.iter().zip(b1).map(|(a, b)| a * b).sum::<f64>()
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthonormal_and_exact_on_any_axis() {
        let uneven: Vec<f64> = (0..50).map(|i| 3.0 + f64::from(i).powf(1.3)).collect();
        let down: Vec<f64> = uneven.iter().rev().copied().collect();
        for x in [uneven, down] {
            let p = Polynomial::new(&x, 4);
            assert_eq!(p.basis().len(), 5);
            for (i, a) in p.basis().iter().enumerate() {
                for (j, b) in p.basis().iter().enumerate() {
                    assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-13);
                }
            }
            let y: Vec<f64> = x.iter().map(|x| 1.0 - 0.2 * x + 1e-4 * x.powi(4)).collect();
            let range = y.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let mut z = vec![0.0; 50];
            p.smooth(&y, &mut z);
            assert!(y.iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-12 * range));
            // Spoilt points that are not kept do no harm.
            let keep: Vec<f64> = (0..50).map(|i| f64::from(u8::from(i % 3 > 0))).collect();
            let spoilt: Vec<f64> = (0..50).map(|i| y[i] + 1e3 * (1.0 - keep[i])).collect();
            let mut masked = Masked::default();
            assert!(masked.prepare(&p, &keep));
            masked.smooth(&p, &keep, &spoilt, &mut z);
            assert!(y.iter().zip(&z).all(|(a, b)| (a - b).abs() < 1e-11 * range));
            assert!(!masked.prepare(&p, &[0.0; 50]));
        }
    }

    #[test]
    fn more_orders_than_points() {
        assert_eq!(Polynomial::new(&[1.0, 2.0, 3.0], 5).basis().len(), 3);
        assert_eq!(Polynomial::new(&[2.0, 2.0], 3).basis().len(), 1);
    }
}
