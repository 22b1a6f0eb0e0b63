//! Files that JavaScript reads for us: `{name, size, read(offset, length): Promise<Uint8Array>}`.

use super::options::from_js;
use crate::{
    backend::{LocalFuture, Upload, cpu::Buffer},
    error::{Error, Result},
    format::ByteSource,
};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The most bytes to ask for at once: what is in flight beside the tensor being filled stays small.
const PIECE: usize = 1 << 20;

/// Has the caller asked to stop?
pub type IsAborted = Rc<dyn Fn() -> bool>;

/// A file on JavaScript's side.
pub struct JsSource {
    object: JsValue,
    read: Function,
    name: String,
    size: u64,
    aborted: IsAborted,
}

impl JsSource {
    fn new(object: JsValue, aborted: IsAborted) -> Result<Self> {
        let fail = |what: &str| {
            Error::argument("load", format!("each file must be an object {{name, size, read(offset, length)}}: {what}"))
        };
        if !object.is_object() {
            return Err(fail("not an object"));
        }
        let get = |key: &str| Reflect::get(&object, &key.into()).unwrap_or(JsValue::UNDEFINED);
        let name = get("name").as_string().ok_or_else(|| fail("name is not a string"))?;
        let size = get("size")
            .as_f64()
            .filter(|s| js_sys::Number::is_safe_integer(&(*s).into()) && *s >= 0.0)
            .ok_or_else(|| fail(&format!("size of {name:?} is not a whole number of bytes")))?;
        let read = get("read").dyn_into().map_err(|_| fail(&format!("read of {name:?} is not a function")))?;
        Ok(Self { read, name, size: size as u64, object, aborted })
    }

    /// All files of a model.
    pub fn all(files: &Array, aborted: &IsAborted) -> Result<Vec<Box<dyn ByteSource>>> {
        files.iter().map(|file| Ok(Box::new(Self::new(file, aborted.clone())?) as Box<dyn ByteSource>)).collect()
    }

    /// Reads some bytes into the beginning of `out`; returns how many.
    async fn piece(&self, offset: u64, out: &mut [u8]) -> Result<usize> {
        let bytes = self.bytes(offset, out.len()).await?;
        let given = bytes.length() as usize;
        bytes.copy_to(&mut out[..given]);
        Ok(given)
    }

    /// Some bytes, up to `len`, in JavaScript's memory.
    async fn bytes(&self, offset: u64, len: usize) -> Result<Uint8Array> {
        if (self.aborted)() {
            return Err(Error::Aborted);
        }
        let thrown = |error: JsValue| from_js(&self.name, &error);
        let (at, wanted) = (JsValue::from(offset as f64), JsValue::from(len as f64));
        let answer = self.read.call2(&self.object, &at, &wanted).map_err(thrown)?;
        let bytes = JsFuture::from(Promise::resolve(&answer)).await.map_err(thrown)?;
        let Ok(bytes) = bytes.dyn_into::<Uint8Array>() else {
            return Err(Error::format(&self.name, "its read() did not give a Uint8Array"));
        };
        let given = bytes.length() as usize;
        if given == 0 || given > len {
            let message = format!("asked for {len} bytes at {offset}, was given {given}");
            return Err(Error::format(&self.name, message));
        }
        Ok(bytes)
    }
}

impl ByteSource for JsSource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.size
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        Box::pin(async move {
            let mut buffer = Buffer::unwritten(len)?;
            let bytes = buffer.bytes_mut();
            let mut done = 0;
            while done < len {
                let end = len.min(done + PIECE);
                done += self.piece(offset + done as u64, &mut bytes[done..end]).await?;
            }
            Ok(buffer)
        })
    }
    /// Pieces go from JavaScript's memory to the device.
    fn pour<'a>(&'a self, offset: u64, len: usize, into: &'a mut dyn Upload) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut done = 0;
            while done < len {
                let bytes = self.bytes(offset + done as u64, PIECE.min(len - done)).await?;
                into.write_js(&bytes).await?;
                done += bytes.length() as usize;
            }
            Ok(())
        })
    }
    fn is_stream(&self) -> bool {
        true
    }
    /// Pieces are put straight into the tensor's memory here; no need to cut and join above.
    fn max_read(&self) -> usize {
        usize::MAX
    }
}
