//! Weights of a block format in the order in which the kernels read them.
//!
//! [`PANEL`] rows make a panel, so that each 32-bit lane of a register belongs to one row and no lane is ever summed across:
//! first the scales of the panel, then for each group of 32 values their words, a word of each row after the other. Four values
//! are a word, a byte each; eight such words are stored in as many words as a value has bits. So every format is one of six kinds of bits (`bits.rs`) and three kinds of scales (`scales.rs`).
//!
//! Nothing is lost: [`Packed::rows`] gives the format's own bytes back.

use super::bits::{Piece, each_word, has_halves, pieces, with_bits};
use crate::{
    backend::cpu::{Buffer, pool::parallel},
    dtype::DType,
    error::{Error, Result},
    quant,
};
use std::{fmt, ops::Range};

/// Rows of a panel: 32-bit lanes of the registers that this architecture's kernels use.
pub(in crate::backend::cpu) const PANEL: usize = if cfg!(target_arch = "x86_64") { 8 } else { 4 };

/// How scales are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    /// f16 for each 32 values.
    Half,
    /// f32 for each 256 values.
    Single,
    /// f16 for each 256 values times i8 for each 32, or each 16.
    Integer,
}

/// What a block format becomes: `value = scale * (q - offset)`, plus or minus a minimum.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Low bits of each value: 2, 4 or 8.
    low: usize,
    /// High bits: 0, 1 or 2.
    high: usize,
    pub scales: Scales,
    /// Are minimums stored?
    pub mins: bool,
    /// What to subtract from the integers.
    pub offset: u8,
    /// Bytes of a block that no kernel reads, by start and length.
    unread: (usize, usize),
}

impl Plan {
    /// That of a block format.
    pub(super) fn of(dtype: DType) -> Plan {
        use Scales::{Half, Integer, Single};
        let plan = |low, high, scales, offset| Plan { low, high, scales, offset, mins: false, unread: (0, 0) };
        match dtype {
            DType::Q4_0 => plan(4, 0, Half, 8),
            DType::Q4_1 => Plan { mins: true, ..plan(4, 0, Half, 0) },
            DType::Q5_0 => plan(4, 1, Half, 16),
            DType::Q5_1 => Plan { mins: true, ..plan(4, 1, Half, 0) },
            DType::Q8_1 => Plan { unread: (2, 2), ..plan(8, 0, Half, 0) },
            DType::Q2_K => Plan { mins: true, ..plan(2, 0, Integer, 0) },
            DType::Q3_K => plan(2, 1, Integer, 4),
            DType::Q4_K => Plan { mins: true, ..plan(4, 0, Integer, 0) },
            DType::Q5_K => Plan { mins: true, ..plan(4, 1, Integer, 0) },
            DType::Q6_K => plan(4, 2, Integer, 32),
            DType::Q8_K => Plan { unread: (260, 32), ..plan(8, 0, Single, 0) },
            // Q8_0; plain numbers are never packed
            _ => plan(8, 0, Half, 0),
        }
    }
    /// Does a product need the sums of the activations?
    pub(super) fn shifted(self) -> bool {
        self.mins || self.offset != 0
    }
    /// Integer scales of 256 values.
    pub(super) fn integers(self) -> usize {
        if has_halves(self.bits()) { 16 } else { 8 }
    }
    /// Scales of 32 values.
    pub(super) fn parts(self) -> usize {
        if has_halves(self.bits()) { 2 } else { 1 }
    }
    /// Bytes of one row's scales, for each of its blocks.
    pub(super) fn head(self) -> usize {
        let sets = 1 + usize::from(self.mins);
        match self.scales {
            Scales::Half => 2 * sets,
            Scales::Single => 4,
            Scales::Integer => sets * (2 + self.integers()),
        }
    }
    /// Where each number of a row's scales begins, and its size.
    fn numbers(self) -> impl Iterator<Item = (usize, usize)> {
        let size = if self.scales == Scales::Single { 4 } else { 2 };
        let large = if self.mins { 2 } else { 1 };
        let small = (size * large..self.head()).map(|at| (at, 1));
        (0..large).map(move |i| (i * size, size)).chain(small)
    }
    /// Bits of a value, and words of a row for 32 values.
    pub(super) fn bits(self) -> usize {
        self.low + self.high
    }
    /// Bytes of a panel: of its scales, of its words, of all.
    pub(super) fn panel(self, dtype: DType, k: usize) -> (usize, usize, usize) {
        let blocks = k / dtype.block_len();
        let head = blocks * self.head() * PANEL;
        let words = k / 32 * self.bits() * 4 * PANEL;
        (head, words, head + words + blocks * self.unread.1 * PANEL)
    }
}

/// Where 32 values have some of their bits in a block.
enum Spot {
    /// The low nibbles of 16 bytes, then the high ones.
    Nibbles(usize),
    /// 32 bytes, shifted.
    Bytes(usize, usize),
    /// A bit each in four bytes.
    Bits(usize),
}

impl Spot {
    /// Low and high bits of group `i` of a block.
    fn of(dtype: DType, i: usize) -> (Spot, Option<Spot>) {
        use Spot::{Bits, Bytes, Nibbles};
        match dtype {
            DType::Q4_0 => (Nibbles(2), None),
            DType::Q4_1 => (Nibbles(4), None),
            DType::Q5_0 => (Nibbles(6), Some(Bits(2))),
            DType::Q5_1 => (Nibbles(8), Some(Bits(4))),
            DType::Q8_1 => (Bytes(4, 0), None),
            DType::Q2_K => (Bytes(16 + i / 4 * 32, i % 4 * 2), None),
            DType::Q3_K => (Bytes(32 + i / 4 * 32, i % 4 * 2), Some(Bytes(0, i))),
            DType::Q4_K => (Bytes(16 + i / 2 * 32, i % 2 * 4), None),
            DType::Q5_K => (Bytes(48 + i / 2 * 32, i % 2 * 4), Some(Bytes(16, i))),
            DType::Q6_K => (Bytes(i / 4 * 64 + i % 2 * 32, i % 4 / 2 * 4), Some(Bytes(128 + i / 4 * 32, i % 4 * 2))),
            DType::Q8_K => (Bytes(4 + i * 32, 0), None),
            _ => (Bytes(2, 0), None),
        }
    }
    #[inline]
    fn get(&self, block: &[u8], bits: usize) -> [u8; 32] {
        let mask = (0xff_u16 >> (8 - bits)) as u8;
        match *self {
            Spot::Nibbles(at) => {
                let bytes = &block[at..at + 16];
                std::array::from_fn(|l| if l < 16 { bytes[l] & 15 } else { bytes[l - 16] >> 4 })
            }
            Spot::Bytes(at, shift) => {
                let bytes = &block[at..at + 32];
                std::array::from_fn(|l| bytes[l] >> shift & mask)
            }
            Spot::Bits(at) => {
                let bytes = &block[at..at + 4];
                std::array::from_fn(|l| bytes[l / 8] >> (l % 8) & 1)
            }
        }
    }
    /// Into a block where those bits are zero.
    fn put(&self, block: &mut [u8], values: impl Fn(usize) -> u8) {
        for l in 0..32 {
            match *self {
                Spot::Nibbles(at) => block[at + l % 16] |= values(l) << (l / 16 * 4),
                Spot::Bytes(at, shift) => block[at + l] |= values(l) << shift,
                Spot::Bits(at) => block[at + l / 8] |= values(l) << (l % 8),
            }
        }
    }
}

/// The byte four times.
fn spread(byte: u8) -> u32 {
    u32::from_ne_bytes([byte; 4])
}

/// A block's scales in the order of [`Plan::numbers`].
fn read_head(dtype: DType, block: &[u8]) -> [u8; 36] {
    let mut head = [0; 36];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q8_K => put(0, &block[..4]),
        DType::Q4_K | DType::Q5_K => {
            let (scales, mins) = quant::unpack_scales_mins(block[4..].first_chunk().unwrap_or(&[0; 12]));
            put(0, &block[..4]);
            put(4, &scales);
            put(12, &mins);
        }
        DType::Q2_K => {
            put(0, &block[80..84]);
            (0..16).for_each(|i| put(4 + i, &[block[i] & 15]));
            (0..16).for_each(|i| put(20 + i, &[block[i] >> 4]));
        }
        DType::Q3_K => {
            let scales = quant::unpack_scales_q3_k(block[96..].first_chunk().unwrap_or(&[0; 12]));
            put(0, &block[108..]);
            put(2, &scales.map(|s| s as u8));
        }
        DType::Q6_K => {
            put(0, &block[208..]);
            put(2, &block[192..208]);
        }
        _ => put(0, &block[..2]),
    }
    head
}

/// The reverse of [`read_head`].
fn write_head(dtype: DType, head: &[u8; 36], block: &mut [u8]) {
    match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q8_K => block[..4].copy_from_slice(&head[..4]),
        DType::Q4_K | DType::Q5_K => {
            block[..4].copy_from_slice(&head[..4]);
            quant::pack_scales_mins(&head[4..12], &head[12..20], &mut block[4..16]);
        }
        DType::Q2_K => {
            block[80..84].copy_from_slice(&head[..4]);
            (0..16).for_each(|i| block[i] = head[4 + i] | head[20 + i] << 4);
        }
        DType::Q3_K => {
            block[108..].copy_from_slice(&head[..2]);
            let scales = std::array::from_fn(|i| head[2 + i] as i8);
            quant::pack_scales_q3_k(&scales, &mut block[96..108]);
        }
        DType::Q6_K => {
            block[208..].copy_from_slice(&head[..2]);
            block[192..208].copy_from_slice(&head[2..18]);
        }
        _ => block[..2].copy_from_slice(&head[..2]),
    }
}

/// Eight words of four values.
struct Values([u32; 8]);

impl Values {
    /// The same in as many words as a value has bits.
    fn store<const BITS: usize>(self) -> [u32; 8] {
        let mut stored = [0; 8];
        each_word!(|J| {
            for piece in const { pieces(BITS, J) } {
                stored[piece.word] |= (self.0[J] & spread(piece.mask)) << piece.shift;
            }
        });
        stored
    }
}

/// Writes row `r` of a panel, whose memory is as [`Plan::panel`] says and zero there.
fn pack_row(plan: Plan, dtype: DType, row: &[u8], r: usize, panel: &mut [u8]) {
    let blocks = row.len() / dtype.block_bytes();
    let groups = dtype.block_len() / 32;
    let (scales, words, _) = plan.panel(dtype, blocks * dtype.block_len());
    let (scales, rest) = panel.split_at_mut(scales);
    let (words, unread) = rest.split_at_mut(words);
    let words: &mut [u32] = bytemuck::cast_slice_mut(words);
    for (b, block) in row.chunks_exact(dtype.block_bytes()).enumerate() {
        let head = read_head(dtype, block);
        let to = &mut scales[b * plan.head() * PANEL..][..plan.head() * PANEL];
        for (at, size) in plan.numbers() {
            to[at * PANEL + r * size..][..size].copy_from_slice(&head[at..at + size]);
        }
        for i in 0..groups {
            let at = (b * groups + i) * plan.bits() * PANEL;
            let (low, high) = Spot::of(dtype, i);
            let mut bytes = low.get(block, plan.low);
            if let Some(high) = high {
                let high = high.get(block, plan.high);
                bytes.iter_mut().zip(high).for_each(|(low, high)| *low |= high << plan.low);
            }
            let stored = Values(bytemuck::cast(bytes));
            let stored = with_bits!(plan.bits(), stored.store());
            for (word, value) in stored.into_iter().enumerate().take(plan.bits()) {
                words[at + word * PANEL + r] = value;
            }
        }
        let (from, len) = plan.unread;
        unread[(b * PANEL + r) * len..][..len].copy_from_slice(&block[from..from + len]);
    }
}

/// The reverse of [`pack_row`]; `row` is zero.
fn unpack_row(plan: Plan, dtype: DType, panel: &[u8], r: usize, row: &mut [u8]) {
    let blocks = row.len() / dtype.block_bytes();
    let groups = dtype.block_len() / 32;
    let (scales, words, _) = plan.panel(dtype, blocks * dtype.block_len());
    let (scales, rest) = panel.split_at(scales);
    let (words, unread) = rest.split_at(words);
    let words: &[u32] = bytemuck::cast_slice(words);
    for (b, block) in row.chunks_exact_mut(dtype.block_bytes()).enumerate() {
        let from = &scales[b * plan.head() * PANEL..][..plan.head() * PANEL];
        let mut head = [0; 36];
        for (at, size) in plan.numbers() {
            head[at..at + size].copy_from_slice(&from[at * PANEL + r * size..][..size]);
        }
        write_head(dtype, &head, block);
        for i in 0..groups {
            let at = (b * groups + i) * plan.bits() * PANEL;
            let (low, high) = Spot::of(dtype, i);
            let values: [u32; 8] = std::array::from_fn(|j| {
                let stored = |piece: Piece| words[at + piece.word * PANEL + r] >> piece.shift & spread(piece.mask);
                pieces(plan.bits(), j).into_iter().map(stored).fold(0, |a, b| a | b)
            });
            let values: [u8; 32] = bytemuck::cast(values);
            let mask = (0xff_u16 >> (8 - plan.low)) as u8;
            low.put(block, |l| values[l] & mask);
            if let Some(high) = high {
                high.put(block, |l| values[l] >> plan.low);
            }
        }
        let (to, len) = plan.unread;
        block[to..to + len].copy_from_slice(&unread[(b * PANEL + r) * len..][..len]);
    }
}

/// Packs up to [`PANEL`] adjoining rows of `row_bytes` into `panel`; rows that are missing become zero.
pub(super) fn pack_panel(plan: Plan, dtype: DType, rows: &[u8], row_bytes: usize, panel: &mut [u8]) {
    let count = rows.len() / row_bytes;
    if count < PANEL {
        panel.fill(0);
    }
    for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
        pack_row(plan, dtype, row, r, panel);
    }
}

/// A matrix of a block format, packed.
#[derive(Clone)]
pub struct Packed {
    pub(super) dtype: DType,
    pub(super) rows: usize,
    pub(super) columns: usize,
    memory: Buffer,
}

impl Packed {
    /// Packs `rows` rows of `columns` values of `dtype`.
    ///
    /// # Errors
    /// When `bytes` is not as long as that, `dtype` is no block format, or memory does not suffice.
    pub fn new(dtype: DType, rows: usize, columns: usize, bytes: &[u8]) -> Result<Self> {
        let mut packing = Packing::new(dtype, rows, columns)?;
        packing.write(bytes)?;
        packing.finish()
    }
    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }
    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        self.memory.len()
    }
    /// Nothing in it?
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }
    /// Panel `i`.
    pub(super) fn panel(&self, i: usize) -> &[u8] {
        let (_, _, panel) = Plan::of(self.dtype).panel(self.dtype, self.columns);
        &self.memory.bytes()[i * panel..][..panel]
    }
    /// Some rows, as the format has them.
    ///
    /// # Errors
    /// When there are no such rows, or memory does not suffice.
    pub fn rows(&self, rows: Range<usize>) -> Result<Buffer> {
        if rows.start > rows.end || rows.end > self.rows {
            return Err(Error::argument("rows", format!("{rows:?} of a packed matrix of {} rows", self.rows)));
        }
        let row_bytes = self.dtype.bytes_for(self.columns).unwrap_or(0);
        let mut buffer = Buffer::zeroed(rows.len() * row_bytes)?;
        let plan = Plan::of(self.dtype);
        if row_bytes > 0 {
            for (row, to) in rows.zip(buffer.bytes_mut().chunks_exact_mut(row_bytes)) {
                unpack_row(plan, self.dtype, self.panel(row / PANEL), row % PANEL, to);
            }
        }
        Ok(buffer)
    }
}

/// A matrix that is packed as its rows come.
pub struct Packing {
    packed: Packed,
    row_bytes: usize,
    /// Rows that are packed.
    done: usize,
    /// The beginning of a panel.
    pending: Vec<u8>,
}

impl Packing {
    /// Of `rows` rows of `columns` values of `dtype`.
    ///
    /// # Errors
    /// When `dtype` is no block format, its blocks do not make rows of `columns`, or memory does not suffice.
    pub fn new(dtype: DType, rows: usize, columns: usize) -> Result<Self> {
        let wrong = || Error::shape("pack", format!("[{rows}, {columns}] of {dtype} has no rows of whole blocks"));
        let row_bytes = dtype.bytes_for(columns).filter(|_| dtype.is_quantized()).ok_or_else(wrong)?;
        let (_, _, panel) = Plan::of(dtype).panel(dtype, columns);
        let memory = Buffer::unwritten(panel.checked_mul(rows.div_ceil(PANEL)).ok_or_else(wrong)?)?;
        Ok(Self { packed: Packed { dtype, rows, columns, memory }, row_bytes, done: 0, pending: Vec::new() })
    }
    /// Packs the next bytes, as many as there are.
    ///
    /// # Errors
    /// When they are more than the matrix has.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let left = (self.packed.rows - self.done) * self.row_bytes - self.pending.len();
        if bytes.len() > left {
            return Err(self.wrong(format!("{} bytes too many", bytes.len() - left)));
        }
        let panel = PANEL * self.row_bytes;
        while !bytes.is_empty() {
            if self.pending.is_empty() && bytes.len() >= panel {
                let (whole, rest) = bytes.split_at(bytes.len() / panel * panel);
                self.pack(whole);
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(panel - self.pending.len()));
            self.pending.extend_from_slice(part);
            bytes = rest;
            if self.pending.len() == panel {
                self.pack_pending();
            }
        }
        Ok(())
    }
    /// The matrix.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn finish(mut self) -> Result<Packed> {
        let missing = (self.packed.rows - self.done) * self.row_bytes - self.pending.len();
        if missing > 0 {
            return Err(self.wrong(format!("{missing} bytes are missing")));
        }
        self.pack_pending();
        Ok(self.packed)
    }
    fn pack_pending(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        self.pack(&pending);
        pending.clear();
        self.pending = pending;
    }
    /// Packs whole panels, or the last rows.
    fn pack(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (dtype, row_bytes) = (self.packed.dtype, self.row_bytes);
        let plan = Plan::of(dtype);
        let (_, _, panel) = plan.panel(dtype, self.packed.columns);
        let (first, rows) = (self.done / PANEL, bytes.len() / row_bytes);
        let memory = &mut self.packed.memory.bytes_mut()[first * panel..][..rows.div_ceil(PANEL) * panel];
        let panels = SharedBytes(memory.as_mut_ptr());
        parallel(rows.div_ceil(PANEL), |i| {
            let last = rows.min((i + 1) * PANEL);
            // SAFETY: tasks have different panels, all inside the memory, which outlives them.
            let to = unsafe { panels.part(i * panel, panel) };
            pack_panel(plan, dtype, &bytes[i * PANEL * row_bytes..last * row_bytes], row_bytes, to);
        });
        self.done += rows;
    }
    fn wrong(&self, what: String) -> Error {
        let Packed { dtype, rows, columns, .. } = self.packed;
        Error::shape("pack", format!("[{rows}, {columns}] of {dtype}: {what}"))
    }
}

/// Memory of which tasks write parts of their own.
struct SharedBytes(*mut u8);
// SAFETY: only `part` gives access, and its callers promise that parts do not overlap.
unsafe impl Sync for SharedBytes {}
impl SharedBytes {
    /// # Safety
    /// The part is inside the memory, alive, and nobody else's.
    #[allow(clippy::mut_from_ref, reason = "the caller promises that it is nobody else's")]
    unsafe fn part(&self, from: usize, len: usize) -> &mut [u8] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(from), len) }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} [{}, {}])", self.dtype, self.rows, self.columns)
    }
}
