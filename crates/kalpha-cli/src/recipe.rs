//! `kalpha recipe`.

use crate::{
    args::{RecipeArgs, RecipeCommand},
    input,
};
use anyhow::{Context, bail};
use kalpha_core::PortMeta;
use kalpha_recipe::{Difference, Recipe, defaults, diff, steps};
use std::{collections::BTreeMap, io::Write, path::Path};

pub fn recipe(args: &RecipeArgs) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match &args.command {
        RecipeCommand::New { name } => {
            let Some(recipe) = defaults::recipe(name) else {
                bail!("no default recipe {name:?} (hint: known: {})", defaults::NAMES.join(", "));
            };
            write!(out, "{}", recipe.resolved()?.to_toml()?)?;
        }
        RecipeCommand::Check { recipe, read, inputs } => {
            let recipe = named(recipe)?;
            let dataset = input::open(read)?;
            let rows = || PortMeta::Rows(dataset.meta().clone());
            let mut ports = BTreeMap::from([("counts".into(), rows()), ("spectra".into(), rows())]);
            for (name, dataset) in input::further(inputs, &recipe)? {
                ports.insert(name, PortMeta::Rows(dataset.meta().clone()));
            }
            let checked = recipe.check(&dataset.metadata, ports)?;
            for step in &checked.steps {
                for diagnostic in &step.plan.diagnostics {
                    writeln!(out, "{}: {diagnostic}", step.name)?;
                }
            }
            writeln!(out, "{} steps fit {}", checked.steps.len(), read.file)?;
        }
        RecipeCommand::Diff { first, second } => {
            let found = diff(&load(first)?, &load(second)?)?;
            for Difference { what, touches } in &found {
                writeln!(out, "{what}")?;
                writeln!(out, "  touches {}", touches.join(", "))?;
            }
            if found.is_empty() {
                writeln!(out, "no difference: both give the same numbers")?;
            }
        }
        RecipeCommand::Steps => {
            for step in steps() {
                writeln!(out, "{:<20} {}", step.id(), step.about())?;
            }
        }
    }
    Ok(())
}

/// The recipe of this name, or in this file.
pub fn named(path: &Path) -> anyhow::Result<Recipe> {
    match path.to_str().and_then(defaults::recipe) {
        Some(recipe) if !path.exists() => Ok(recipe),
        _ => load(path),
    }
}

/// Reads a recipe file.
pub fn load(path: &Path) -> anyhow::Result<Recipe> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the recipe {}", path.display()))
        .map_err(|e| anyhow::anyhow!("{e:#} (hint: kalpha recipe new eds prints one)"))?;
    Recipe::from_toml(&text).with_context(|| path.display().to_string())
}
