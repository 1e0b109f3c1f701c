//! What differs between two recipes, in words, and which results it touches.
//!
//! Both are compared with all parameters written out, so a default that is spelled out is no
//! difference. A change of a step touches what it makes and everything made from that.

use crate::{
    recipe::{Recipe, RecipeError, RecipeStep},
    registry,
};
use kalpha_core::Port;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What differs: `pca.components: 20 in the first, 3 in the second`.
    pub what: String,
    /// Artefacts whose values it can change, in the order they are made.
    pub touches: Vec<String>,
}

/// Differences from `first` to `second`; none where both give the same numbers.
///
/// # Errors
/// When a step or parameter is unknown.
pub fn diff(first: &Recipe, second: &Recipe) -> Result<Vec<Difference>, RecipeError> {
    let (a, b) = (first.resolved()?, second.resolved()?);
    let mut out = Vec::new();
    let everything = || made(&b, |_| true);
    if a.seed != b.seed {
        let what = between("seed", &a.seed.into(), &b.seed.into());
        out.push(Difference { what, touches: made(&b, |step| RANDOM.contains(&step.id.as_str())) });
    }
    for key in keys(&a.metadata, &b.metadata) {
        let (x, y) = (a.metadata.get(key), b.metadata.get(key));
        if x != y {
            let what = between(
                &format!("metadata.{key}"),
                x.unwrap_or(&Value::Null),
                y.unwrap_or(&Value::Null),
            );
            out.push(Difference { what, touches: everything() });
        }
    }
    let (named_a, named_b) = (named(&a), named(&b));
    for (name, step) in &named_a {
        if !named_b.iter().any(|(other, _)| other == name) {
            let what = format!("{name}: only in the first");
            out.push(Difference { what, touches: made(&a, |s| std::ptr::eq(s, *step)) });
        }
    }
    for (name, step) in &named_b {
        let touches = || made(&b, |s| std::ptr::eq(s, *step));
        let Some((_, old)) = named_a.iter().find(|(other, _)| other == name) else {
            out.push(Difference {
                what: format!("{name}: only in the second"),
                touches: touches(),
            });
            continue;
        };
        for key in keys(&old.params, &step.params) {
            let (x, y) = (old.params.get(key), step.params.get(key));
            if x != y {
                let path = format!("{name}.{key}");
                let what = between(&path, x.unwrap_or(&Value::Null), y.unwrap_or(&Value::Null));
                out.push(Difference { what, touches: touches() });
            }
        }
        for (direction, x, y) in
            [("reads", &old.input, &step.input), ("makes", &old.output, &step.output)]
        {
            if x != y {
                let what = format!(
                    "{name}: {direction} {} in the first, {} in the second",
                    ports(x),
                    ports(y)
                );
                out.push(Difference { what, touches: touches() });
            }
        }
    }
    // Revisions as written, not as resolved: these tell which version made the numbers.
    for ((name, x), (other, y)) in named(first).iter().zip(named(second).iter()) {
        if let (true, Some(x), Some(revision)) = (name == other, x.revision, y.revision)
            && x != revision
        {
            let what = format!("{name}: revision {x} in the first, {revision} in the second");
            out.push(Difference { what, touches: made(second, |s| std::ptr::eq(s, *y)) });
        }
    }
    let order = |list: &[(String, &RecipeStep)], other: &[(String, &RecipeStep)]| -> Vec<String> {
        let common = list.iter().filter(|(name, _)| other.iter().any(|(o, _)| o == name));
        common.map(|(name, _)| name.clone()).collect()
    };
    if order(&named_a, &named_b) != order(&named_b, &named_a) {
        out.push(Difference {
            what: format!("the order of the steps: {}", order(&named_b, &named_a).join(", ")),
            touches: everything(),
        });
    }
    Ok(out)
}

/// Steps that draw random numbers.
const RANDOM: [&str; 4] = ["rank", "phases", "nmf", "rare"];

fn keys<'a>(
    a: &'a serde_json::Map<String, Value>,
    b: &'a serde_json::Map<String, Value>,
) -> BTreeSet<&'a String> {
    a.keys().chain(b.keys()).collect()
}

fn between(what: &str, a: &Value, b: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "not given".to_owned(),
        Value::Object(map) if map.is_empty() => "none".to_owned(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        other => other.to_string(),
    };
    format!("{what}: {} in the first, {} in the second", text(a), text(b))
}

fn ports(bound: &BTreeMap<String, String>) -> String {
    if bound.is_empty() {
        return "its own names".to_owned();
    }
    bound.iter().map(|(port, name)| format!("{name} as {port}")).collect::<Vec<_>>().join(", ")
}

/// Steps by a name of their own: the id, numbered where it stands more than once.
fn named(recipe: &Recipe) -> Vec<(String, &RecipeStep)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = Vec::with_capacity(recipe.step.len());
    for step in &recipe.step {
        let n = seen.entry(&step.id).or_default();
        *n += 1;
        let name = if *n == 1 { step.id.clone() } else { format!("{} ({n})", step.id) };
        out.push((name, step));
    }
    out
}

/// What the chosen steps make, and what is made from it.
fn made(recipe: &Recipe, chosen: impl Fn(&RecipeStep) -> bool) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for step in &recipe.step {
        let Some(known) = registry::find(&step.id) else { continue };
        let names = |ports: &[Port], bound: &BTreeMap<String, String>| -> Vec<String> {
            ports
                .iter()
                .map(|p| bound.get(p.name).cloned().unwrap_or_else(|| p.name.to_owned()))
                .collect()
        };
        let reads = names(known.inputs(), &step.input);
        if chosen(step) || reads.iter().any(|name| out.contains(name)) {
            for name in names(known.outputs(), &step.output) {
                if !out.contains(&name) {
                    out.push(name);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;

    #[test]
    fn a_default_written_out_is_no_difference() {
        let plain = defaults::eds();
        assert_eq!(diff(&plain, &plain.resolved().unwrap()).unwrap(), []);
    }

    #[test]
    fn a_late_parameter_touches_little_and_an_early_one_much() {
        let plain = defaults::eds();
        let mut late = plain.clone();
        late.set("eds.cliff_lorimer", "absorption", true).unwrap();
        let found = diff(&plain, &late).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].what,
            "eds.cliff_lorimer.absorption: false in the first, true in the second"
        );
        assert_eq!(found[0].touches, ["composition"]);
        let mut early = plain.clone();
        early.set("eds.strobe", "find", false).unwrap();
        let found = diff(&plain, &early).unwrap();
        for name in ["spectra", "pca", "lines", "phases", "flags", "composition"] {
            assert!(found[0].touches.iter().any(|t| t == name), "{name}: {:?}", found[0].touches);
        }
    }

    #[test]
    fn steps_metadata_seed_and_order() {
        let plain = defaults::eds();
        let mut other = plain.clone();
        other.step.retain(|s| s.id != "eds.line_windows");
        other.step.swap(0, 1);
        other.seed = 7;
        other.metadata.insert("specimen".into(), "thin".into());
        let words: Vec<String> =
            diff(&plain, &other).unwrap().into_iter().map(|d| d.what).collect();
        assert!(words.contains(&"seed: 0 in the first, 7 in the second".to_owned()), "{words:?}");
        assert!(words.iter().any(|w| w.starts_with("metadata.specimen: not given")), "{words:?}");
        assert!(words.contains(&"eds.line_windows: only in the first".to_owned()), "{words:?}");
        assert!(words.iter().any(|w| w.starts_with("the order of the steps")), "{words:?}");
        assert_eq!(words.len(), 4, "{words:?}");
    }
}
