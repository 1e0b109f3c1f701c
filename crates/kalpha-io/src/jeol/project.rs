//! `.ASW`: which files a project of Analysis Station is made of.
//!
//! `SampleInfo/<n>/ViewInfo/<n>/ViewData/<n>` names each file, relative to the project, and says
//! in `Keyword` what it is: `MAP,Fe K,` or `IMG1,`.

use super::{read::text, tags};
use crate::{Input, IoError, signal_list::unique};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the project.
pub(super) struct Member {
    pub name: String,
    pub path: PathBuf,
}

/// Values of the tags that are numbered.
fn numbered<'a>(tree: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    tree.get(key).and_then(Value::as_object).into_iter().flat_map(|list| list.values())
}

/// Where a file of the project is: where it says, else beside it.
fn find(folder: &Path, stated: &str) -> Option<PathBuf> {
    let parts: Vec<&str> =
        stated.split(['\\', '/']).filter(|p| !p.is_empty() && *p != "." && *p != "..").collect();
    let there = parts.iter().fold(folder.to_owned(), |path, part| path.join(part));
    let beside = folder.join(parts.last()?);
    [there, beside].into_iter().find(|path| path.is_file())
}

/// What the keywords of a file say it is.
fn name(entry: &Value, path: &Path) -> String {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("pts")) {
        return "EDS".to_owned();
    }
    let keywords = text(entry, &["Keyword"]).unwrap_or_default();
    let last = keywords.split(',').map(str::trim).rfind(|word| !word.is_empty());
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    last.map_or_else(|| stem.into_owned(), str::to_owned)
}

/// The files that are there, lists of events first, and the names of all that it lists.
pub(super) fn members(input: &Input) -> Result<(Vec<Member>, Vec<String>), IoError> {
    let tags = tags::project(input)?;
    let folder = input.path().parent().unwrap_or(Path::new(""));
    let (mut found, mut listed) = (Vec::new(), Vec::new());
    for entry in numbered(&tags, "SampleInfo")
        .flat_map(|sample| numbered(sample, "ViewInfo"))
        .flat_map(|view| numbered(view, "ViewData"))
    {
        let Some(stated) = text(entry, &["Filename"]) else { continue };
        listed.push(stated.to_owned());
        if let Some(path) = find(folder, stated) {
            found.push(Member { name: name(entry, &path), path });
        }
    }
    // What no reader here knows, such as the EDS of one point, is left out.
    let known = ["pts", "img", "map"];
    found.retain(|member| {
        let extension = member.path.extension().unwrap_or_default().to_string_lossy();
        known.iter().any(|k| extension.eq_ignore_ascii_case(k))
    });
    found.sort_by_key(|member| member.name != "EDS");
    let names = unique(found.iter().map(|member| member.name.clone()));
    found.iter_mut().zip(names).for_each(|(member, name)| member.name = name);
    if found.is_empty() {
        let found = match listed.as_slice() {
            [] => "a project without files".to_owned(),
            [first, ..] => format!(
                "a project of {} files ({first}, ..), none of them where it says",
                listed.len()
            ),
        };
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    Ok((found, listed))
}
