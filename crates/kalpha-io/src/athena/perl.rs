//! Perl data as Athena writes it: assignments of strings, numbers, lists and hashes.

use serde_json::{Map, Number, Value};

/// Nesting beyond which a file is taken for an attack.
const DEPTH: usize = 32;

/// What is wrong, and at which byte of the text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub offset: usize,
    pub expected: &'static str,
}

/// One statement.
#[derive(Debug, PartialEq)]
pub(super) enum Statement {
    /// `@name = (..);`
    Assign(String, Value),
    /// `[record]`
    Record,
}

/// Statements of a text, one after another.
pub(super) struct Statements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Statements<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Byte at which the next statement is looked for.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T, Wrong> {
        Err(Wrong { offset: self.at, expected })
    }

    fn skip_blank(&mut self) {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            if self.peek() != Some('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_blank();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn need(&mut self, sign: &'static str) -> Result<(), Wrong> {
        if self.take(sign) { Ok(()) } else { self.wrong(sign) }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The next statement; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Statement>, Wrong> {
        loop {
            self.skip_blank();
            match self.peek() {
                None => return Ok(None),
                Some('[') => {
                    self.need("[record]")?;
                    return Ok(Some(Statement::Record));
                }
                Some('$' | '@' | '%') => {
                    self.at += 1;
                    let name = self.word().to_owned();
                    self.need("=")?;
                    let value = self.value(DEPTH)?;
                    self.need(";")?;
                    return Ok(Some(Statement::Assign(name, value)));
                }
                // A Perl file ends with a true value.
                Some('1') => {
                    self.at += 1;
                    self.need(";")?;
                }
                Some(_) => return self.wrong("a statement"),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        let Some(depth) = depth.checked_sub(1) else { return self.wrong("less nesting") };
        self.skip_blank();
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.string(quote).map(Value::String),
            Some('(') => self.list(')', depth).map(Value::Array),
            Some('[') => self.list(']', depth).map(Value::Array),
            Some('{') => {
                let mut object = Map::new();
                let mut items = self.list('}', depth)?.into_iter();
                while let Some(key) = items.next() {
                    object.insert(text(&key), items.next().unwrap_or(Value::Null));
                }
                Ok(Value::Object(object))
            }
            _ => self.bare(depth),
        }
    }

    /// `undef`, a number, a bare word, or `bless(value, 'Class')`, whose class is left out.
    fn bare(&mut self, depth: usize) -> Result<Value, Wrong> {
        let rest = self.rest();
        let end = rest.find([',', ')', ']', '}', ';', '(', '=', ' ', '\t', '\r', '\n']);
        let word = &rest[..end.unwrap_or(rest.len())];
        if word.is_empty() {
            return self.wrong("a value");
        }
        self.at += word.len();
        match word {
            "undef" => Ok(Value::Null),
            "bless" => {
                self.need("(")?;
                let value = self.value(depth)?;
                self.need(",")?;
                self.value(depth)?;
                self.need(")")?;
                Ok(value)
            }
            _ => Ok(word
                .parse::<i64>()
                .map(Number::from)
                .ok()
                .or_else(|| Number::from_f64(word.parse().ok()?))
                .map_or_else(|| Value::String(word.to_owned()), Value::Number)),
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Result<Vec<Value>, Wrong> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(items);
            }
            items.push(self.value(depth)?);
            let separated = self.take(",") || self.take("=>");
            if !separated && self.peek() != Some(close) {
                return self.wrong("a comma or the end of a list");
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, Wrong> {
        self.at += 1;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\\' => match chars.next() {
                    Some((_, c)) if c == quote || c == '\\' => out.push(c),
                    // Wide characters are written as `\x{e4}`, by some even in single quotes.
                    Some((j, 'x')) if self.rest()[j..].starts_with("x{") => {
                        let code = self.rest()[j + 2..].split('}').next().unwrap_or_default();
                        let wide = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
                        match wide.filter(|_| code.len() <= 6) {
                            Some(wide) => {
                                out.push(wide);
                                let end = j + 2 + code.len();
                                while chars.next_if(|(k, _)| *k <= end).is_some() {}
                            }
                            None => out.push_str("\\x"),
                        }
                    }
                    Some((_, c)) => out.extend(['\\', c]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        self.wrong("the end of a string")
    }
}

/// A scalar as text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(text: &str) -> Result<Vec<Statement>, Wrong> {
        let mut statements = Statements::new(text);
        let mut out = Vec::new();
        while let Some(statement) = statements.next()? {
            out.push(statement);
        }
        Ok(out)
    }

    #[test]
    fn statements_of_every_kind() {
        let text = "# a project\r\n$old_group = 'it\\'s';\r\n@args = ('a',0,'b','1.5', 'c',['x','y'],\
                    'd',{},'e',undef);\n%h = ('k' => 'v', 'n' => -2.5e3,);\n[record]   # create\n\
                    $x = bless( {'m' => {'A' => 'B'}}, 'Xray::XDI' );\n@u = ('\\x{e4}b\\\\c\\d');\n1;\n# End:\n";
        let found = all(text).unwrap();
        let assign = |name: &str, value| Statement::Assign(name.to_owned(), value);
        assert_eq!(
            found,
            [
                assign("old_group", json!("it's")),
                assign("args", json!(["a", 0, "b", "1.5", "c", ["x", "y"], "d", {}, "e", null])),
                assign("h", json!(["k", "v", "n", -2500.0])),
                Statement::Record,
                assign("x", json!({"m": {"A": "B"}})),
                assign("u", json!(["äb\\c\\d"])),
            ]
        );
    }

    #[test]
    fn what_is_no_perl_is_refused_at_its_place() {
        for (text, offset) in [
            ("@x = ('1', '2'", 14),
            ("@x = ('1' '2');", 10),
            ("hello", 0),
            ("$x = 'a", 6),
            ("@x (1);", 3),
        ] {
            assert_eq!(all(text).unwrap_err().offset, offset, "{text}");
        }
        let deep = format!("@x = {}{};", "(".repeat(500), ")".repeat(500));
        assert!(all(&deep).is_err());
    }
}
