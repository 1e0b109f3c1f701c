//! Rules that look at the eigenvalues alone.

/// Number of eigenvalues before the elbow: the point furthest below the chord from the first to
/// the last, on a logarithmic scale.
///
/// At least 1; without an elbow (fewer than three eigenvalues), 1.
pub fn elbow(eigenvalues: &[f64]) -> usize {
    let positive = eigenvalues.iter().take_while(|&&value| value > 0.0);
    let log: Vec<f64> = positive.map(|value| value.ln()).collect();
    let n = log.len();
    if n < 3 {
        return 1;
    }
    let slope = (log[n - 1] - log[0]) / (n - 1) as f64;
    let below = |i: usize| log[0] + slope * i as f64 - log[i];
    (1..n - 1).max_by(|&a, &b| below(a).total_cmp(&below(b)).then(b.cmp(&a))).unwrap_or(1)
}

/// Minimum of IND(k) = RE(k) / (c - k)^2, RE(k)^2 = sum_{j > k} lambda_j / (r (c - k)), for
/// r rows and c channels, the smaller taken as c.
///
/// `total` is the sum of all eigenvalues, those not given too. At least 1.
///
/// Source: Malinowski 1977, doi:10.1021/ac50012a026.
pub fn malinowski_ind(eigenvalues: &[f64], total: f64, rows: usize, channels: usize) -> usize {
    let (r, c) = (rows.max(channels) as f64, rows.min(channels));
    let mut rest = total;
    let mut best = (f64::INFINITY, 1);
    for (j, value) in eigenvalues.iter().enumerate() {
        let k = j + 1;
        if k >= c {
            break;
        }
        rest = (rest - value).max(0.0);
        let free = (c - k) as f64;
        let ind = (rest / (r * free)).sqrt() / (free * free);
        if ind < best.0 {
            best = (ind, k);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elbow_is_where_the_floor_begins() {
        assert_eq!(elbow(&[100.0, 30.0, 8.0, 1.1, 1.05, 1.0, 0.98]), 3);
        assert_eq!(elbow(&[50.0, 1.0, 0.99, 0.98]), 1);
        assert_eq!(elbow(&[5.0]), 1);
        assert_eq!(elbow(&[]), 1);
        assert_eq!(elbow(&[3.0, 2.0, 0.0, 0.0]), 1);
    }

    #[test]
    fn the_indicator_is_least_where_noise_begins() {
        // Two components above equal noise in 20 channels: IND grows with k from there on.
        let mut values = vec![900.0, 100.0];
        values.resize(20, 1.0);
        let total = values.iter().sum();
        assert_eq!(malinowski_ind(&values[..10], total, 500, 20), 2);
        assert_eq!(malinowski_ind(&[1.0], 1.0, 1, 1), 1);
    }
}
