//! Keys and values of the tokens a model has seen.

use crate::{
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};

/// Capacity of a fresh cache, in tokens.
const INITIAL: usize = 128;

/// Keys and values of every layer, `[batch, heads, capacity, size]` each, or both in one tensor. Written in place, doubled when full, and cut back with
/// [`KvCache::truncate`] so that the next turn of a chat computes only what is new.
///
/// Layers with a sliding window keep everything too; attention looks at the window only.
pub struct KvCache {
    layers: Vec<Layer>,
    len: usize,
    /// Least capacity of what is allocated.
    room: usize,
}

/// Keys and values, or in the first place both.
type Layer = [Option<Tensor>; 2];

impl KvCache {
    /// An empty cache of a model with so many layers.
    pub fn new(layers: usize) -> Self {
        Self { layers: (0..layers).map(|_| Layer::default()).collect(), len: 0, room: INITIAL }
    }
    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.len
    }
    /// No tokens in it?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Forgets all tokens from position `len` on. Memory stays for what comes next.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
    /// Has the next memory allocated be enough for so many tokens, so that it need not grow on the way there.
    pub fn reserve(&mut self, tokens: usize) {
        self.room = tokens.max(INITIAL);
    }
    /// Forgets everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::new(self.layers.len());
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let tensors = self.layers.iter().flatten().flatten();
        tensors.map(|t| t.dtype().bytes_for(t.shape().elements()).unwrap_or(0)).sum()
    }
    /// Number of layers it was made for.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }
    /// Writes keys `[1, kv_heads, t, size]` and values of new tokens behind those that are there and returns both with all
    /// earlier ones, `[1, kv_heads, len + t, size]`. The tokens count once [`KvCache::advance`] is called, after all layers.
    pub fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (len, room) = (self.len, self.room);
        let [held_keys, held_values] = self.layer(layer)?;
        Ok((write(held_keys, keys, len, room)?, write(held_values, values, len, room)?))
    }
    /// As [`KvCache::append`], with the heads of keys and behind them as many of values in one tensor,
    /// `[batch, 2 * kv_heads, t, size]`: one write for both. A cache is written in one way or the other.
    ///
    /// # Errors
    /// As [`KvCache::append`].
    pub fn append_joined(&mut self, layer: usize, both: &Tensor) -> Result<(Tensor, Tensor)> {
        let (len, room) = (self.len, self.room);
        let heads = both.dim(1)? / 2;
        let both = write(&mut self.layer(layer)?[0], both, len, room)?;
        Ok((both.narrow(1, 0, heads)?, both.narrow(1, heads, heads)?))
    }
    fn layer(&mut self, layer: usize) -> Result<&mut Layer> {
        let count = self.layers.len();
        let missing = || Error::argument("kv_cache", format!("layer {layer} of a cache of {count}"));
        self.layers.get_mut(layer).ok_or_else(missing)
    }
    /// Makes text `i` of the batch the one that was text `order[i]` (beam search); the batch may grow or shrink by it.
    ///
    /// # Errors
    /// When there is no such text.
    pub fn reorder(&mut self, order: &Tensor) -> Result<()> {
        for slot in self.layers.iter_mut().flatten() {
            if let Some(held) = slot {
                *slot = Some(held.index_select(0, order)?);
            }
        }
        Ok(())
    }
    /// Counts `tokens` as seen, after all layers have appended them.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

/// Puts `new` behind the first `len` positions of `slot`, memory for at least `room` of them, and returns a view of all
/// `len + t`.
fn write(slot: &mut Option<Tensor>, new: &Tensor, len: usize, room: usize) -> Result<Tensor> {
    let &[batch, heads, count, size] = new.dims() else {
        return Err(Error::shape("kv_cache", format!("keys and values are [1, heads, t, size], not {}", new.shape())));
    };
    let end = len + count;
    let held = match slot.take() {
        Some(held) if held.dims()[2] >= end => held,
        old => {
            let capacity = end.max(room).max(old.as_ref().map_or(0, |t| 2 * t.dims()[2]));
            let grown = Tensor::zeros([batch, heads, capacity, size], DType::F32, new.device())?;
            match old {
                Some(old) if len > 0 => grown.write_slice(2, 0, &old.narrow(2, 0, len)?)?,
                None if len > 0 => {
                    let message = format!("{len} tokens were lost by a failed forward pass; clear the cache");
                    return Err(Error::argument("kv_cache", message));
                }
                _ => grown,
            }
        }
    };
    // Taken out of its slot, the tensor has one owner, so that the write is in place.
    let held = held.write_slice(2, len, new)?;
    let view = held.narrow(2, 0, end)?;
    *slot = Some(held);
    Ok(view)
}
