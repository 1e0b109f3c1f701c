//! Small SVG plots: scales with sensible ticks, lines, areas, error bars.
//!
//! Colours come from the style sheet of the page through classes, so a figure follows light
//! and dark.

mod scale;

pub use scale::{Scale, Tick};

use std::fmt::Write;

/// Text made safe for HTML and XML, element content and quoted attributes alike.
pub(crate) struct Escaped<'a>(pub &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Control characters are not allowed in XML at all.
                c if c.is_control() && !matches!(c, '\n' | '\t') => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Width of a label in pixels at 11 px, near enough to keep labels apart.
pub(crate) fn label_width(text: &str) -> f64 {
    text.chars().map(|c| if c.is_ascii_uppercase() || c == '+' { 8.4 } else { 6.7 }).sum()
}

/// Where text stands against its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The point is at the start.
    Start,
    /// The point is in the middle.
    Middle,
    /// The point is at the end.
    End,
}

/// One plot: a frame with two scales, filled from back to front.
#[derive(Clone, Debug)]
pub struct Plot {
    width: f64,
    height: f64,
    /// Pixel rectangle of the frame: left, top, right, bottom.
    frame: [f64; 4],
    x: Scale,
    y: Scale,
    body: String,
}

impl Plot {
    /// A plot of `width` x `height` pixels with its frame inset by `[left, top, right, bottom]`.
    pub fn new(width: f64, height: f64, inset: [f64; 4], x: Scale, y: Scale) -> Self {
        let frame = [inset[0], inset[1], width - inset[2], height - inset[3]];
        Self { width, height, frame, x, y, body: String::new() }
    }

    /// Pixel of a value on the x axis.
    pub fn px(&self, x: f64) -> f64 {
        let [left, _, right, _] = self.frame;
        left + self.x.position(x) * (right - left)
    }

    /// Pixel of a value on the y axis.
    pub fn py(&self, y: f64) -> f64 {
        let [_, top, _, bottom] = self.frame;
        bottom - self.y.position(y) * (bottom - top)
    }

    /// The frame: left, top, right, bottom.
    pub fn frame(&self) -> [f64; 4] {
        self.frame
    }

    /// Adds finished SVG.
    pub fn raw(&mut self, svg: &str) {
        self.body.push_str(svg);
    }

    /// Grid, ticks and titles. An empty title is left out, and with it the tick labels of x.
    pub fn axes(&mut self, x_title: &str, y_title: &str) {
        let [left, top, right, bottom] = self.frame;
        for tick in self.y.ticks(((bottom - top) / 28.0) as usize) {
            let y = self.py(tick.value);
            let _ = write!(
                self.body,
                r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                left - 7.0,
                y + 3.8,
                Escaped(&tick.label)
            );
        }
        for tick in self.x.ticks(((right - left) / 75.0) as usize) {
            let x = self.px(tick.value);
            let _ = write!(self.body, r#"<path class="axis" d="M{x:.1} {bottom:.1}v4"/>"#);
            if !x_title.is_empty() {
                self.text("tick", (x, bottom + 17.0), Anchor::Middle, &tick.label);
            }
        }
        let _ = write!(self.body, r#"<path class="axis" d="M{left:.1} {bottom:.1}H{right:.1}"/>"#);
        self.text("title", (right, bottom + 34.0), Anchor::End, x_title);
        let middle = 0.5 * (top + bottom);
        if !y_title.is_empty() {
            let _ = write!(
                self.body,
                r#"<text class="title" transform="translate(13 {middle:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
                Escaped(y_title)
            );
        }
    }

    /// Text at a pixel.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        if text.is_empty() {
            return;
        }
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            Escaped(text)
        );
    }

    /// A line through points; a point that is not finite interrupts it.
    pub fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut d = String::new();
        let mut pen_down = false;
        for (x, y) in points {
            if !(x.is_finite() && y.is_finite()) {
                pen_down = false;
                continue;
            }
            let command = if pen_down { 'L' } else { 'M' };
            let _ = write!(d, "{command}{:.1} {:.1}", self.px(x), self.py(y));
            pen_down = true;
        }
        let _ = write!(self.body, r#"<path class="{class}" d="{d}"/>"#);
    }

    /// A histogram line: each point is the middle of a flat step.
    pub fn steps(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            let before = if i > 0 { 0.5 * (points[i - 1].0 + x) } else { x };
            let command = if i == 0 { "M" } else { "H" };
            if i == 0 {
                let _ = write!(d, "{command}{:.1} {:.1}", self.px(before), self.py(y));
            } else {
                let _ = write!(d, "{command}{:.1}V{:.1}", self.px(before), self.py(y));
            }
        }
        let _ = write!(self.body, r#"<path class="{class}" d="{d}"/>"#);
    }

    /// The area between two curves on the same points.
    pub fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        if points.is_empty() {
            return;
        }
        let mut d = String::from("M");
        for &(x, low, _) in points {
            let _ = write!(d, "{:.1} {:.1} ", self.px(x), self.py(low));
        }
        for &(x, _, high) in points.iter().rev() {
            let _ = write!(d, "{:.1} {:.1} ", self.px(x), self.py(high));
        }
        let _ = write!(self.body, r#"<path class="{class}" d="{}Z"/>"#, d.trim_end());
    }

    /// A rectangle in pixels.
    pub fn rect(&mut self, class: &str, [left, top, right, bottom]: [f64; 4]) {
        let (w, h) = ((right - left).max(0.0), (bottom - top).max(0.0));
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{left:.1}" y="{top:.1}" width="{w:.1}" height="{h:.1}"/>"#
        );
    }

    /// A point.
    pub fn dot(&mut self, class: &str, x: f64, y: f64, radius: f64) {
        let (cx, cy) = (self.px(x), self.py(y));
        let _ = write!(
            self.body,
            r#"<circle class="{class}" cx="{cx:.1}" cy="{cy:.1}" r="{radius}"/>"#
        );
    }

    /// A vertical error bar with caps.
    pub fn error_bar(&mut self, class: &str, x: f64, low: f64, high: f64) {
        let (px, a, b) = (self.px(x), self.py(low), self.py(high));
        let _ = write!(
            self.body,
            r#"<path class="{class}" d="M{px:.1} {a:.1}V{b:.1}M{:.1} {a:.1}h6M{:.1} {b:.1}h6"/>"#,
            px - 3.0,
            px - 3.0
        );
    }

    /// The SVG, with what it shows in words.
    pub fn finish(self, class: &str, alt: &str) -> String {
        let (w, h) = (self.width, self.height);
        format!(
            r#"<svg class="plot {class}" viewBox="0 0 {w:.0} {h:.0}" width="{w:.0}" height="{h:.0}" role="img" aria-label="{}">{}</svg>"#,
            Escaped(alt),
            self.body
        )
    }
}

/// Moves labels apart along a line, each as near to where it belongs as its neighbours allow.
///
/// Minimises the sum of squared shifts for centres in ascending order: overlapping labels form
/// clusters that move as one (pool adjacent violators).
pub(crate) fn spread(centres: &[f64], widths: &[f64], (low, high): (f64, f64)) -> Vec<f64> {
    // A label's distance from the left end of its cluster, were the cluster packed.
    let mut before = Vec::with_capacity(widths.len());
    let mut at = 0.0;
    for w in widths {
        before.push(at + 0.5 * w);
        at += w;
    }
    // Pool adjacent violators on centre - packed position.
    let mut clusters: Vec<(f64, usize)> = Vec::new();
    for (centre, packed) in centres.iter().zip(&before) {
        let mut cluster = (centre - packed, 1);
        while let Some(&(mean, n)) = clusters.last() {
            if mean < cluster.0 {
                break;
            }
            clusters.pop();
            let total = n + cluster.1;
            cluster = ((mean * n as f64 + cluster.0 * cluster.1 as f64) / total as f64, total);
        }
        clusters.push(cluster);
    }
    let offsets = clusters.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n));
    // Offsets stay in order when clamped, so labels stay apart.
    let room = (high - at).max(low);
    before.iter().zip(offsets).map(|(packed, offset)| packed + offset.clamp(low, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_apart_and_inside() {
        let centres = [10.0, 12.0, 13.0, 60.0, 61.0, 198.0];
        let widths = [20.0; 6];
        let placed = spread(&centres, &widths, (0.0, 200.0));
        assert!(placed.windows(2).all(|w| w[1] - w[0] >= 20.0 - 1e-9), "{placed:?}");
        assert!(placed[0] >= 10.0 && placed[5] <= 190.0 + 1e-9, "{placed:?}");
        assert_eq!(spread(&[50.0], &[20.0], (0.0, 100.0)), [50.0]);
    }

    #[test]
    fn text_is_escaped() {
        let mut plot =
            Plot::new(100.0, 80.0, [10.0; 4], Scale::linear(0.0, 1.0), Scale::linear(0.0, 1.0));
        plot.text("t", (1.0, 1.0), Anchor::Start, "<script>\u{1}");
        let svg = plot.finish("x", "\"><script>");
        assert!(!svg.contains("<script>"));
        assert!(svg.contains("&lt;script&gt;\u{fffd}"));
    }

    #[test]
    fn what_is_not_finite_interrupts_a_line() {
        let (x, y) = (Scale::linear(0.0, 3.0), Scale::log(0.1, 10.0));
        let mut plot = Plot::new(100.0, 80.0, [10.0; 4], x, y);
        plot.line("l", [(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 0.0)]);
        let svg = plot.finish("x", "");
        assert_eq!(svg.matches('M').count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
