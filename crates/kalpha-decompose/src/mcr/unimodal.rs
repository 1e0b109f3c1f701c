//! The closest profile with one maximum.

/// Least-squares fit of `y` by values that are not negative, rise to a maximum and fall after it.
///
/// Pool-adjacent-violators from both ends for every place of the maximum; O(n). Source: Stout (2008),
/// Comput. Stat. Data Anal. 53, 289, doi:10.1016/j.csda.2008.08.005.
pub fn unimodal(y: &mut [f64]) {
    let n = y.len();
    if n < 3 {
        y.iter_mut().for_each(|v| *v = v.max(0.0));
        return;
    }
    let up = prefix_errors(y.iter().copied());
    let mut down = prefix_errors(y.iter().rev().copied());
    down.reverse();
    // The rise ends before `split`.
    let error = |split: usize| {
        (if split > 0 { up[split - 1] } else { 0.0 }) + down.get(split).copied().unwrap_or(0.0)
    };
    let split = (0..=n).min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(n);
    let (rise, fall) = y.split_at_mut(split);
    isotonic(rise);
    fall.reverse();
    isotonic(fall);
    fall.reverse();
    y.iter_mut().for_each(|v| *v = v.max(0.0));
}

/// A pool of neighbours with one value: sum, number, squares.
#[derive(Clone, Copy)]
struct Pool {
    sum: f64,
    count: f64,
    squares: f64,
}

impl Pool {
    fn mean(self) -> f64 {
        self.sum / self.count
    }

    fn error(self) -> f64 {
        (self.squares - self.sum * self.sum / self.count).max(0.0)
    }
}

/// Adds a value to rising pools; gives the change of the error.
fn add(pools: &mut Vec<Pool>, v: f64) -> f64 {
    let mut last = Pool { sum: v, count: 1.0, squares: v * v };
    let mut change = 0.0;
    while let Some(before) = pools.last().copied() {
        if before.mean() <= last.mean() {
            break;
        }
        pools.pop();
        change -= before.error();
        last = Pool {
            sum: last.sum + before.sum,
            count: last.count + before.count,
            squares: last.squares + before.squares,
        };
    }
    pools.push(last);
    change + last.error()
}

/// Error of the rising fit of every beginning.
fn prefix_errors(y: impl Iterator<Item = f64>) -> Vec<f64> {
    let (mut pools, mut error) = (Vec::new(), 0.0);
    y.map(|v| {
        error += add(&mut pools, v);
        error
    })
    .collect()
}

/// The closest rising values.
fn isotonic(y: &mut [f64]) {
    let mut pools = Vec::new();
    for v in y.iter() {
        add(&mut pools, *v);
    }
    let values = pools.iter().flat_map(|p| std::iter::repeat_n(p.mean(), p.count as usize));
    y.iter_mut().zip(values).for_each(|(y, v)| *y = v);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
    }

    /// No profile with one maximum on a grid is closer.
    #[test]
    fn nothing_is_closer() {
        let grid = [0.0, 1.0, 2.0, 3.0];
        let all: Vec<[f64; 5]> = (0..4usize.pow(5))
            .map(|k| std::array::from_fn(|i| grid[k / 4usize.pow(i as u32) % 4]))
            .filter(|y: &[f64; 5]| {
                let top = (0..5).max_by(|a, b| y[*a].total_cmp(&y[*b])).unwrap();
                y[..=top].is_sorted() && y[top..].iter().rev().is_sorted()
            })
            .collect();
        assert!(all.len() > 100);
        for k in 0..200u32 {
            let y: [f64; 5] =
                std::array::from_fn(|i| 1.5 + 1.6 * f64::from(k * 7 + i as u32 * 13).sin());
            let mut fitted = y;
            unimodal(&mut fitted);
            let top = (0..5).max_by(|a, b| fitted[*a].total_cmp(&fitted[*b])).unwrap();
            assert!(fitted[..=top].is_sorted() && fitted[top..].iter().rev().is_sorted());
            let best = all.iter().map(|g| distance(g, &y)).fold(f64::INFINITY, f64::min);
            assert!(distance(&fitted, &y) <= best + 1e-12, "{y:?} {fitted:?}");
        }
    }

    #[test]
    fn one_maximum_stays() {
        let mut y = [0.0, 1.0, 4.0, 3.0, 0.5];
        unimodal(&mut y);
        assert_eq!(y, [0.0, 1.0, 4.0, 3.0, 0.5]);
    }
}
