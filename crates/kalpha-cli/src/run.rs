//! `kalpha run`: read, compute, write the folder, answer.

use crate::{
    args::{ReadArgs, RunArgs},
    input,
    interrupt::Interrupt,
    progress, recipe as recipe_file,
};
use anyhow::{Context, bail};
use kalpha_core::{Ctx, Dataset, Modality, Progress, Silent};
use kalpha_engine::Engine;
use kalpha_recipe::{Further, Recipe, RunError, defaults, fingerprint};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let dataset = input::open(&ReadArgs { set: Vec::new(), ..args.read.clone() })?;
    let recipe = choose(args, &dataset)?;
    let further = input::further(&args.inputs, &recipe)?;
    let output = args.output.clone().unwrap_or_else(|| default_output(&args.read.file));
    let folder = crate::output::begin(&output, args.force)?;
    interrupt.abandons(folder.abandon());

    let listener: Arc<dyn Progress> = match progress::Line::new(args.quiet || args.json) {
        Some(line) => Arc::new(line),
        None => Arc::new(Silent),
    };
    let ctx = Ctx::new(recipe.seed, listener);
    interrupt.cancels(ctx.cancel_flag());
    let engine = Engine::new(args.threads, ctx)?;
    let result = fingerprint(&engine, &dataset).and_then(|name| {
        let further = further
            .into_iter()
            .map(|(name, dataset)| {
                Ok(Further { name, fingerprint: fingerprint(&engine, &dataset)?, dataset })
            })
            .collect::<Result<Vec<_>, RunError>>()?;
        kalpha_recipe::run_with(&recipe, &dataset, &name, &further, &engine)
    });
    progress::clear();
    let result = result?;
    crate::output::finish(args, &dataset, &result, folder, &interrupt)
}

/// The recipe of this run: the file's or the default one, with what was typed on top.
fn choose(args: &RunArgs, dataset: &Dataset) -> anyhow::Result<Recipe> {
    let mut recipe = match &args.recipe {
        _ if !args.steps.is_empty() => {
            args.steps.iter().fold(Recipe::new("steps"), |recipe, id| recipe.with(id.trim()))
        }
        Some(path) => recipe_file::named(path)?,
        None => default_recipe(dataset, args)?,
    };
    if let Some(seed) = args.seed {
        recipe.seed = seed;
    }
    for assignment in &args.read.set {
        // Checks the key and the value before the run.
        kalpha_core::Metadata::default().set(assignment)?;
        if let Some((key, value)) = assignment.split_once('=') {
            recipe.metadata.insert(key.trim().to_owned(), scalar(value.trim()));
        }
    }
    if let Some(specimen) = args.specimen {
        recipe.metadata.insert("specimen".to_owned(), specimen.to_string().into());
    }
    if !args.elements.is_empty() {
        let named = ["eds.identify", "eds.cliff_lorimer", "xps.quantify"];
        let takes = |id: &&str| recipe.step.iter().any(|step| step.id == **id);
        let takers: Vec<&str> = named.into_iter().filter(takes).collect();
        if takers.is_empty() {
            bail!("no step of this recipe takes --elements");
        }
        for id in takers {
            recipe.set(id, "elements", args.elements.clone())?;
        }
    }
    if !args.k_factors.is_empty() {
        recipe.set("eds.cliff_lorimer", "k_factors", k_factors(&args.k_factors)?)?;
    }
    for param in &args.params {
        let (path, value) = param.split_once('=').with_context(|| {
            format!("{param:?} is not STEP.NAME=VALUE (hint: --param pca.components=3)")
        })?;
        let (step, key) = path.rsplit_once('.').with_context(|| {
            format!("{path:?} names no parameter (hint: --param pca.components=3)")
        })?;
        recipe.set(step, key, scalar(value))?;
    }
    Ok(recipe)
}

fn default_recipe(dataset: &Dataset, args: &RunArgs) -> anyhow::Result<Recipe> {
    let set = args.read.set.iter().find_map(|s| s.strip_prefix("modality="));
    let modality = match set {
        Some(text) => Some(text.parse()?),
        None => dataset.metadata.modality,
    };
    match modality {
        Some(Modality::Eds) => Ok(defaults::eds()),
        Some(Modality::Xps) => Ok(defaults::xps()),
        Some(Modality::Raman) => Ok(defaults::raman_peaks()),
        Some(other) => bail!(
            "there is no default recipe for {other} yet (hint: --step baseline.asls, --recipe FILE, or --set modality=eds)"
        ),
        None => bail!(
            "the file does not say which kind of spectroscopy it holds (hint: --set modality=eds, or name what to do: --step baseline.asls)"
        ),
    }
}

/// A number, a truth value, a list (`a,b`) or a text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
            value
        }
        _ => text.into(),
    }
}

/// `Fe_Ka=1.45` or `Fe_Ka=1.45+-0.07`, as the step's parameter table.
fn k_factors(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut table = Map::new();
    for item in given {
        let wrong = || format!("{item:?} is no k-factor (hint: --k-factors Fe_Ka=1.45,Pt_La=5.08)");
        let (line, value) = item.split_once('=').with_context(wrong)?;
        for part in value.split("+-") {
            part.trim().parse::<f64>().ok().filter(|x| *x > 0.0).with_context(wrong)?;
        }
        table.insert(line.trim().to_owned(), value.trim().into());
    }
    Ok(table)
}

/// `map.bcf` goes to `map.kalpha`, `demo:eds` to `demo-eds.kalpha`, in the current folder.
fn default_output(file: &str) -> PathBuf {
    let stem = match file.starts_with("demo:") {
        true => file.replace(':', "-"),
        false => Path::new(file)
            .file_stem()
            .map_or_else(|| "out".to_owned(), |stem| stem.to_string_lossy().into_owned()),
    };
    PathBuf::from(format!("{stem}.kalpha"))
}
