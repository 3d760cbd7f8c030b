//! The statistic by which the benchmark of times decides.

#[path = "../../benches/bench/welch.rs"]
mod statistic;

use statistic::{TOO_FAR, cropped, mean, t};

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-3
}

/// Values about a middle, as a generator with a fixed seed gives them.
fn values(middle: f64, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1_u32 << 31)
    };
    (0..10_000).map(|_| middle + (0..12).map(|_| next()).sum::<f64>() * 10.0 - 60.0).collect()
}

#[test]
fn welchs_t_is_what_the_textbook_has_and_finds_what_is_planted() {
    // Two samples of unlike size and spread, worked out by hand: means 20 and 22.5, variances 10 and 18.5 / 3.
    let (one, other) = ([16.0, 18.0, 20.0, 22.0, 24.0], [20.0, 21.0, 23.5, 25.5]);
    assert!(is_near(mean(&one), 20.0) && is_near(mean(&other), 22.5));
    assert!(is_near(t(&one, &other), -2.5 / (10.0_f64 / 5.0 + (18.5 / 3.0) / 4.0).sqrt()), "{}", t(&one, &other));
    assert!(is_near(t(&one, &other), -t(&other, &one)));
    assert!(t(&[1.0], &[2.0, 3.0]).is_nan(), "one value says nothing");

    // Ten in spread, ten thousand of each: two apart are found, by chance nothing is.
    let (same, again, apart) = (values(100.0, 1), values(100.0, 2), values(102.0, 3));
    assert!(t(&same, &again).abs() < TOO_FAR, "{}", t(&same, &again));
    assert!(t(&same, &apart) < -TOO_FAR, "{}", t(&same, &apart));

    // What the machine did meanwhile hides it, unless it is cropped.
    let disturbed = |mut values: Vec<f64>| {
        values.iter_mut().step_by(50).for_each(|value| *value += 5_000.0);
        values
    };
    let (same, apart) = (disturbed(same), disturbed(apart));
    assert!(t(&same, &apart).abs() < TOO_FAR);
    let kept = cropped(&[same, apart]);
    assert!(t(&kept[0], &kept[1]) < -TOO_FAR && kept[0].len() < 10_000);
}
