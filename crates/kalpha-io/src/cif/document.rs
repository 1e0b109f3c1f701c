//! Blocks, items and loops of a CIF text.

use super::{CifError, Measured};
use std::fmt;

/// A value as the text spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    text: &'a str,
    bare: bool,
    offset: usize,
}

impl<'a> Value<'a> {
    /// The text, without quotes.
    pub fn raw(&self) -> &'a str {
        self.text
    }

    /// The text, unless it is `?` (unknown) or `.` (inapplicable).
    pub fn text(&self) -> Option<&'a str> {
        let absent = self.bare && matches!(self.text, "?" | ".");
        (!absent).then_some(self.text)
    }

    /// The number with its standard uncertainty.
    pub fn number(&self) -> Option<Measured> {
        Measured::parse(self.text()?.trim())
    }

    /// Byte of the document at which the text starts.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Values of several tags, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loop<'a> {
    /// The tags, as spelt.
    pub tags: Vec<&'a str>,
    /// The values, row-major.
    pub values: Vec<Value<'a>>,
}

impl<'a> Loop<'a> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.tags.len().max(1)
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = &[Value<'a>]> {
        self.values.chunks_exact(self.tags.len().max(1))
    }

    /// Place of a tag in a row; dots and underscores, capitals and small letters are the same.
    pub fn column(&self, tag: &str) -> Option<usize> {
        self.tags.iter().position(|t| same_tag(t, tag))
    }
}

/// A data block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block<'a> {
    /// What stands behind `data_`.
    pub name: &'a str,
    /// Byte at which the block starts.
    pub offset: usize,
    /// Tags with one value.
    pub items: Vec<(&'a str, Value<'a>)>,
    /// Loops.
    pub loops: Vec<Loop<'a>>,
}

impl<'a> Block<'a> {
    /// The value of a tag, also where it stands in a loop of one row.
    pub fn get(&self, tag: &str) -> Option<Value<'a>> {
        let item = self.items.iter().find(|(t, _)| same_tag(t, tag)).map(|(_, value)| *value);
        item.or_else(|| {
            let (found, column) = self.find_loop(tag)?;
            found.values.get(column).copied().filter(|_| found.rows() == 1)
        })
    }

    /// The first of several tags that has a value.
    pub fn first(&self, tags: &[&str]) -> Option<Value<'a>> {
        tags.iter().filter_map(|t| self.get(t)).find(|value| value.text().is_some())
    }

    /// The loop that holds a tag, and the place of the tag in a row.
    pub fn find_loop(&self, tag: &str) -> Option<(&Loop<'a>, usize)> {
        self.loops.iter().find_map(|l| Some((l, l.column(tag)?)))
    }
}

/// A CIF text in blocks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document<'a> {
    /// The blocks in order.
    pub blocks: Vec<Block<'a>>,
}

/// Tags are compared without case; `_atom_site.label` is `_atom_site_label`.
fn same_tag(a: &str, b: &str) -> bool {
    let fold = |b: u8| if b == b'.' { b'_' } else { b.to_ascii_lowercase() };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// What stands between blanks.
enum Token<'a> {
    Data(&'a str),
    /// Start or end of a save frame.
    Save,
    Loop,
    Tag(&'a str),
    Value(Value<'a>),
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

fn is_reserved(word: &str, keyword: &str) -> bool {
    word.get(..keyword.len()).is_some_and(|w| w.eq_ignore_ascii_case(keyword))
}

impl<'a> Tokens<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// True where a line starts.
    fn at_line_start(&self) -> bool {
        self.at == 0 || matches!(self.text.as_bytes().get(self.at - 1), Some(b'\n' | b'\r'))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            self.at += blanks;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
        }
    }

    /// Up to `end`, which is passed over; `None` where it is missing.
    fn until(&mut self, skip: usize, end: usize, width: usize) -> Value<'a> {
        let offset = self.at + skip;
        let text = self.text.get(offset..offset + end).unwrap_or_default();
        self.at = offset + end + width;
        Value { text, bare: false, offset }
    }

    fn quoted(&mut self, quote: char) -> Result<Token<'a>, CifError> {
        let rest = self.rest();
        let three: String = [quote; 3].iter().collect();
        if let Some(body) = rest.strip_prefix(&three)
            && let Some(end) = body.find(&three)
        {
            return Ok(Token::Value(self.until(3, end, 3)));
        }
        // A quote inside counts only where a blank follows it.
        let body = rest.get(1..).unwrap_or_default();
        let line = &body[..body.find(['\n', '\r']).unwrap_or(body.len())];
        let closing = line.char_indices().find(|(i, c)| {
            *c == quote && line[i + 1..].chars().next().is_none_or(char::is_whitespace)
        });
        match closing {
            Some((end, _)) => Ok(Token::Value(self.until(1, end, 1))),
            None => Err(CifError::new(self.at, "quoted text", "a closing quote in the line", line)),
        }
    }

    fn text_block(&mut self) -> Result<Token<'a>, CifError> {
        let body = self.rest().get(1..).unwrap_or_default();
        let end = body.find("\n;").or_else(|| body.find("\r;"));
        let Some(end) = end else {
            return Err(CifError::new(self.at, "text block", "a line that starts with ;", body));
        };
        let value = self.until(1, end, 2);
        // A line that holds nothing but the semicolon is none of the text.
        let text = value.text.strip_suffix('\r').unwrap_or(value.text);
        Ok(Token::Value(Value { text, ..value }))
    }

    fn next(&mut self) -> Result<Option<Token<'a>>, CifError> {
        self.skip_blanks();
        let rest = self.rest();
        match rest.chars().next() {
            None => return Ok(None),
            Some(quote @ ('\'' | '"')) => return self.quoted(quote).map(Some),
            Some(';') if self.at_line_start() => return self.text_block().map(Some),
            _ => {}
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, offset) = (&rest[..end], self.at);
        self.at += end;
        // A list would fall apart into words that mean something else.
        if self.text.starts_with("#\\#CIF_2") && word.starts_with(['[', '{']) {
            let expected = "a single value: lists and tables of CIF 2.0 are not read";
            return Err(CifError::new(offset, "value", expected, word));
        }
        Ok(Some(if word.starts_with('_') {
            Token::Tag(word)
        } else if is_reserved(word, "data_") {
            Token::Data(&word[5..])
        } else if is_reserved(word, "save_") {
            Token::Save
        } else if word.eq_ignore_ascii_case("loop_") {
            Token::Loop
        } else if word.eq_ignore_ascii_case("global_") || word.eq_ignore_ascii_case("stop_") {
            return Err(CifError::new(offset, "word", "none that STAR reserves", word));
        } else {
            Token::Value(Value { text: word, bare: true, offset })
        }))
    }
}

/// What a value belongs to.
enum State<'a> {
    Free,
    Tag(&'a str, usize),
    LoopTags(Loop<'a>),
    LoopValues(Loop<'a>),
}

/// Closes a loop, whose values must fill its rows.
fn close<'a>(state: State<'a>, block: &mut Block<'a>, at: usize) -> Result<(), CifError> {
    match state {
        State::Free => Ok(()),
        State::Tag(tag, offset) => Err(CifError::new(offset, tag, "a value", "none")),
        State::LoopTags(l) => {
            let tag = l.tags.first().copied().unwrap_or("loop_");
            Err(CifError::new(at, tag, "values of the loop", "none"))
        }
        State::LoopValues(l) => {
            if !l.values.len().is_multiple_of(l.tags.len().max(1)) {
                let expected = format!("rows of {} values", l.tags.len());
                let got = format!("{} values", l.values.len());
                let tag = l.tags.first().copied().unwrap_or("loop_");
                return Err(CifError::new(at, tag, &expected, &got));
            }
            block.loops.push(l);
            Ok(())
        }
    }
}

impl<'a> Document<'a> {
    /// Reads a text.
    ///
    /// Save frames, which only dictionaries have, are read into their block.
    ///
    /// # Errors
    /// When the text breaks the syntax; the error says where.
    pub fn parse(text: &'a str) -> Result<Self, CifError> {
        let mut tokens = Tokens { text, at: 0 };
        let mut document = Document::default();
        let mut block: Option<Block> = None;
        let mut state = State::Free;
        while let Some(token) = tokens.next()? {
            let at = tokens.at;
            if let Token::Data(name) = token {
                if let Some(mut done) = block.take() {
                    close(std::mem::replace(&mut state, State::Free), &mut done, at)?;
                    document.blocks.push(done);
                }
                block = Some(Block { name, offset: at, ..Block::default() });
                continue;
            }
            let Some(block) = &mut block else {
                let got = text.get(..at).unwrap_or_default().trim_start();
                return Err(CifError::new(0, "start", "data_ before anything else", got));
            };
            state = match (std::mem::replace(&mut state, State::Free), token) {
                (State::Tag(tag, _), Token::Value(value)) => {
                    block.items.push((tag, value));
                    State::Free
                }
                (State::LoopTags(mut l), Token::Tag(tag)) => {
                    l.tags.push(tag);
                    State::LoopTags(l)
                }
                (State::LoopTags(mut l) | State::LoopValues(mut l), Token::Value(value)) => {
                    if l.tags.is_empty() {
                        return Err(CifError::new(at, "loop_", "tags", value.text));
                    }
                    l.values.push(value);
                    State::LoopValues(l)
                }
                (State::Free, Token::Value(value)) => {
                    let expected = "a tag before the value";
                    return Err(CifError::new(value.offset, block.name, expected, value.text));
                }
                (before, token) => {
                    close(before, block, at)?;
                    match token {
                        Token::Tag(tag) => State::Tag(tag, at),
                        Token::Loop => State::LoopTags(Loop::default()),
                        _ => State::Free,
                    }
                }
            };
        }
        if let Some(mut done) = block {
            close(state, &mut done, text.len())?;
            document.blocks.push(done);
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_text_blocks_and_loops() {
        let text = "#\\#CIF_1.1\ndata_a # note\n_t1 'it's here' _t2 \"x\"\n_t3\n;line 1\n ; line 2\n;\n\
            loop_ _a.b _A_c\n1 ? . 'q'\n_t4 ?\ndata_B\n_x ';'\n";
        let document = Document::parse(text).unwrap();
        let [a, b] = &document.blocks[..] else { panic!() };
        assert_eq!((a.name, b.name), ("a", "B"));
        assert_eq!(a.get("_T1").unwrap().raw(), "it's here");
        assert_eq!(a.get("_t2").unwrap().raw(), "x");
        assert_eq!(a.get("_t3").unwrap().raw(), "line 1\n ; line 2");
        assert_eq!(a.get("_t4").unwrap().text(), None);
        let (l, column) = a.find_loop("_a_b").unwrap();
        assert_eq!((l.rows(), column), (2, 0));
        assert_eq!(l.values[1].text(), None);
        assert_eq!(l.values[3].text(), Some("q"));
        assert_eq!(b.get("_x").unwrap().raw(), ";");
    }

    #[test]
    fn broken_syntax_is_an_error_with_its_place() {
        for (text, offset) in [
            ("_a 1", 0),
            ("data_a _b", 9),
            ("data_a 1", 7),
            ("data_a _b 'x", 10),
            ("data_a _b\n;x", 10),
            ("data_a loop_ _b _c 1 2 3", 24),
            ("data_a loop_ 1", 14),
            ("#\\#CIF_2.0\ndata_a _b [1 2]", 21),
        ] {
            assert_eq!(Document::parse(text).unwrap_err().offset, offset, "{text}");
        }
        assert_eq!(Document::parse("").unwrap().blocks.len(), 0);
    }
}
