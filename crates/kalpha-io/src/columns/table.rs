//! Numbers in columns: which lines are data, what separates the numbers.

use std::cmp::Reverse;

/// Lines looked at to find what separates numbers.
const SAMPLE_LINES: usize = 4000;

/// Rows from which a block of another width is a region of its own.
const REGION_ROWS: usize = 3;

/// What separates numbers, and what their decimal sign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    separator: Separator,
    decimal_comma: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Blank,
    Tab,
    Comma,
    Semicolon,
    /// Commas and blanks side by side.
    Any,
}

/// In the order in which a tie is decided.
const STYLES: [Style; 8] = [
    Style { separator: Separator::Blank, decimal_comma: false },
    Style { separator: Separator::Comma, decimal_comma: false },
    Style { separator: Separator::Semicolon, decimal_comma: false },
    Style { separator: Separator::Tab, decimal_comma: false },
    Style { separator: Separator::Blank, decimal_comma: true },
    Style { separator: Separator::Semicolon, decimal_comma: true },
    Style { separator: Separator::Tab, decimal_comma: true },
    Style { separator: Separator::Any, decimal_comma: false },
];

/// Columns that stand together.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    /// Byte of the first line.
    pub offset: u64,
    /// Lines of text right before it.
    pub heading: Vec<&'a str>,
    pub columns: Vec<Vec<f64>>,
}

/// A text of columns.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    /// Lines of text in the file, in order.
    pub text: Vec<&'a str>,
    pub blocks: Vec<Block<'a>>,
    pub style: Style,
    /// Lines between or behind the data that are neither comment nor number.
    pub strangers: usize,
    /// The last line was cut short and left out.
    pub truncated: bool,
}

/// A line in which the numbers stop fitting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ragged {
    pub offset: u64,
    pub expected: usize,
    pub got: usize,
}

/// True where a line is a remark, not data.
pub(crate) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', '%', '!', ';', '*', '/', '"', '\'', '$', '@', '&'])
}

/// One number; Fortran's `D` exponents count.
pub(crate) fn number(word: &str) -> Option<f64> {
    match word.parse() {
        Ok(x) => Some(x),
        Err(_) if word.contains(['D', 'd']) => word.replace(['D', 'd'], "e").parse().ok(),
        Err(_) => None,
    }
}

impl Style {
    /// What separates the labels of the columns.
    pub fn split<'a>(&self, line: &'a str) -> Vec<&'a str> {
        match self.separator {
            Separator::Blank => line.split_whitespace().collect(),
            Separator::Tab => line.split('\t').map(str::trim).collect(),
            Separator::Comma => line.split(',').map(str::trim).collect(),
            Separator::Semicolon => line.split(';').map(str::trim).collect(),
            Separator::Any => {
                line.split([',', ' ', '\t']).filter(|w| !w.is_empty()).map(str::trim).collect()
            }
        }
    }

    fn word(&self, word: &str) -> Option<f64> {
        if !self.decimal_comma {
            return number(word);
        }
        let mut commas = word.matches(',');
        match (commas.next(), commas.next()) {
            (None, _) => number(word),
            (Some(_), None) if !word.contains('.') => number(&word.replace(',', ".")),
            _ => None,
        }
    }

    /// The numbers of a line, or `false` where it is none of numbers alone.
    ///
    /// A field left empty between two separators is not a number; one behind the last
    /// separator is nothing.
    fn numbers(&self, line: &str, out: &mut Vec<f64>) -> bool {
        out.clear();
        let line = line.trim_end_matches(['\r', '\n']);
        // Most lines of text are told by their first letter.
        let first = line.trim_start().as_bytes().first();
        if !first.is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')) {
            return false;
        }
        let mut each = |word: &str| match self.word(word) {
            Some(x) => {
                out.push(x);
                true
            }
            None => false,
        };
        let mut fields = |separator: char| {
            let line = line.trim_end();
            let line = line.strip_suffix(separator).unwrap_or(line);
            line.split(separator).all(|w| match w.trim() {
                "" => each("nan"),
                w => each(w),
            })
        };
        match self.separator {
            Separator::Blank => line.split_whitespace().all(each),
            Separator::Any => line.split([',', ' ', '\t']).filter(|w| !w.is_empty()).all(each),
            Separator::Tab => fields('\t'),
            Separator::Comma => fields(','),
            Separator::Semicolon => fields(';'),
        }
    }

    /// The style under which most lines have as many numbers.
    fn of(text: &str) -> Self {
        let mut numbers = Vec::new();
        let mut best = (0, STYLES[0]);
        for style in STYLES {
            let mut widths: Vec<(usize, usize)> = Vec::new();
            for line in text.lines().take(SAMPLE_LINES) {
                if style.numbers(line, &mut numbers) {
                    match widths.iter_mut().find(|(width, _)| *width == numbers.len()) {
                        Some((_, lines)) => *lines += 1,
                        None => widths.push((numbers.len(), 1)),
                    }
                }
            }
            let most = widths.iter().map(|(_, lines)| *lines).max().unwrap_or(0);
            if most > best.0 {
                best = (most, style);
            }
        }
        best.1
    }
}

/// True where `x` runs on from the last two points of a block.
fn runs_on(x: f64, column: &[f64]) -> bool {
    match column {
        [.., a, b] => (b - a) * (x - b) > 0.0,
        _ => true,
    }
}

impl<'a> Table<'a> {
    /// Finds the columns of a text; `None` where there are none.
    ///
    /// # Errors
    /// Where a line of data has more or fewer numbers than the others.
    pub fn parse(text: &'a str) -> Result<Option<Self>, Ragged> {
        let style = Style::of(text);
        let mut table =
            Self { text: Vec::new(), blocks: Vec::new(), style, strangers: 0, truncated: false };
        let mut numbers = Vec::new();
        let (mut offset, mut heading, mut interrupted) = (0u64, Vec::new(), true);
        for whole in text.split_inclusive('\n') {
            let line = whole.trim_end();
            if style.numbers(line, &mut numbers) {
                table.push(&numbers, offset, interrupted, &mut heading);
                interrupted = false;
            } else {
                interrupted = true;
                if !line.is_empty() {
                    if !is_comment(line) && !table.blocks.is_empty() {
                        table.strangers += 1;
                    }
                    table.text.push(line);
                    heading.push(line);
                }
            }
            offset += whole.len() as u64;
        }
        table.settle(!text.ends_with('\n'))
    }

    fn push(
        &mut self,
        numbers: &[f64],
        offset: u64,
        interrupted: bool,
        heading: &mut Vec<&'a str>,
    ) {
        let goes_on = self.blocks.last().is_some_and(|block| {
            block.columns.len() == numbers.len()
                && (!interrupted || runs_on(numbers[0], &block.columns[0]))
        });
        if !goes_on {
            let columns = vec![Vec::new(); numbers.len()];
            self.blocks.push(Block { offset, heading: std::mem::take(heading), columns });
        }
        heading.clear();
        if let Some(block) = self.blocks.last_mut() {
            block.columns.iter_mut().zip(numbers).for_each(|(column, x)| column.push(*x));
        }
    }

    /// Leaves out numbers of the header; refuses data that is ragged.
    fn settle(mut self, no_last_newline: bool) -> Result<Option<Self>, Ragged> {
        let main = self.blocks.iter().enumerate().max_by_key(|(i, b)| (b.rows(), Reverse(*i)));
        let Some((main, width)) = main.map(|(i, b)| (i, b.columns.len())) else {
            return Ok(None);
        };
        let rows = self.blocks[main].rows();
        if let Some(last) = self.blocks.last()
            && no_last_newline
            && self.blocks.len() > main + 1
            && last.rows() == 1
            && last.columns.len() < width
        {
            self.truncated = true;
            self.blocks.pop();
        }
        for (i, block) in self.blocks.iter().enumerate() {
            let (n, got) = (block.rows(), block.columns.len());
            if i > main && got != width && n < REGION_ROWS {
                return Err(Ragged { offset: block.offset, expected: width, got });
            }
        }
        // A few numbers before the data are part of the header.
        let keep = |i: usize, b: &Block| i >= main || b.rows() >= REGION_ROWS.max(rows / 10);
        let mut i = 0;
        self.blocks.retain(|b| {
            i += 1;
            keep(i - 1, b)
        });
        Ok(Some(self))
    }
}

impl Block<'_> {
    /// Rows of the columns.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<Vec<f64>> {
        let table = Table::parse(text).unwrap().unwrap();
        assert_eq!(table.blocks.len(), 1, "{text:?}");
        table.blocks.into_iter().next().unwrap().columns
    }

    #[test]
    fn separators_and_decimal_signs() {
        let expected = vec![vec![1.5, 2.5, 3.5], vec![-40.0, 0.5, 6e3]];
        for text in [
            "1.5 -40\n2.5 .5\n3.5 6e3\n",
            "  1.5\t-40.\r\n2.5\t0.5\r\n3.5\t6D+03\r\n",
            "1.5,-40\n2.5,0.5\n3.5,6e3\n",
            "1.5, -40,\n2.5, 0.5,\n3.5, 6000.0,\n",
            "1.5;-40\n2.5;0.5\n3.5;6e3",
            "1,5\t-40\n2,5\t0,5\n3,5\t6000,0\n",
            "1,5;-40\n2,5;0,5\n3,5;6000\n",
            "# x y\n2\n1.5 -40\n\n2.5 0.5\n# a remark\n3.5 6e3\n",
        ] {
            assert_eq!(columns(text), expected, "{text:?}");
        }
        assert_eq!(columns("1,2\n3,4\n5,6\n"), [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
        let gap = columns("1,,3\n4,5,6\n7,8,9\n");
        assert!(gap[1][0].is_nan() && gap[1][1] == 5.0);
    }

    #[test]
    fn regions_start_where_x_starts_again() {
        let text = "# a\n1 5\n2 6\n3 7\n# b\n1 8\n2 9\n3 10\n";
        let table = Table::parse(text).unwrap().unwrap();
        assert_eq!(table.blocks.len(), 2);
        assert_eq!(table.blocks[1].heading, ["# b"]);
        assert_eq!(table.blocks[1].columns[1], [8.0, 9.0, 10.0]);
    }

    #[test]
    fn ragged_and_cut_data() {
        let error = Table::parse("1 2\n2 3\n3 4\n4\n5 6\n").unwrap_err();
        assert_eq!(error, Ragged { offset: 12, expected: 2, got: 1 });
        let table = Table::parse("1 2\n2 3\n3 4\n4").unwrap().unwrap();
        assert!(table.truncated && table.blocks[0].rows() == 3);
        assert!(Table::parse("no numbers\nhere\n").unwrap().is_none());
        assert!(Table::parse("").unwrap().is_none());
    }
}
