//! When each token was said: dynamic time warping (Sakoe & Chiba 1978) over what chosen attention heads listened to, as OpenAI's
//! implementation does.

use super::tokens::{TIMESTAMP_STEP, Tokens};
use crate::{
    error::Result,
    models::whisper::{CrossKeys, Whisper},
};

/// Frames over which the median of attention is taken.
const MEDIAN: usize = 7;

/// When tokens were said, in seconds from the window's beginning.
pub(super) struct TokenTimes {
    /// Beginning of each token, and one more: the end of the last.
    pub starts: Vec<f64>,
    /// Probability of each token.
    pub probabilities: Vec<f64>,
}

/// Aligns `text` (no special tokens) with the first `frames` encoded frames.
pub(super) async fn align(
    model: &Whisper,
    cross: &CrossKeys,
    tokens: &Tokens,
    prompt: &[u32],
    text: &[u32],
    frames: usize,
    heads: &[(usize, usize)],
) -> Result<TokenTimes> {
    let mut ids = prompt.to_vec();
    ids.push(tokens.no_timestamps);
    ids.extend(text);
    ids.push(tokens.end);
    let mut sum = vec![0.0; ids.len() * frames];
    let mut on_head = |scores: &[f32]| add_head(scores, frames, &mut sum);
    let hidden = model.align(&ids, cross, frames, heads, &mut on_head).await?;
    // Rows that predict the text's tokens: from the last of the prompt to the last but one of the text; and the end.
    let rows = prompt.len()..prompt.len() + text.len() + 1;
    let cost: Vec<f32> = sum[rows.start * frames..rows.end * frames].iter().map(|v| -v).collect();
    let mut probabilities = Vec::with_capacity(text.len());
    let end = tokens.end as usize;
    for (row, &id) in rows.clone().zip(text) {
        // Rows apart: those of all tokens together would be megabytes.
        let logits = model.logits(&hidden.narrow(0, row, 1)?)?.to_vec::<f32>().await?;
        let total = super::rules::log_sum_exp(&logits[..end.min(logits.len())]);
        probabilities.push(logits.get(id as usize).map_or(0.0, |l| f64::from(l - total).exp()));
    }
    let starts = first_frames(&cost, rows.len(), frames).into_iter().map(|f| f as f64 * TIMESTAMP_STEP).collect();
    Ok(TokenTimes { starts, probabilities })
}

/// Adds a head's attention to `sum`: softmax over frames, normalised over tokens, its noise taken away.
fn add_head(scores: &[f32], frames: usize, sum: &mut [f32]) {
    let mut weights = scores.to_vec();
    for row in weights.chunks_exact_mut(frames) {
        let total = super::rules::log_sum_exp(row);
        row.iter_mut().for_each(|v| *v = (*v - total).exp());
    }
    let rows = weights.len() / frames;
    for frame in 0..frames {
        let column = || (0..rows).map(|r| f64::from(weights[r * frames + frame]));
        let mean = column().sum::<f64>() / rows as f64;
        let deviation = (column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64).sqrt();
        for r in 0..rows {
            let value = &mut weights[r * frames + frame];
            *value = ((f64::from(*value) - mean) / deviation.max(f64::MIN_POSITIVE)) as f32;
        }
    }
    for (row, sum) in weights.chunks_exact(frames).zip(sum.chunks_exact_mut(frames)) {
        sum.iter_mut().zip(median(row)).for_each(|(s, v)| *s += v);
    }
}

/// The median of each value and its neighbours; beyond the ends the row is mirrored.
fn median(row: &[f32]) -> Vec<f32> {
    const HALF: usize = MEDIAN / 2;
    if row.len() <= HALF {
        return row.to_vec();
    }
    let last = row.len() - 1;
    let at = |i: usize| match i.checked_sub(HALF) {
        None => row[HALF - i],
        Some(i) if i > last => row[2 * last - i],
        Some(i) => row[i],
    };
    let middle = |i| {
        let mut near: [f32; MEDIAN] = std::array::from_fn(|j| at(i + j));
        near.sort_unstable_by(f32::total_cmp);
        near[HALF]
    };
    (0..row.len()).map(middle).collect()
}

/// The cheapest monotonic path through `cost [rows, columns]`: the column at which each row begins.
fn first_frames(cost: &[f32], rows: usize, columns: usize) -> Vec<usize> {
    const DIAGONAL: u8 = 0;
    const DOWN: u8 = 1;
    const RIGHT: u8 = 2;
    let mut trace = vec![RIGHT; (rows + 1) * (columns + 1)];
    let mut previous = vec![f32::INFINITY; columns + 1];
    previous[0] = 0.0;
    for i in 1..=rows {
        let mut current = vec![f32::INFINITY; columns + 1];
        trace[i * (columns + 1)] = DOWN;
        for j in 1..=columns {
            let (diagonal, down, right) = (previous[j - 1], previous[j], current[j - 1]);
            let (best, step) = if diagonal < down && diagonal < right {
                (diagonal, DIAGONAL)
            } else if down < diagonal && down < right {
                (down, DOWN)
            } else {
                (right, RIGHT)
            };
            current[j] = cost[(i - 1) * columns + j - 1] + best;
            trace[i * (columns + 1) + j] = step;
        }
        previous = current;
    }
    let (mut i, mut j) = (rows, columns);
    let mut first = vec![0; rows];
    while i > 0 || j > 0 {
        if let Some(row) = i.checked_sub(1) {
            first[row] = j.saturating_sub(1);
        }
        match trace[i * (columns + 1) + j] {
            DIAGONAL => (i, j) = (i - 1, j - 1),
            DOWN => i -= 1,
            _ => j -= 1,
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_mirrored_at_the_ends() {
        let row = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0];
        assert_eq!(median(&row), [2.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 5.0]);
        assert_eq!(median(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn the_path_follows_the_cheap_cells() {
        let mut cost = vec![1.0; 3 * 8];
        for (row, columns) in [(0, 0..3), (1, 3..4), (2, 4..8)] {
            columns.for_each(|c| cost[row * 8 + c] = -1.0);
        }
        assert_eq!(first_frames(&cost, 3, 8), [0, 3, 4]);
        assert_eq!(first_frames(&[0.0], 1, 1), [0]);
        assert_eq!(first_frames(&[], 0, 3), [0; 0]);
    }
}
