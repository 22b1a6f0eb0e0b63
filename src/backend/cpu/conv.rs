//! Convolution and its transpose in f32, as matrix products whose columns are gathered from the image while they are packed;
//! depthwise ones row by row.
//!
//! Both read, for each place of the result, some taps of the input that lie at fixed distances. A strided transpose does so
//! for each remainder of the place by the stride, with other taps: it is as many convolutions of stride 1.

use super::{
    Buffer,
    matmul::{
        Target,
        blocked::{BlockProduct, Columns, PackRows, Space, packed_len, tile_size},
    },
    pool::parallel,
    product::{as_f32, shorten},
    simd::{Isa, Kernel, Simd},
    typed, unwritten,
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    layout::Layout,
    op::Convolution,
};
use std::ops::Range;

/// Places of the result for one task.
const PLACES: usize = 128;
/// So few rows of a product are done without one.
const FEW: usize = 3;

/// Along one dimension: places of the result `first + i * step`, and for each tap its index in the kernel and the place it
/// reads for `i = 0`; the next place reads `stride` further.
#[derive(Clone, Debug)]
struct Axis {
    first: usize,
    step: usize,
    count: usize,
    taps: Vec<(usize, isize)>,
    stride: usize,
    /// Size of the input.
    input: usize,
}

/// All places of the result along a dimension: one axis, or for the transpose one for each remainder by the stride.
fn axes(conv: &Convolution, transposed: bool, axis: usize, input: usize, taps: usize) -> Vec<Axis> {
    let (stride, dilation, size) = (conv.stride[axis], conv.dilation[axis] as isize, conv.size[axis]);
    let padding = conv.padding[axis] as isize;
    if !transposed {
        let taps = (0..taps).map(|i| (i, i as isize * dilation - padding)).collect();
        return vec![Axis { first: 0, step: 1, count: size, taps, stride, input }];
    }
    let phase = |first: usize| {
        let reads = |i: usize| first as isize + padding - i as isize * dilation;
        let taps = (0..taps).filter(|&i| reads(i) % stride as isize == 0);
        let taps = taps.map(|i| (i, reads(i) / stride as isize)).collect();
        Axis { first, step: stride, count: (size - first).div_ceil(stride), taps, stride: 1, input }
    };
    (0..stride.min(size)).map(phase).collect()
}

/// A strided f32 operand of four dimensions.
#[derive(Clone, Copy)]
struct Strided<'a> {
    data: &'a [f32],
    start: usize,
    strides: [usize; 4],
}

impl<'a> Strided<'a> {
    fn new(data: &'a [f32], layout: &Layout) -> Self {
        let strides = std::array::from_fn(|i| layout.strides()[i]);
        Self { data, start: layout.start(), strides }
    }
}

/// The columns of a product: the places of the result in all images, one after the other; its inner dimension are the taps
/// of all channels of a group.
#[derive(Clone, Copy)]
struct Gather<'a> {
    x: Strided<'a>,
    /// First channel of the group.
    channel: usize,
    rows: &'a Axis,
    columns: &'a Axis,
}

/// Places next to each other in one row of one image.
struct Run {
    image: usize,
    row: usize,
    column: usize,
    len: usize,
}

impl Gather<'_> {
    /// The places of a range as runs.
    fn runs(&self, places: Range<usize>) -> impl Iterator<Item = Run> {
        let (height, width) = (self.rows.count, self.columns.count);
        let mut at = places.start;
        std::iter::from_fn(move || {
            (at < places.end).then(|| {
                let column = at % width;
                let len = (width - column).min(places.end - at);
                let run = Run { image: at / width / height, row: at / width % height, column, len };
                at += len;
                run
            })
        })
    }
    /// What the tap reads along the places of a run; zero outside of the image.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[inline(always)]
    unsafe fn read<S: Simd>(&self, channel: usize, (dy, dx): (isize, isize), run: &Run, out: &mut [f32]) {
        let y = (run.row * self.rows.stride) as isize + dy;
        if y < 0 || y >= self.rows.input as isize {
            return out.fill(0.0);
        }
        let strides = self.x.strides;
        let line = self.x.start + run.image * strides[0] + channel * strides[1] + y as usize * strides[2];
        let stride = self.columns.stride;
        let x = (run.column * stride) as isize + dx;
        // Places before the first column of the image, and up to its last.
        let before = ((-x).max(0) as usize).div_ceil(stride).min(out.len());
        let inside = (self.columns.input as isize - x).max(0) as usize;
        let end = inside.div_ceil(stride).clamp(before, out.len());
        out[..before].fill(0.0);
        out[end..].fill(0.0);
        let out = &mut out[before..end];
        if out.is_empty() {
            return;
        }
        let first = line + (x + (before * stride) as isize) as usize * strides[3];
        match stride * strides[3] {
            // SAFETY: the caller's promise.
            1 => unsafe { copy::<S>(&self.x.data[first..first + out.len()], out) },
            step => out.iter_mut().zip(self.x.data[first..].iter().step_by(step)).for_each(|(o, v)| *o = *v),
        }
    }
    /// Adds, for each place of a run, the dot product of a row of the kernel with what it reads; `first` is its first tap.
    ///
    /// # Safety
    /// The processor has the instructions, and the taps and columns of the image are neighbours in memory.
    #[inline(always)]
    unsafe fn add_dots<S: Simd>(
        &self,
        channel: usize,
        (dy, dx): (isize, isize),
        run: &Run,
        kernel: &[f32],
        sum: &mut [f32],
    ) {
        let y = (run.row * self.rows.stride) as isize + dy;
        if y < 0 || y >= self.rows.input as isize {
            return;
        }
        let strides = self.x.strides;
        let line = self.x.start + run.image * strides[0] + channel * strides[1] + y as usize * strides[2];
        let line = &self.x.data[line..line + self.columns.input];
        for (i, sum) in sum.iter_mut().enumerate() {
            // Taps that read inside of the image.
            let x = ((run.column + i) * self.columns.stride) as isize + dx;
            let from = ((-x).max(0) as usize).min(kernel.len());
            let to = ((line.len() as isize - x).max(0) as usize).clamp(from, kernel.len());
            if from < to {
                let first = (x + from as isize) as usize;
                // SAFETY: both are as long.
                *sum += unsafe { dot::<S>(&kernel[from..to], &line[first..first + to - from]) };
            }
        }
    }
    fn tap(&self, index: usize) -> (usize, (isize, isize)) {
        let taps = self.rows.taps.len() * self.columns.taps.len();
        let (channel, tap) = (index / taps, index % taps);
        let (row, column) = (tap / self.columns.taps.len(), tap % self.columns.taps.len());
        (self.channel + channel, (self.rows.taps[row].1, self.columns.taps[column].1))
    }
}

impl Columns for Gather<'_> {
    /// All columns of a row are read at once, and then dealt to their panels.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, rows: Range<usize>, columns: Range<usize>, width: usize, panels: &mut [f32]) {
        let runs: Vec<Run> = self.runs(columns.clone()).collect();
        let depth = rows.len();
        let mut space = Space::new(columns.len().next_multiple_of(width));
        let line = space.as_mut_slice();
        for (l, index) in rows.enumerate() {
            let (channel, tap) = self.tap(index);
            let mut at = 0;
            for run in &runs {
                // SAFETY: called with the instruction set's features.
                unsafe { self.read::<S>(channel, tap, run, &mut line[at..at + run.len]) };
                at += run.len;
            }
            for (line, panel) in line.chunks_exact(width).zip(panels.chunks_exact_mut(depth * width)) {
                // SAFETY: as above.
                unsafe { copy::<S>(line, &mut panel[l * width..][..width]) };
            }
        }
    }
}

/// Copies few numbers: a call of the system's copy would take longer.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn copy<S: Simd>(from: &[f32], to: &mut [f32]) {
    let len = from.len().min(to.len());
    let whole = len / S::LANES * S::LANES;
    for i in (0..whole).step_by(S::LANES) {
        // SAFETY: whole registers inside both.
        unsafe { S::store(to.as_mut_ptr().add(i), S::load(from.as_ptr().add(i))) };
    }
    to[whole..len].iter_mut().zip(&from[whole..len]).for_each(|(to, from)| *to = *from);
}

/// One part of the work: a group of channels at the places of two axes.
struct Part<'a> {
    gather: Gather<'a>,
    /// The weights of its taps, `[m, channels of a group, taps]` row by row.
    weight: Vec<f32>,
    /// First channel of the result.
    channel: usize,
}

/// Sizes of a convolution as this file sees it: results of each group, inputs of each group, and how to read the weight.
struct Sizes {
    images: usize,
    outputs: usize,
    inputs: usize,
}

/// The weights of the taps of two axes for group `g`, results first.
fn gather_weight(w: Strided<'_>, transposed: bool, sizes: &Sizes, g: usize, rows: &Axis, columns: &Axis) -> Vec<f32> {
    let s = w.strides;
    // A weight is [outputs, inputs / groups, ..]; for the transpose the results are its inputs.
    let (of_result, of_input, start) = if transposed {
        (s[1], s[0], w.start + g * sizes.inputs * s[0])
    } else {
        (s[0], s[1], w.start + g * sizes.outputs * s[0])
    };
    let mut values = Vec::with_capacity(sizes.outputs * sizes.inputs * rows.taps.len() * columns.taps.len());
    for output in 0..sizes.outputs {
        for input in 0..sizes.inputs {
            let at = start + output * of_result + input * of_input;
            for &(row, _) in &rows.taps {
                values.extend(columns.taps.iter().map(|&(column, _)| w.data[at + row * s[2] + column * s[3]]));
            }
        }
    }
    values
}

/// The result over which tasks write: `[images, channels, height, width]`, contiguous.
#[derive(Clone, Copy)]
struct Image {
    target: Target,
    channels: usize,
    size: [usize; 2],
}

impl Image {
    /// Writes the values of a run in a channel, plus a bias.
    ///
    /// # Safety
    /// The run is inside the result, and this task's own.
    unsafe fn write(self, gather: &Gather<'_>, channel: usize, run: &Run, values: &[f32], bias: f32) {
        let row = gather.rows.first + run.row * gather.rows.step;
        let column = gather.columns.first + run.column * gather.columns.step;
        let at = ((run.image * self.channels + channel) * self.size[0] + row) * self.size[1] + column;
        // SAFETY: the caller's promise.
        unsafe {
            if gather.columns.step == 1 {
                let out = std::slice::from_raw_parts_mut(self.target.at(at), values.len());
                out.iter_mut().zip(values).for_each(|(o, v)| *o = v + bias);
            } else {
                for (i, v) in values.iter().enumerate() {
                    self.target.write(at + i * gather.columns.step, v + bias);
                }
            }
        }
    }
}

/// Results of few channels: for each row of places the sum over the taps, one after the other.
///
/// The kernel's promise: the lines are this task's own.
struct Lines<'a> {
    part: &'a Part<'a>,
    image: Image,
    bias: &'a [f32],
    sizes: &'a Sizes,
    /// Of `images * rows`.
    lines: Range<usize>,
}

impl Kernel for Lines<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { part, image, bias, sizes, lines } = self;
        let Part { gather, weight, channel } = part;
        let (width, rows) = (gather.columns.count, gather.rows.count);
        let taps = gather.rows.taps.len() * gather.columns.taps.len();
        // More taps than places, as in the gradient to a weight, and taps beside each other in memory.
        let distances = gather.columns.taps.windows(2).all(|taps| taps[1].1 == taps[0].1 + 1);
        let along_taps = gather.columns.taps.len() > width && distances && gather.x.strides[3] == 1;
        let mut space = Space::new(2 * width);
        let (sum, line) = space.as_mut_slice().split_at_mut(width);
        for at in lines {
            let run = Run { image: at / rows, row: at % rows, column: 0, len: width };
            for output in 0..sizes.outputs {
                let weight = &weight[output * sizes.inputs * taps..][..sizes.inputs * taps];
                sum.fill(bias.get(channel + output).copied().unwrap_or(0.0));
                if along_taps {
                    for (index, row) in weight.chunks_exact(gather.columns.taps.len()).enumerate() {
                        let (input, tap) = gather.tap(index * row.len());
                        // SAFETY: see `along_taps`.
                        unsafe { gather.add_dots::<S>(input, tap, &run, row, sum) };
                    }
                } else {
                    for (index, &factor) in weight.iter().enumerate() {
                        let (input, tap) = gather.tap(index);
                        // SAFETY: both lines are `width` long.
                        unsafe {
                            gather.read::<S>(input, tap, &run, line);
                            add_scaled::<S>(sum, line, factor);
                        }
                    }
                }
                // SAFETY: the kernel's promise.
                unsafe { image.write(gather, channel + output, &run, sum, 0.0) };
            }
        }
    }
}

/// The dot product of two lines of the same length.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn dot<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    let whole = a.len() / S::LANES * S::LANES;
    // SAFETY: whole registers inside both.
    let sum = unsafe {
        let mut sum = S::splat(0.0);
        for i in (0..whole).step_by(S::LANES) {
            sum = S::mul_add(S::load(a.as_ptr().add(i)), S::load(b.as_ptr().add(i)), sum);
        }
        S::sum(sum)
    };
    sum + a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum::<f32>()
}

/// `sum += line * factor`, of the same length.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn add_scaled<S: Simd>(sum: &mut [f32], line: &[f32], factor: f32) {
    let whole = sum.len() / S::LANES * S::LANES;
    // SAFETY: whole registers inside both.
    unsafe {
        let factors = S::splat(factor);
        for i in (0..whole).step_by(S::LANES) {
            let to = sum.as_mut_ptr().add(i);
            S::store(to, S::mul_add(factors, S::load(line.as_ptr().add(i)), S::load(to)));
        }
    }
    sum[whole..].iter_mut().zip(&line[whole..]).for_each(|(s, v)| *s += factor * v);
}

/// `x` convolved by `w`, plus the bias of each channel. `None` for f64, which this would shorten.
pub(super) fn conv(conv: &Convolution, transposed: bool, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
    if out.dtype == DType::F64 {
        return Ok(None);
    }
    let converted: Vec<Option<Buffer>> = inputs
        .iter()
        .map(|view| (view.dtype != DType::F32).then(|| super::elementwise::to_f32(view)).transpose())
        .collect::<Result<_>>()?;
    let layouts: Vec<Layout> = inputs
        .iter()
        .zip(&converted)
        .map(|(view, own)| if own.is_some() { Layout::contiguous(view.layout.shape()) } else { view.layout.clone() })
        .collect();
    let data = inputs.iter().zip(&converted).map(|(view, own)| match own {
        Some(own) => own.as_slice::<f32>(),
        None => typed::<f32>(view),
    });
    let data = data.collect::<Result<Vec<_>>>()?;
    let (x, w) = (Strided::new(data[0], &layouts[0]), Strided::new(data[1], &layouts[1]));
    let bias: Vec<f32> = match (data.get(2), layouts.get(2)) {
        (Some(data), Some(layout)) => layout.indices().map(|i| data[i]).collect(),
        _ => Vec::new(),
    };
    let mut result = unwritten(&as_f32(out))?;
    if out.shape.elements() > 0 {
        let (xs, ws) = (layouts[0].dims(), layouts[1].dims());
        let sizes = Sizes { images: xs[0], outputs: out.shape.dims()[1] / conv.groups, inputs: xs[1] / conv.groups };
        let rows = axes(conv, transposed, 0, xs[2], ws[2]);
        let columns = axes(conv, transposed, 1, xs[3], ws[3]);
        let target = Target::new(result.as_slice_mut::<f32>()?);
        let image = Image { target, channels: out.shape.dims()[1], size: conv.size };
        let mut parts = Vec::new();
        for rows in &rows {
            for columns in &columns {
                for g in 0..conv.groups {
                    let gather = Gather { x, channel: g * sizes.inputs, rows, columns };
                    let weight = gather_weight(w, transposed, &sizes, g, rows, columns);
                    parts.push(Part { gather, weight, channel: g * sizes.outputs });
                }
            }
        }
        run(&parts, image, &bias, &sizes);
    }
    shorten(result, out).map(Some)
}

/// Places of the result that each task of a part does, as lines or as columns of a product.
fn run(parts: &[Part<'_>], image: Image, bias: &[f32], sizes: &Sizes) {
    let isa = Isa::best();
    if sizes.outputs <= FEW {
        let most = parts.iter().map(|p| sizes.images * p.gather.rows.count).max().unwrap_or(0);
        let taps = |p: &Part<'_>| p.weight.len() * p.gather.columns.count;
        let step = ((1 << 15) / parts.iter().map(taps).max().unwrap_or(1).max(1)).clamp(1, most.max(1));
        let tasks = most.div_ceil(step);
        return parallel(tasks * parts.len(), |i| {
            let part = &parts[i / tasks];
            let all = sizes.images * part.gather.rows.count;
            let lines = (i % tasks * step).min(all)..((i % tasks + 1) * step).min(all);
            // SAFETY: tasks have different lines of different parts, and parts different channels or places.
            unsafe { isa.run(Lines { part, image, bias, sizes, lines }) };
        });
    }
    let depth = |part: &Part<'_>| part.weight.len() / sizes.outputs;
    let lengths: Vec<usize> = parts.iter().map(|part| packed_len(isa, sizes.outputs, depth(part))).collect();
    let mut space = Space::new(lengths.iter().sum());
    let mut packed = Vec::with_capacity(parts.len());
    let mut rest = space.as_mut_slice();
    for (part, &len) in parts.iter().zip(&lengths) {
        let (own, after) = std::mem::take(&mut rest).split_at_mut(len);
        let (m, k) = (sizes.outputs, depth(part));
        let tiles = 0..m.div_ceil(tile_size(isa).0);
        // SAFETY: the weights are [m, k], and the space as long as their packed form.
        unsafe { isa.run(PackRows { a: &part.weight, strides: (k, 1), m, k, tiles, packed: Target::new(own) }) };
        packed.push(&*own);
        rest = after;
    }
    let places = |part: &Part<'_>| sizes.images * part.gather.rows.count * part.gather.columns.count;
    let tasks = parts.iter().map(places).max().unwrap_or(0).div_ceil(PLACES);
    parallel(tasks * parts.len(), |i| {
        let (part, a) = (&parts[i / tasks], packed[i / tasks]);
        let all = places(part);
        let columns = (i % tasks * PLACES).min(all)..((i % tasks + 1) * PLACES).min(all);
        if !columns.is_empty() {
            product(isa, part, a, image, bias, sizes, columns);
        }
    });
}

/// Some places of a part, for all its channels.
fn product(isa: Isa, part: &Part<'_>, a: &[f32], image: Image, bias: &[f32], sizes: &Sizes, columns: Range<usize>) {
    let (m, k, stride) = (sizes.outputs, part.weight.len() / sizes.outputs, columns.len());
    let gather = part.gather;
    let mut space = Space::new(m * stride);
    let values = space.as_mut_slice();
    if k == 0 {
        values.fill(0.0);
    } else {
        let out = Target::new(values);
        let columns = columns.clone();
        // SAFETY: the packed weights are [m, k], the columns those of the image, the space [m, stride].
        unsafe { isa.run(BlockProduct { a, b: gather, rows: 0..m, columns, out, stride, m, k }) };
    }
    for (output, values) in values.chunks_exact(stride).enumerate() {
        let channel = part.channel + output;
        let bias = bias.get(channel).copied().unwrap_or(0.0);
        let mut at = 0;
        for run in gather.runs(columns.clone()) {
            // SAFETY: runs of a part are places of the result that no other task has.
            unsafe { image.write(&gather, channel, &run, &values[at..at + run.len], bias) };
            at += run.len;
        }
    }
}
