//! Whether two kinds of work differ in the time they take: Welch's t, as in dudect.
//!
//! Twenty lines in place of a library of statistics, which would bring linear algebra along.

/// Beyond it the means of two large samples are taken to differ: once in a hundred and fifty thousand by chance.
pub(crate) const TOO_FAR: f64 = 4.5;

/// How far the means of two samples lie apart, in standard errors: negative where the first is less. It does not ask that
/// they vary alike. NaN of fewer than two values; infinite where nothing varies and the means differ.
pub(crate) fn t(one: &[f64], other: &[f64]) -> f64 {
    let ((one, one_error), (other, other_error)) = (mean_and_error(one), mean_and_error(other));
    let apart = one - other;
    if apart == 0.0 { 0.0 } else { apart / (one_error + other_error).sqrt() }
}

/// The mean, and the variance of the mean.
#[expect(clippy::cast_precision_loss, reason = "counts of some millions")]
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

/// The mean; NaN of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of some millions")]
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The values of each kind that are not beyond a bound which nine in ten of all together keep: what the machine did
/// meanwhile is above it, whatever the kind.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
pub(crate) fn cropped(kinds: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut all: Vec<f64> = kinds.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let bound = all.get((all.len() as f64 * 0.9) as usize).copied().unwrap_or(f64::INFINITY);
    kinds.iter().map(|values| values.iter().copied().filter(|value| *value <= bound).collect()).collect()
}
