//! Text to tokens and back, from a `tokenizer.json`.
//!
//! Owns the parsed tokenizer; the bytes it came from are the model's. Text stays at the edge:
//! inside, a response is its tokens and is never encoded again.

use crate::error::{Error, Result, Status};

/// A Hugging Face tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

impl Tokenizer {
    /// Parses the bytes of a `tokenizer.json`; `Format` if they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Tokenizer> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| Error::new(Status::Format, format!("tokenizer.json: {error}")))?;
        // a saved tokenizer may cut or pad to a fixed length; the rows here are ragged and whole
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::new(Status::Format, format!("tokenizer.json: {error}")))?;
        Ok(Tokenizer { inner })
    }

    /// The tokens of `text`; `special` adds those that the tokenizer puts around a text (a BOS, say).
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<i32>> {
        let encoding = self.inner.encode_fast(text, special).map_err(|error| Error::data(format!("text: {error}")))?;
        Ok(encoding.get_ids().iter().map(|id| *id as i32).collect())
    }

    /// The text of `ids`, without special tokens if `skip_special`; `Data` for a negative id, nothing for unknown ones.
    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let ids: Vec<u32> = ids
            .iter()
            .map(|id| u32::try_from(*id).map_err(|_| Error::data(format!("tokens: expected ids from 0, got {id}"))))
            .collect::<Result<_>>()?;
        self.inner.decode(&ids, skip_special).map_err(|error| Error::data(format!("tokens: {error}")))
    }

    /// The text of one token as the vocabulary spells it.
    pub fn token(&self, id: i32) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    /// The number of tokens, added ones included.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}
