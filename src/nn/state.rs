//! Saving a model and its training, and going on from there.

use crate::{
    device::Device,
    error::{Error, Result},
    format::{ByteSource, Checkpoint, TensorSpec, safetensors},
    tensor::Tensor,
};
use indexmap::IndexMap;
use std::io::{Seek, Write};

/// Tensors and values by name: what [`Parameters`](super::Parameters), optimisers and schedules are saved as, each under a
/// prefix of its own, in one safetensors file.
///
/// ```
/// use votive::{Device, nn::{Linear, Parameters, StateDict, Weights}};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// let (cpu, parameters) = (Device::cpu(), Parameters::new());
/// votive::block_on(Linear::load(&Weights::from_parameters(&parameters, &cpu), 3, 2, true))?;
/// let mut state = StateDict::default();
/// state.put("model", parameters.state());
/// state.save(&path)?;
/// parameters.load_state(&StateDict::load(&path, &cpu)?.take("model"))?;
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    /// Tensors.
    pub tensors: IndexMap<String, Tensor>,
    /// Everything else: numbers, written so that they read back exactly.
    pub values: IndexMap<String, String>,
}

impl StateDict {
    /// Puts another state under a prefix and a dot.
    pub fn put(&mut self, prefix: &str, other: StateDict) {
        self.tensors.extend(other.tensors.into_iter().map(|(name, t)| (format!("{prefix}.{name}"), t)));
        self.values.extend(other.values.into_iter().map(|(name, v)| (format!("{prefix}.{name}"), v)));
    }
    /// The state that was put under a prefix; empty if there is none.
    pub fn take(&self, prefix: &str) -> StateDict {
        fn part<T: Clone>(map: &IndexMap<String, T>, prefix: &str) -> IndexMap<String, T> {
            let own = |name: &str| name.strip_prefix(prefix)?.strip_prefix('.').map(str::to_string);
            map.iter().filter_map(|(name, v)| Some((own(name)?, v.clone()))).collect()
        }
        StateDict { tensors: part(&self.tensors, prefix), values: part(&self.values, prefix) }
    }
    /// A value, parsed.
    ///
    /// # Errors
    /// When it is missing or not such a value.
    pub fn value<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let text = self.values.get(name).ok_or_else(|| Error::weight(name, "is not in the state"))?;
        text.parse().map_err(|_| Error::weight(name, format!("is {text:?} in the state, which cannot be read")))
    }
    /// Writes a safetensors file to `out` (an empty file, called `file` in messages) and gives it back.
    ///
    /// # Errors
    /// When writing fails, or a tensor is of a block format.
    pub async fn write<W: Write + Seek>(&self, out: W, file: &str) -> Result<W> {
        let metadata: Vec<_> = self.values.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let spec = |(name, t): (&String, &Tensor)| TensorSpec {
            name: name.clone(),
            dtype: t.dtype(),
            shape: t.shape().clone(),
        };
        let specs: Vec<_> = self.tensors.iter().map(spec).collect();
        let mut writer = safetensors::writer(out, file, &metadata, &specs)?;
        for (name, tensor) in &self.tensors {
            writer.write(name, tensor.to_buffer().await?.bytes())?;
        }
        writer.finish()
    }
    /// Reads all of a safetensors file, or of any other format that holds weights, onto a device.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(source: Box<dyn ByteSource>, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(vec![source]).await?;
        let mut state = StateDict::default();
        for info in checkpoint.tensors() {
            let bytes = checkpoint.read(&info.name).await?;
            let tensor = Tensor::from_buffer(bytes, info.dtype, info.shape.clone(), device)?;
            state.tensors.insert(info.name.clone(), tensor);
        }
        let metadata = checkpoint.header_metadata();
        state.values.extend(metadata.0.keys().filter_map(|k| Some((k.clone(), metadata.string(k)?.to_string()))));
        Ok(state)
    }
    /// [`StateDict::write`] to a file.
    ///
    /// # Errors
    /// As [`StateDict::write`]; the file that was there before stays then.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let io = |source| Error::Io { path: name.clone(), source };
        // Into a file beside it first: whoever stops the program half-way keeps the last state.
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = std::path::PathBuf::from(part);
        let out = std::io::BufWriter::new(std::fs::File::create(&part).map_err(io)?);
        crate::block_on(self.write(out, &name))?;
        std::fs::rename(&part, path).map_err(io)
    }
    /// [`StateDict::read`] of a file.
    ///
    /// # Errors
    /// As [`StateDict::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn load(path: impl AsRef<std::path::Path>, device: &Device) -> Result<Self> {
        let source = crate::format::FileSource::open(path.as_ref())?;
        crate::block_on(Self::read(Box::new(source), device))
    }
}
