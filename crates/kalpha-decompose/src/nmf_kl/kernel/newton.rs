//! The quadratic model of a row or channel, and its minimum over `w >= 0`.

/// What is left of a diagonal below this share of it counts as singular.
const RIDGE: f64 = 1e-11;

/// Gradient and curvature of a row at some abundances.
pub(super) struct Slope<const W: usize> {
    /// `sum x ln m`.
    pub log: f64,
    /// The least model at a count.
    pub least: f64,
    /// `sum x / m h`.
    pub pull: [f64; W],
    /// `sum x / m^2 h h'`, of which the lower triangle is used.
    pub hessian: [[f64; W]; W],
}

impl<const W: usize> Slope<W> {
    #[inline(always)]
    fn curvature(&self, k: usize, l: usize) -> f64 {
        if l <= k { self.hessian[k][l] } else { self.hessian[l][k] }
    }
}

/// Moves `w` to the minimum of the quadratic model over `w >= 0`; returns the gain it promises.
#[inline(always)]
pub(super) fn newton<const W: usize>(
    w: &mut [f64; W],
    cost: &[f64; W],
    slope: &Slope<W>,
    components: usize,
) -> f64 {
    let start = *w;
    let mut gradient = [0.0; W];
    let mut largest = 0.0f64;
    for k in 0..components {
        gradient[k] = cost[k] - slope.pull[k];
        largest = largest.max(slope.hessian[k][k]);
    }
    if largest <= 0.0 {
        return 0.0;
    }
    // Free are those above zero and those that want to rise.
    let mut free = [false; W];
    for k in 0..components {
        free[k] = w[k] > 0.0 || gradient[k] < 0.0;
    }
    for _ in 0..3 * components {
        // Gradient of the model where we are.
        let mut here = gradient;
        for k in 0..components {
            for l in 0..components {
                here[k] += slope.curvature(k, l) * (w[l] - start[l]);
            }
        }
        let mut index = [0usize; W];
        let mut n = 0;
        for k in 0..components {
            if free[k] {
                index[n] = k;
                n += 1;
            }
        }
        let Some(step) = descend::<W>(slope, &here, &index[..n]) else { break };
        let (mut share, mut blocked) = (1.0, None);
        for (i, &k) in index[..n].iter().enumerate() {
            if step[i] < 0.0 && w[k] + share * step[i] < 0.0 {
                share = w[k] / -step[i];
                blocked = Some(k);
            }
        }
        for (i, &k) in index[..n].iter().enumerate() {
            w[k] = (w[k] + share * step[i]).max(0.0);
        }
        if let Some(k) = blocked {
            w[k] = 0.0;
            free[k] = false;
            continue;
        }
        // Whoever is held at zero and wants to rise is set free.
        let mut least = (-1e-9, None);
        for k in 0..components {
            if !free[k] {
                let mut g = gradient[k];
                for l in 0..components {
                    g += slope.curvature(k, l) * (w[l] - start[l]);
                }
                let g = g / cost[k].abs().max(1e-300);
                if g < least.0 {
                    least = (g, Some(k));
                }
            }
        }
        match least.1 {
            Some(k) => free[k] = true,
            None => break,
        }
    }
    let mut gain = 0.0;
    for k in 0..components {
        let d = w[k] - start[k];
        gain -= gradient[k] * d;
        for l in 0..components {
            gain -= 0.5 * slope.curvature(k, l) * d * (w[l] - start[l]);
        }
    }
    gain
}

/// `-H^-1 g` over the free components, by Cholesky; `None` where there is none.
#[inline(always)]
fn descend<const W: usize>(
    slope: &Slope<W>,
    gradient: &[f64; W],
    free: &[usize],
) -> Option<[f64; W]> {
    let n = free.len();
    if n == 0 {
        return None;
    }
    let mut factor = [[0.0; W]; W];
    for i in 0..n {
        // Relative to its own curvature: one impossible count may give another component 1e100
        // times as much.
        let ridge = (RIDGE * slope.hessian[free[i]][free[i]]).max(1e-200);
        for j in 0..=i {
            let mut sum = slope.curvature(free[i], free[j]);
            if i == j {
                sum += ridge;
            }
            for l in 0..j {
                sum -= factor[i][l] * factor[j][l];
            }
            factor[i][j] = if i == j { sum.max(ridge).sqrt() } else { sum / factor[j][j] };
        }
    }
    let mut x = [0.0; W];
    for i in 0..n {
        let mut sum = -gradient[free[i]];
        for l in 0..i {
            sum -= factor[i][l] * x[l];
        }
        x[i] = sum / factor[i][i];
    }
    for i in (0..n).rev() {
        let mut sum = x[i];
        for l in i + 1..n {
            sum -= factor[l][i] * x[l];
        }
        x[i] = sum / factor[i][i];
    }
    Some(x)
}
