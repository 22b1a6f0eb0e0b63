//! Whether a GPU multiplies four bytes at a time itself (`dot4I8Packed`). Every adapter computes it; where the GPU has no
//! instruction for it, it is emulated, slower than products of f32.

/// Vulkan says so. Direct3D's and Metal's programs, as naga writes them, emulate it.
#[cfg(not(any(target_arch = "wasm32", target_vendor = "apple")))]
pub(super) fn are_native(adapter: &wgpu::Adapter) -> bool {
    use ash::vk;
    // SAFETY: nothing of the adapter is destroyed, and it is let go of before this returns.
    let Some(vulkan) = (unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }) else { return false };
    let (instance, device) = (vulkan.shared_instance().raw_instance(), vulkan.raw_physical_device());
    // SAFETY: the physical device is of this instance, which lives as long as the adapter.
    let version = unsafe { instance.get_physical_device_properties(device) }.api_version;
    if version < vk::API_VERSION_1_3 {
        return false;
    }
    let mut dots = vk::PhysicalDeviceShaderIntegerDotProductProperties::default();
    let mut all = vk::PhysicalDeviceProperties2::default().push_next(&mut dots);
    // SAFETY: as above; devices of Vulkan 1.3 know both structures, which live until the call returns. wgpu's instances are of the
    // loader's version, or 1.3, so that they have this function.
    unsafe { instance.get_physical_device_properties2(device, &mut all) };
    dots.integer_dot_product4x8_bit_packed_signed_accelerated == vk::TRUE
}

/// Metal's programs, as naga writes them, emulate it.
#[cfg(target_vendor = "apple")]
pub(super) fn are_native(_: &wgpu::Adapter) -> bool {
    false
}

/// Vendors and architectures that have the instruction, as Chromium calls them; beginnings of their names. Browsers say nothing
/// else of it.
#[cfg(any(target_arch = "wasm32", test))]
const ARCHITECTURES: [(&str, &[&str]); 5] = [
    ("nvidia", &["pascal", "volta", "turing", "ampere", "lovelace", "hopper", "blackwell"]),
    ("amd", &["rdna-2", "rdna-3", "rdna-4"]),
    ("intel", &["gen-12", "xe-"]),
    ("qualcomm", &["adreno-6", "adreno-7", "adreno-8"]),
    ("arm", &["valhall", "gen-5"]),
];

#[cfg(any(target_arch = "wasm32", test))]
pub(super) fn are_native_to(vendor: &str, architecture: &str) -> bool {
    let of = |(name, beginnings): &(&str, &[&str])| {
        *name == vendor && beginnings.iter().any(|beginning| architecture.starts_with(beginning))
    };
    ARCHITECTURES.iter().any(of)
}

#[cfg(test)]
mod tests {
    use super::are_native_to;

    #[test]
    fn architectures_are_known_by_their_beginnings() {
        for (vendor, architecture) in
            [("nvidia", "ampere"), ("intel", "xe-2lpg"), ("intel", "gen-12lp"), ("amd", "rdna-3")]
        {
            assert!(are_native_to(vendor, architecture), "{vendor} {architecture}");
        }
        for (vendor, architecture) in [
            ("nvidia", "maxwell"),
            ("intel", "gen-11"),
            ("amd", "rdna-1"),
            ("apple", "metal-3"),
            ("google", "swiftshader"),
            ("", ""),
        ] {
            assert!(!are_native_to(vendor, architecture), "{vendor} {architecture}");
        }
    }
}
