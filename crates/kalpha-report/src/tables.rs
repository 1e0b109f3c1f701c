//! CSV as RFC 4180 defines it: comma, CRLF, quotes where needed. Numbers read back to the
//! same bits; an absent value is an empty field.

/// A field of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// Text.
    Text(String),
    /// A number; NaN and infinity become empty.
    Number(f64),
    /// A whole number.
    Integer(u64),
    /// No value.
    Empty,
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<f64> for Field {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}
impl From<Option<f64>> for Field {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Number)
    }
}
impl From<usize> for Field {
    fn from(value: usize) -> Self {
        Self::Integer(value as u64)
    }
}
impl From<bool> for Field {
    fn from(value: bool) -> Self {
        Self::Text(if value { "yes" } else { "no" }.to_owned())
    }
}

/// A table with a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Csv {
    columns: usize,
    text: String,
}

impl Csv {
    /// A table with these columns.
    pub fn new<S: AsRef<str>>(header: &[S]) -> Self {
        let mut csv = Self { columns: header.len(), text: String::new() };
        csv.row(header.iter().map(|name| Field::from(name.as_ref())));
        csv
    }

    /// Adds a row; missing fields are empty, surplus ones are dropped.
    pub fn row(&mut self, fields: impl IntoIterator<Item = Field>) {
        let fields = fields.into_iter().chain(std::iter::repeat(Field::Empty));
        for (i, field) in fields.take(self.columns).enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            match field {
                Field::Text(text) => self.push_text(&text),
                // Debug prints the shortest digits that read back, with an exponent if long.
                Field::Number(value) if value.is_finite() => self.text += &format!("{value:?}"),
                Field::Integer(value) => self.text += &value.to_string(),
                Field::Number(_) | Field::Empty => {}
            }
        }
        self.text.push_str("\r\n");
    }

    fn push_text(&mut self, text: &str) {
        if text.contains(['"', ',', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
            self.text.push('"');
            self.text.push_str(&text.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(text);
        }
    }

    /// The file.
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_needed() {
        let mut csv = Csv::new(&["name", "value", "n"]);
        csv.row([Field::from("a,\"b\"\n"), Field::from(0.1 + 0.2), Field::from(3usize)]);
        csv.row([Field::from("plain"), Field::from(f64::NAN)]);
        assert_eq!(
            csv.finish(),
            "name,value,n\r\n\"a,\"\"b\"\"\n\",0.30000000000000004,3\r\nplain,,\r\n"
        );
    }

    #[test]
    fn numbers_read_back_to_the_same_bits() {
        for value in [1.0, -0.0, 1e-300, 2.5e20, 0.1, f64::MIN_POSITIVE, 123_456.789] {
            let mut csv = Csv::new(&["x"]);
            csv.row([Field::from(value)]);
            let text = csv.finish();
            let read: f64 = text.lines().nth(1).unwrap().parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }
}
