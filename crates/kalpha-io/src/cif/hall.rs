//! Space-group operations from a Hall symbol.
//!
//! `-P 4 2 3`: an optional centre, a lattice letter, up to four rotations with axis and
//! translation, and an optional shift of the origin `(0 0 1)` in twelfths.
//!
//! Source: S. R. Hall, Acta Cryst. A37, 517 (1981); International Tables for Crystallography,
//! vol. B, 1.4 (2008). Tested against the operations gemmi gives for all 530 settings.

use super::operation::{Operation, PARTS};
use std::collections::BTreeSet;

/// No space group has more operations in its largest cell.
const MOST: usize = 192;

type Matrix = [[i8; 3]; 3];

/// The twelfth part of an axis.
const TWELFTH: i8 = (PARTS / 12) as i8;

/// Centring translations of a lattice letter, in 24ths.
fn lattice(letter: char) -> Option<&'static [[i8; 3]]> {
    Some(match letter.to_ascii_uppercase() {
        'P' => &[],
        'A' => &[[0, 12, 12]],
        'B' => &[[12, 0, 12]],
        'C' => &[[12, 12, 0]],
        'I' => &[[12, 12, 12]],
        'R' => &[[16, 8, 8], [8, 16, 16]],
        'S' => &[[8, 8, 16], [16, 16, 8]],
        'T' => &[[8, 16, 8], [16, 8, 16]],
        'F' => &[[0, 12, 12], [12, 0, 12], [12, 12, 0]],
        _ => return None,
    })
}

/// The rotation about z.
fn about_z(order: u8) -> Option<Matrix> {
    Some(match order {
        1 => [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        2 => [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
        3 => [[0, -1, 0], [1, -1, 0], [0, 0, 1]],
        4 => [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        6 => [[1, -1, 0], [1, 0, 0], [0, 0, 1]],
        _ => return None,
    })
}

/// The same rotation about the axis `turn` places after z in the cycle x, y, z.
fn turned(matrix: Matrix, turn: usize) -> Matrix {
    let mut out = [[0; 3]; 3];
    for i in 0..3 {
        for j in 0..3 {
            out[(i + turn) % 3][(j + turn) % 3] = matrix[i][j];
        }
    }
    out
}

/// Rotation of an order about an axis; `before` is the axis of the rotation before.
fn rotation(order: u8, axis: char, before: char) -> Option<Matrix> {
    let turn = |axis: char| match axis {
        'x' => Some(1),
        'y' => Some(2),
        'z' => Some(0),
        _ => None,
    };
    match (axis, order) {
        ('*', 3) => Some([[0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        // Face diagonals across the axis before: a-b and a+b for z.
        ('\'' | '"', 2) => {
            let sign = if axis == '"' { 1 } else { -1 };
            Some(turned([[0, sign, 0], [sign, 0, 0], [0, 0, -1]], turn(before).unwrap_or(0)))
        }
        _ => Some(turned(about_z(order)?, turn(axis)?)),
    }
}

/// One rotation of the symbol: `-4ud`, `2"`, `31`.
fn element(word: &str, place: usize, before: Option<(u8, char)>) -> Option<(Operation, u8, char)> {
    let improper = word.starts_with('-');
    let mut letters = word.trim_start_matches('-').chars().peekable();
    let order = u8::try_from(letters.next()?.to_digit(10)?).ok()?;
    let mut axis = match (place, order, before) {
        (_, 1, _) | (0, ..) => 'z',
        (_, 3, _) if place == 2 => '*',
        (_, 2, Some((2 | 4, _))) => 'x',
        (_, 2, Some((3 | 6, _))) => '\'',
        (_, 3, _) => '*',
        _ => 'z',
    };
    if let Some(explicit) = letters.next_if(|c| matches!(c, 'x' | 'y' | 'z' | '\'' | '"' | '*')) {
        axis = if explicit == '=' { '"' } else { explicit };
    }
    let mut rotation = rotation(order, axis, before.map_or('z', |(_, axis)| axis))?;
    if improper {
        rotation.iter_mut().flatten().for_each(|x| *x = -*x);
    }
    let mut shift = [0i8; 3];
    for letter in letters {
        let add: [i8; 3] = match letter {
            'a' => [12, 0, 0],
            'b' => [0, 12, 0],
            'c' => [0, 0, 12],
            'n' => [12, 12, 12],
            'u' => [6, 0, 0],
            'v' => [0, 6, 0],
            'w' => [0, 0, 6],
            'd' => [6, 6, 6],
            '1'..='5' => {
                // A screw: this many parts of the order along its axis.
                let parts = i8::try_from(letter.to_digit(10)?).ok()?;
                let step = PARTS as i8 / i8::try_from(order).ok()?;
                let along = parts.checked_mul(step)?;
                match axis {
                    'x' => [along, 0, 0],
                    'y' => [0, along, 0],
                    'z' => [0, 0, along],
                    _ => return None,
                }
            }
            _ => return None,
        };
        for i in 0..3 {
            shift[i] = (shift[i].checked_add(add[i])?) % PARTS as i8;
        }
    }
    Some((Operation { rotation, translation: shift }, order, axis))
}

/// The origin shift `(0 0 1)`, in 24ths.
fn origin(text: &str) -> Option<[i8; 3]> {
    let mut numbers = text.trim().trim_end_matches(')').split_ascii_whitespace();
    let mut shift = [0i8; 3];
    for s in &mut shift {
        *s = numbers.next()?.parse::<i8>().ok().filter(|n| n.abs() <= 12)?.checked_mul(TWELFTH)?;
    }
    numbers.next().is_none().then_some(shift)
}

/// The operation seen from a shifted origin: `t' = t + v - R v`.
fn shifted(operation: &Operation, v: [i8; 3]) -> Option<Operation> {
    let mut out = *operation;
    for i in 0..3 {
        let turned: i32 =
            (0..3).map(|j| i32::from(operation.rotation[i][j]) * i32::from(v[j])).sum();
        let t = i32::from(operation.translation[i]) + i32::from(v[i]) - turned;
        out.translation[i] = i8::try_from(t.rem_euclid(PARTS)).ok()?;
    }
    Some(out)
}

/// All products of the generators, sorted; `None` where there are more than any group has.
pub(super) fn closure(generators: &[Operation]) -> Option<Vec<Operation>> {
    let mut found = BTreeSet::from([Operation::IDENTITY]);
    let mut fresh = vec![Operation::IDENTITY];
    while let Some(operation) = fresh.pop() {
        for generator in generators {
            let product = generator.after(&operation)?;
            if found.insert(product) {
                fresh.push(product);
            }
            if found.len() > MOST {
                return None;
            }
        }
    }
    Some(found.into_iter().collect())
}

/// The operations of a Hall symbol, sorted; `None` where it is none.
pub(super) fn operations(symbol: &str) -> Option<Vec<Operation>> {
    let symbol = symbol.trim().replace('_', " ");
    let (body, shift) = match symbol.split_once('(') {
        Some((body, shift)) => (body, origin(shift)?),
        None => (symbol.as_str(), [0; 3]),
    };
    let mut words = body.split_ascii_whitespace();
    let first = words.next()?;
    let letter = first.trim_start_matches('-');
    let mut letters = letter.chars();
    let centring = lattice(letters.next()?)?;
    if letters.next().is_some() {
        return None;
    }
    let translation = |t: &[i8; 3]| Operation { translation: *t, ..Operation::IDENTITY };
    let mut generators: Vec<Operation> = centring.iter().map(translation).collect();
    if first.starts_with('-') {
        generators.push(Operation {
            rotation: [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
            translation: [0; 3],
        });
    }
    let mut before = None;
    for (place, word) in words.enumerate() {
        let (operation, order, axis) = element(word, place, before)?;
        before = Some((order, axis));
        generators.push(operation);
    }
    let generators: Option<Vec<Operation>> =
        generators.iter().map(|operation| shifted(operation, shift)).collect();
    closure(&generators?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_groups() {
        for (symbol, count) in [
            ("P 1", 1),
            ("-P 1", 2),
            ("-P 2ybc", 4),
            ("P 31 2 (0 0 4)", 6),
            ("R 3 2\"", 18),
            ("P 3* 2", 6),
            ("-F 4vw 2vw 3", 192),
            ("I 2b 2c 3", 24),
            ("-I 4bd 2c 3", 96),
        ] {
            assert_eq!(operations(symbol).map(|o| o.len()), Some(count), "{symbol}");
        }
        for wrong in ["", "X 2", "P 5", "P 2q", "P 2 (0 0)", "PP 2", "-", "P 36666"] {
            assert!(operations(wrong).is_none(), "{wrong}");
        }
    }
}
