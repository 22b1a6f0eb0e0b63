//! Tokenizers, chat templates, sampling, streaming detokenisation.
