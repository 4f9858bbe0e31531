//! What the rows of a generation have said since they were last heard: tokens, and text that never ends inside a character.
//!
//! The texts of a row, joined, are the text of its response. What may be the beginning of a character waits for its end.

use crate::error::Result;
use crate::model::Tokenizer;
use crate::telemetry::Event;
use std::sync::Arc;

/// How far a row was heard.
#[derive(Clone, Default)]
struct Heard {
    tokens: usize,
    /// The tokens whose text was told.
    told: usize,
    /// Where the tokens begin that the next text is decoded with: a tokenizer joins words by what stands before them.
    context: usize,
}

/// The rows of one generation.
pub(super) struct Stream {
    tokenizer: Option<Arc<Tokenizer>>,
    rows: Vec<Heard>,
    news: Vec<(usize, Vec<i32>, Option<String>)>,
}

impl Stream {
    pub fn new(tokenizer: Option<Arc<Tokenizer>>) -> Stream {
        Stream { tokenizer, rows: Vec::new(), news: Vec::new() }
    }

    /// Hears the responses as they stand, each with whether it has ended.
    pub fn hear<'a>(&mut self, responses: impl Iterator<Item = (&'a [i32], bool)>) -> Result<()> {
        for (row, (response, ended)) in responses.enumerate() {
            if self.rows.len() == row {
                self.rows.push(Heard::default());
            }
            let heard = &mut self.rows[row];
            if heard.tokens == response.len() {
                continue;
            }
            let tokens = response[heard.tokens..].to_vec();
            let tokenizer = self.tokenizer.as_ref();
            let text = tokenizer.map(|tokenizer| heard.text(tokenizer, response, ended)).transpose()?;
            heard.tokens = response.len();
            self.news.push((row, tokens, text));
        }
        Ok(())
    }

    /// What was heard and not told yet, as events of a job.
    pub fn tell(&mut self, job: u64) -> Vec<Event> {
        let event = |(row, tokens, text)| Event::Tokens { job, row, tokens, text };
        self.news.drain(..).map(event).collect()
    }
}

impl Heard {
    /// The text that came since the last one; empty while a character is not whole.
    fn text(&mut self, tokenizer: &Tokenizer, response: &[i32], ended: bool) -> Result<String> {
        let before = tokenizer.decode(&response[self.context..self.told], true)?;
        let now = tokenizer.decode(&response[self.context..], true)?;
        if now.ends_with('\u{fffd}') && !ended {
            return Ok(String::new());
        }
        (self.context, self.told) = (self.told, response.len());
        Ok(now.get(before.len()..).unwrap_or_default().to_string())
    }
}
