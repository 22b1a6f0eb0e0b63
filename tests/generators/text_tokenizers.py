"""Golden values for src/text: tests/golden/text_tokenizers.json.

    python -m venv venv && venv/bin/pip install cyllama==0.2.18 gguf==0.19.0 tokenizers==0.23.3 sentencepiece==0.2.3
    VOTIVE_MODELS=... venv/bin/python tests/generators/text_tokenizers.py tests/golden/text_tokenizers.json

References: llama.cpp (inside cyllama) for the tokenizers in GGUF files, Hugging Face's `tokenizers` for tokenizer.json
and for how each pre-tokenizer expression cuts words, Google's sentencepiece for its own kind. The real models are the
two of `cargo xtask fetch --tests`; every pre-tokenizer name is tried on a small vocabulary trained here.
"""

import io
import json
import os
import random
import sys
import tempfile

import gguf
import numpy as np
import sentencepiece
import tokenizers
from cyllama.llama import llama_cpp

MODELS = os.environ["VOTIVE_MODELS"]
TEXTS = [
    "",
    " ",
    "\n",
    "Hello, world!",
    " leading space",
    "trailing space ",
    "two  spaces and   three    four",
    "tabs\tand\t\tmore\n\n\nnewlines\r\n\r\nCRLF\n",
    "   \n  \n indented\n\t",
    "I'm we'LL don't IT'S they'd've o'clock 'tis",
    "12345678901 3.14159 1,000,000 ２３ ½ ⅷ x86_64",
    "def fib(n: int) -> int:\n    return n if n < 2 else fib(n - 1) + fib(n - 2)  # slow\n",
    "for (let i = 0; i < a.length; ++i) { console.log(`${a[i]}!==\"\\n\"`); }",
    "Ein schöner Tag für Übermut: Straße, naïve café, Ångström, ĳ ǅ ﬁ",
    "Быстрая лиса, Ελληνικά, עברית, العربية ١٢٣, हिन्दी क्षत्रिय, ไทย",
    "日本語のテキスト、漢字とカタカナ。中文测试！한국어 문장입니다.",
    "🦙 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u0915\u094d\u0937 🇫🇷",
    "zero\u200bwidth nbsp\u00a0here\u3000ideographic \u2028 line \ufeffbom",
    "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n",
    "a<|im_end|>b <|im_end|> c<|endoftext|><bos><eos><start_of_turn>x<end_of_turn>\n</s><s>",
    "not special: <|im_star|> <|im_end| > <unused0 [multimodal]",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "$$$ +++ === ^^^ ~~~ ||| ``` <<<>>> --- ... !!! /// \\\\\\",
    "CamelCaseHTTPServer snake_case SCREAMING_CASE mIxEd iPhone NASA's",
    "https://example.com/a/b?c=d&e=f#g user@host.org C:\\dir\\file.txt",
    "(a|b) {c} [d] «guillemets» “quotes” ‘single’ – dash — long …",
    "\u0000\u0001\u007f control",
    "end with newline and spaces \n   ",
    "The quick brown fox jumps over the lazy dog. " * 3,
    "▁already▁written <0x41> ▁",
]
rng = random.Random(7)
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x52F), (0x5D0, 0x6FF), (0x900, 0x97F), (0x2000, 0x206F), (0x3040, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F6FF)]
for _ in range(12):
    TEXTS.append("".join(chr(rng.randint(*rng.choice(RANGES))) for _ in range(rng.randint(5, 60))))


def llama(path):
    params = llama_cpp.LlamaModelParams()
    params.n_gpu_layers = 0
    model = llama_cpp.LlamaModel(path, params)
    return model, model.get_vocab()


def llama_ids(path, texts, special):
    model, vocab = llama(path)
    return [vocab.tokenize(t, special, True) if t else [] for t in texts]


def real(out):
    smollm = f"{MODELS}/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
    gemma = f"{MODELS}/gemma3-270m/gemma-3-270m-q4_k_m.gguf"
    hf = tokenizers.Tokenizer.from_file(f"{MODELS}/smollm2-135m-instruct/tokenizer.json")
    out["smollm2_llama_cpp"] = llama_ids(smollm, TEXTS, True)
    out["smollm2_hf"] = [hf.encode(t).ids for t in TEXTS]
    out["smollm2_hf_decoded"] = [hf.decode(i, skip_special_tokens=True) for i in out["smollm2_hf"]]
    out["gemma3_llama_cpp"] = llama_ids(gemma, TEXTS, True)


S = tokenizers.pre_tokenizers.Split
R = tokenizers.Regex
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
# every letter with upper and lower case, as in DeepSeek's tokenizer.json
CASED = r"A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}\x{370}-\x{373}\x{376}-\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}-\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}-\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}"
# As the models' own tokenizer.json files say it, where that is not the expression that llama.cpp documents.
HF_WORDS = {
    "gpt-2": [tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)],
    "smollm": [tokenizers.pre_tokenizers.Digits(individual_digits=True), S(R(GPT2), "isolated")],
    "llama-bpe": [S(R(LLAMA3), "isolated")],
    "qwen2": [S(R(QWEN2), "isolated")],
    "tekken": [S(R(TEKKEN), "isolated")],
    "deepseek-llm": [S(R(e), "isolated") for e in
                     [r"[\r\n]", r"\s?[" + CASED + "]+", "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$", CJK, r"\p{N}+"]],
    "deepseek-coder": [S(R(e), "isolated") for e in [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"]],
    "gpt-4o": [S(R(GPT4O), "isolated")],
    "deepseek-v3": [S(R(r"\p{N}{1,3}"), "isolated"), S(R(r"[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
                    S(R(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated")],
}
# Without tekken, gpt-4o, deepseek-llm and deepseek-coder: for these llama.cpp only approximates the models' own files (letter
# classes, and which characters are white space).
NAMES = ["gpt-2", "smollm", "starcoder", "command-r", "llama-bpe", "qwen2", "falcon", "deepseek-v3", "bloom", "viking", "default"]


def words(out):
    """How each expression cuts text, as Oniguruma (inside tokenizers) does it."""
    out["words"] = {}
    for name, parts in HF_WORDS.items():
        if name == "gpt-2":
            parts = [S(R(GPT2), "isolated")]
        split = tokenizers.pre_tokenizers.Sequence(parts)
        out["words"][name] = [[t[a:b] for _, (a, b) in split.pre_tokenize_str(t)] for t in TEXTS]


def gguf_file(kind, pre, tokens, types, merges=None, scores=None, **more):
    path = tempfile.mktemp(suffix=".gguf")
    w = gguf.GGUFWriter(path, "llama")
    for key, value in {"context_length": 64, "embedding_length": 8, "block_count": 1, "feed_forward_length": 8}.items():
        w.add_uint32(f"llama.{key}", value)
    w.add_uint32("llama.attention.head_count", 1)
    w.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    w.add_tokenizer_model(kind)
    w.add_tokenizer_pre(pre)
    w.add_token_list(tokens)
    w.add_token_types(types)
    if merges:
        w.add_token_merges(merges)
    if scores:
        w.add_token_scores(scores)
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)
    for key, value in more.items():
        w.add_bool(f"tokenizer.ggml.{key}", value)
    # llama.cpp wants weights too (its vocab_only aborts in this release): one small block of zeros
    d, zeros = 8, lambda *shape: np.zeros(shape, np.float32)
    tensors = {"token_embd": zeros(len(tokens), d), "output_norm": zeros(d), "blk.0.attn_norm": zeros(d), "blk.0.ffn_norm": zeros(d)}
    tensors |= {f"blk.0.{n}": zeros(d, d) for n in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]}
    for name, tensor in tensors.items():
        w.add_tensor(f"{name}.weight", tensor)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def small_bpe(out):
    """One vocabulary, every pre-tokenizer name, in llama.cpp."""
    t = tokenizers.Tokenizer(tokenizers.models.BPE())
    t.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [S(R(r"\s?\S+|\s+"), "isolated"), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, special_tokens=["<s>", "</s>", "<|im_start|>", "<|im_end|>"],
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(TEXTS * 2, trainer)
    model = json.loads(t.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(m) for m in model["merges"]]
    types = [3] * 4 + [1] * (len(tokens) - 4)
    ids = {}
    for name in NAMES:
        ids[name] = llama_ids(gguf_file("gpt2", name, tokens, types, merges), TEXTS, True)
    out["small_bpe"] = {"tokens": tokens, "types": types, "merges": merges, "ids": ids}


def small_spm(out):
    """A sentencepiece model, in sentencepiece itself and in llama.cpp with and without the leading space."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([t for t in TEXTS * 2 if t.strip()]), model_writer=model, vocab_size=800, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True,
        bos_id=0, eos_id=1, unk_id=2, user_defined_symbols=["[INST]"], minloglevel=2, max_sentence_length=10000,
        character_coverage=0.98)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    n = sp.get_piece_size()
    tokens = [sp.id_to_piece(i) for i in range(n)]
    kind = lambda i: 6 if sp.is_byte(i) else 3 if sp.is_control(i) else 2 if sp.is_unknown(i) else 4 if i == tokens.index("[INST]") else 1
    types = [kind(i) for i in range(n)]
    scores = [sp.get_score(i) for i in range(n)]
    plain = [t for t in TEXTS if "<s>" not in t]
    prefix = gguf_file("llama", "default", tokens, types, scores=scores)
    bare = gguf_file("llama", "default", tokens, types, scores=scores, add_space_prefix=False, add_bos_token=False)
    out["small_spm"] = {
        "tokens": tokens, "types": types, "scores": scores, "sentencepiece_texts": plain,
        "sentencepiece": [sp.encode(t) for t in plain],
        "sentencepiece_decoded": [sp.decode(sp.encode(t)) for t in plain],
        "llama_cpp": llama_ids(prefix, TEXTS + ["[INST] hi [/INST] there [INST]x"], True),
        "llama_cpp_bare": llama_ids(bare, TEXTS, True),
    }


out = {"texts": TEXTS}
real(out)
words(out)
small_bpe(out)
small_spm(out)
json.dump(out, open(sys.argv[1], "w"), ensure_ascii=True, separators=(",", ":"))
