//! Recipes as people write them.

use kalpha_core::{Metadata, StepError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// An ordered list of steps with their parameters.
///
/// ```toml
/// kalpha_recipe = 1
/// name = "eds"
/// seed = 0
///
/// [metadata]            # what the file does not say
/// specimen = "thin"
///
/// [[step]]
/// id = "pca"
/// input = { spectra = "counts" }   # only where names differ from the defaults
/// params = { components = 3 }      # only where values differ from the defaults
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of this file's layout.
    pub kalpha_recipe: u32,
    /// Name of the recipe.
    pub name: String,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Metadata that replaces or adds to what the file says.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// The steps, in order.
    #[serde(default)]
    pub step: Vec<RecipeStep>,
}

/// One step of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeStep {
    /// Id of a registered step.
    pub id: String,
    /// Revision the recipe was written with; a run says so when numbers have changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Input port to artefact name, where it is not the port's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input: BTreeMap<String, String>,
    /// Output port to artefact name, where it is not the port's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output: BTreeMap<String, String>,
    /// Parameters; absent ones take their defaults.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// A recipe cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Not TOML, or not a recipe.
    #[error("not a recipe: {0} (hint: kalpha recipe new eds prints one)")]
    Toml(#[from] toml::de::Error),
    /// The recipe cannot be written.
    #[error("cannot write the recipe: {0}")]
    Write(#[from] toml::ser::Error),
    /// A newer version of the layout.
    #[error("recipe layout {got} is newer than {known} (hint: update kalpha)")]
    Version {
        /// Version found.
        got: u32,
        /// Newest version known.
        known: u32,
    },
    /// No such step.
    #[error("no step is called {got:?}{}", near(suggestion))]
    UnknownStep {
        /// Id given.
        got: String,
        /// Nearest registered id.
        suggestion: Option<String>,
    },
    /// Parameters of a step are wrong.
    #[error("step {step}: {source}")]
    Params {
        /// The step.
        step: String,
        /// What is wrong.
        source: StepError,
    },
    /// A parameter is set on a step the recipe does not hold.
    #[error("the recipe has no step {step} (hint: kalpha recipe new eds shows one that has)")]
    NoStep {
        /// The step.
        step: String,
    },
    /// The metadata table is wrong.
    #[error("metadata: {0}")]
    Metadata(#[from] kalpha_core::MetadataError),
}

fn near(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(id) => format!(" (hint: did you mean {id}?)"),
        None => " (hint: kalpha recipe steps lists them)".to_owned(),
    }
}

impl Recipe {
    /// Names of the artefacts that its steps read.
    pub fn reads(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for step in &self.step {
            for port in crate::registry::find(&step.id).map_or(&[][..], |found| found.inputs()) {
                names
                    .insert(step.input.get(port.name).map_or(port.name, String::as_str).to_owned());
            }
        }
        names
    }

    /// Newest layout this version reads.
    pub const VERSION: u32 = 1;

    /// A recipe without steps.
    pub fn new(name: &str) -> Self {
        Self {
            kalpha_recipe: Self::VERSION,
            name: name.to_owned(),
            seed: 0,
            metadata: Map::new(),
            step: Vec::new(),
        }
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// When the text is no recipe, or one of a newer layout.
    pub fn from_toml(text: &str) -> Result<Self, RecipeError> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(default)]
            kalpha_recipe: u32,
        }
        let Version { kalpha_recipe } = toml::from_str(text)?;
        if kalpha_recipe > Self::VERSION {
            return Err(RecipeError::Version { got: kalpha_recipe, known: Self::VERSION });
        }
        Ok(toml::from_str(text)?)
    }

    /// Writes TOML.
    ///
    /// # Errors
    /// When a parameter has no TOML form.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        Ok(toml::to_string(self)?)
    }

    /// Appends a step with default parameters.
    #[must_use]
    pub fn with(mut self, id: &str) -> Self {
        self.step.push(RecipeStep {
            id: id.to_owned(),
            revision: None,
            input: BTreeMap::new(),
            output: BTreeMap::new(),
            params: Map::new(),
        });
        self
    }

    /// Sets a parameter of every step called `step`.
    ///
    /// # Errors
    /// When the recipe has no such step.
    pub fn set(
        &mut self,
        step: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), RecipeError> {
        let value = value.into();
        let mut found = false;
        for step in self.step.iter_mut().filter(|s| s.id == step) {
            step.params.insert(key.to_owned(), value.clone());
            found = true;
        }
        if found { Ok(()) } else { Err(RecipeError::NoStep { step: step.to_owned() }) }
    }

    /// The dataset's metadata with the recipe's own on top.
    ///
    /// # Errors
    /// When a key is unknown or a value does not fit it.
    pub fn metadata_over(&self, file: &Metadata) -> Result<Metadata, RecipeError> {
        let mut metadata = file.clone();
        for (key, value) in &self.metadata {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            metadata.set(&format!("{key}={text}"))?;
        }
        Ok(metadata)
    }

    /// The same recipe with revisions and all parameters written out.
    ///
    /// # Errors
    /// When a step or parameter is unknown.
    pub fn resolved(&self) -> Result<Self, RecipeError> {
        let mut out = self.clone();
        for step in &mut out.step {
            let registered = crate::registry::find(&step.id).ok_or_else(|| unknown(&step.id))?;
            let params = registered
                .resolve(&Value::Object(step.params.clone()))
                .map_err(|source| RecipeError::Params { step: step.id.clone(), source })?;
            step.revision = Some(registered.revision());
            if let Value::Object(map) = params {
                step.params = map.into_iter().filter(|(_, value)| !value.is_null()).collect();
            }
        }
        Ok(out)
    }
}

/// The error for an unknown step, with the nearest id.
pub(crate) fn unknown(id: &str) -> RecipeError {
    let nearest = crate::registry::steps()
        .iter()
        .map(|step| (distance(id, step.id()), step.id()))
        .min()
        .filter(|(d, _)| *d <= 3);
    RecipeError::UnknownStep {
        got: id.to_owned(),
        suggestion: nearest.map(|(_, id)| id.to_owned()),
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_layouts_and_unknown_keys_are_refused() {
        let newer = Recipe::from_toml("kalpha_recipe = 2\nname = 'x'\nfuture = 1");
        assert!(matches!(newer, Err(RecipeError::Version { got: 2, .. })));
        assert!(Recipe::from_toml("kalpha_recipe = 1\nname = 'x'\nstpe = []").is_err());
        assert!(Recipe::from_toml("\u{0}").is_err());
    }

    #[test]
    fn recipes_survive_toml() {
        let mut recipe = Recipe::new("eds").with("pca").with("rank");
        recipe.set("pca", "components", 3).unwrap();
        recipe.metadata.insert("beam_energy_keV".into(), 200.0.into());
        let text = recipe.to_toml().unwrap();
        assert_eq!(Recipe::from_toml(&text).unwrap(), recipe, "{text}");
        assert!(recipe.set("pcb", "components", 3).is_err());
        let metadata = recipe.metadata_over(&Metadata::default()).unwrap();
        assert_eq!(metadata.beam_energy_kev, Some(200.0));
    }

    #[test]
    fn distances() {
        assert_eq!(distance("pca", "pcb"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
