//! Where in a JSON text something stands, as a JSON pointer (RFC 6901).
//!
//! A pointer is a chain on the stack of whoever walks the text, so that a path is spelled out only for a message.

use std::fmt;

/// A place in a JSON text.
pub struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    step: Step<'a>,
    depth: usize,
}

enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Pointer<'a> {
    /// The whole text.
    pub fn root() -> Self {
        Pointer { parent: None, step: Step::Root, depth: 0 }
    }

    /// A member of the object here.
    pub fn key(&'a self, name: &'a str) -> Self {
        Pointer { parent: Some(self), step: Step::Key(name), depth: self.depth + 1 }
    }

    /// An element of the array here.
    pub fn index(&'a self, index: usize) -> Self {
        Pointer { parent: Some(self), step: Step::Index(index), depth: self.depth + 1 }
    }

    /// Objects and arrays around this place.
    pub fn depth(&self) -> usize {
        self.depth
    }

    fn spell(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.spell(formatter)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(name) => write!(formatter, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => write!(formatter, "/{index}"),
        }
    }
}

impl fmt::Display for Pointer<'_> {
    /// The pointer; the whole text, whose pointer is empty, is called "the configuration".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Root => formatter.write_str("the configuration"),
            _ => self.spell(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_as_rfc_6901_says() {
        let root = Pointer::root();
        let key = root.key("a/b~c");
        let index = key.index(3);
        assert_eq!(index.to_string(), "/a~1b~0c/3");
        assert_eq!(index.depth(), 2);
        assert_eq!(root.to_string(), "the configuration");
    }
}
