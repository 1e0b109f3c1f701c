//! Pages that follow from the registry, and a check that links in the docs lead somewhere.

use anyhow::{Context, bail};
use kalpha_core::{AnyStep, Port, PortKind};
use kalpha_recipe::{defaults, steps};
use serde_json::Value;
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn generate(check: bool) -> anyhow::Result<()> {
    let mut pages = vec![("docs/reference/steps.md".to_owned(), steps_page()?)];
    for name in defaults::NAMES {
        let Some(recipe) = defaults::recipe(name) else { continue };
        pages.push((format!("docs/reference/{name}.toml"), recipe.resolved()?.to_toml()?));
    }
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = root().join(&name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(name);
        } else {
            fs::create_dir_all(path.parent().context("no parent")?)?;
            fs::write(&path, text)?;
            println!("wrote {name}");
        }
    }
    if !stale.is_empty() {
        bail!("out of date: {} (hint: cargo xtask gen)", stale.join(", "));
    }
    links(&root())
}

fn steps_page() -> anyhow::Result<String> {
    let mut page = String::from(
        "# Steps\n\nGenerated from the registry by `cargo xtask gen`. A parameter is set in a \
         recipe or with `--param STEP.NAME=VALUE`.\n\n## The default EDS recipe\n\n\
         | step | reads | makes |\n|---|---|---|\n",
    );
    for step in defaults::eds().step {
        let known = kalpha_recipe::find(&step.id).context("a default recipe names no step")?;
        let names = |ports: &[Port], bound: &std::collections::BTreeMap<String, String>| {
            let name = |p: &Port| {
                let name = bound.get(p.name).map_or(p.name, String::as_str);
                format!("`{name}`{}", if p.optional { "?" } else { "" })
            };
            ports.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        let (reads, makes) =
            (names(known.inputs(), &step.input), names(known.outputs(), &step.output));
        let anchor = step.id.replace('.', "");
        writeln!(page, "| [{}](#{anchor}) | {reads} | {makes} |", step.id)?;
    }
    for step in steps() {
        section(&mut page, *step)?;
    }
    Ok(page)
}

fn section(page: &mut String, step: &dyn AnyStep) -> anyhow::Result<()> {
    writeln!(page, "\n## {}\n\n{}. Revision {}.\n", step.id(), step.about(), step.revision())?;
    writeln!(
        page,
        "[What it computes, and when it may be believed](../theory/{}.md)\n",
        step.id()
    )?;
    writeln!(page, "| port | | carries | |\n|---|---|---|---|")?;
    for (direction, ports) in [("reads", step.inputs()), ("makes", step.outputs())] {
        for port in ports {
            let carries = match port.kind {
                PortKind::Rows => "rows",
                PortKind::Whole(kind) => kind,
            };
            let optional = if port.optional { " (optional)" } else { "" };
            writeln!(
                page,
                "| `{}` | {direction}{optional} | {carries} | {} |",
                port.name, port.about
            )?;
        }
    }
    let schema = step.schema();
    let defaults = step.resolve(&serde_json::json!({}))?;
    let properties = schema["properties"].as_object();
    if properties.is_none_or(serde_json::Map::is_empty) {
        writeln!(page, "\nNo parameters.")?;
        return Ok(());
    }
    writeln!(page, "\n| parameter | default | |\n|---|---|---|")?;
    for (name, property) in properties.into_iter().flatten() {
        let about = property["description"].as_str().unwrap_or_default().replace('\n', " ");
        let default = match &defaults[name] {
            Value::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        writeln!(page, "| `{name}` | {default} | {} |", about.replace('|', "\\|"))?;
    }
    Ok(())
}

/// Every relative link in a Markdown file must lead to a file.
fn links(root: &Path) -> anyhow::Result<()> {
    let mut broken = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                for target in targets(&fs::read_to_string(&path)?) {
                    if !folder.join(&target).exists() {
                        broken.push(format!("{}: {target}", path.display()));
                    }
                }
            }
        }
    }
    if !broken.is_empty() {
        bail!("broken links:\n{}", broken.join("\n"));
    }
    Ok(())
}

/// Relative link targets of a Markdown text, without anchors.
fn targets(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}
