//! How the `_K` formats choose scales: a small search for the least weighted squared error, ggml's method.
//!
//! For a trial scale the values are rounded to integers; for those integers the best scale (and minimum) follows by
//! weighted least squares; the trial with the smallest error wins.

/// Integers of one group of at most 32 values.
type Group = [u8; 32];

/// Finds `scale, min >= 0` so that `scale * q - min`, q in `0..=top`, can be near `values` under `weights`.
///
/// `steps` trial scales are tried: the one that spans the values with `top + first + i * step` intervals, for each i.
/// `absolute` measures the error by magnitude instead of by square.
pub(super) fn scale_and_min(
    values: &[f32],
    weights: &[f32],
    top: u8,
    (first, step, steps): (f32, f32, u32),
    absolute: bool,
) -> (f32, f32) {
    let (lowest, highest) = super::min_max(values);
    // a minimum above zero cannot be stored: the range always holds zero
    let lowest = lowest.min(0.0);
    if highest <= lowest {
        return (0.0, -lowest);
    }
    let (sum_w, sum_x) = values.iter().zip(weights).fold((0.0f32, 0.0f32), |(sw, sx), (&x, &w)| (sw + w, sx + w * x));
    let error_of = |scale: f32, min: f32, q: &Group| -> f32 {
        let mut error = 0.0;
        for ((&x, &w), &q) in values.iter().zip(weights).zip(q) {
            let difference = scale * f32::from(q) + min - x;
            error += w * if absolute { difference.abs() } else { difference * difference };
        }
        error
    };
    let mut scale = (highest - lowest) / f32::from(top);
    let mut min = lowest;
    let mut best_error = error_of(scale, min, &round_from(values, lowest, 1.0 / scale, top));
    for i in 0..=steps {
        let inverse = (first + step * i as f32 + f32::from(top)) / (highest - lowest);
        let trial = round_from(values, lowest, inverse, top);
        let (mut sum_q, mut sum_qq, mut sum_qx) = (0.0f32, 0.0f32, 0.0f32);
        for ((&x, &w), &q) in values.iter().zip(weights).zip(&trial) {
            let q = f32::from(q);
            sum_q += w * q;
            sum_qq += w * q * q;
            sum_qx += w * q * x;
        }
        let determinant = sum_w * sum_qq - sum_q * sum_q;
        if determinant <= 0.0 {
            continue;
        }
        let mut this_scale = (sum_w * sum_qx - sum_x * sum_q) / determinant;
        let mut this_min = (sum_qq * sum_x - sum_q * sum_qx) / determinant;
        if this_min > 0.0 {
            this_min = 0.0;
            this_scale = sum_qx / sum_qq;
        }
        let error = error_of(this_scale, this_min, &trial);
        if error < best_error {
            (best_error, scale, min) = (error, this_scale, this_min);
        }
    }
    (scale, -min)
}

fn round_from(values: &[f32], from: f32, inverse: f32, top: u8) -> Group {
    let mut group = [0; 32];
    for (q, &x) in group.iter_mut().zip(values) {
        *q = round_to(inverse * (x - from), top);
    }
    group
}

/// Finds a scale (of either sign) so that `scale * q`, q in `-half..half`, is near `values`; weights are their squares.
pub(super) fn signed_scale(values: &[f32], half: f32) -> f32 {
    let extreme = super::extreme(values);
    if extreme.abs() < 1e-15 {
        return 0.0;
    }
    let fit = |inverse: f32| -> (f32, f32) {
        values.iter().fold((0.0f32, 0.0f32), |(xq, qq), &x| {
            let q = (inverse * x).round_ties_even().clamp(-half, half - 1.0);
            let w = x * x;
            (xq + w * x * q, qq + w * q * q)
        })
    };
    // the extreme becomes -half exactly at first, since the range reaches one further below zero; then its neighbours
    let (xq, qq) = fit(-half / extreme);
    let mut scale = if qq > 0.0 { xq / qq } else { 0.0 };
    let mut best = scale * xq;
    for i in (-9..=9).filter(|&i| i != 0) {
        let (xq, qq) = fit(-(half + 0.1 * i as f32) / extreme);
        if qq > 0.0 && xq * xq > best * qq {
            scale = xq / qq;
            best = scale * xq;
        }
    }
    scale
}

/// Weights of a group for [`scale_and_min`]: larger values matter more, on top of the root mean square `base`.
pub(super) fn magnitude_weights(values: &[f32]) -> [f32; 32] {
    let squares: f32 = values.iter().map(|x| x * x).sum();
    let base = (squares / values.len() as f32).sqrt();
    let mut weights = [0.0; 32];
    for (w, x) in weights.iter_mut().zip(values) {
        *w = base + x.abs();
    }
    weights
}

/// Rounds to the nearest integer in `0..=top`.
pub(super) fn round_to(x: f32, top: u8) -> u8 {
    x.round_ties_even().clamp(0.0, f32::from(top)) as u8
}
