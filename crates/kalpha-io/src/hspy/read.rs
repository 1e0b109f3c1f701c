//! From a `.hspy` to a dataset.

use crate::{
    Input, IoError, OpenOptions,
    hdf5::{Hdf5Array, attribute_json, fail, group_json, open, own_json, shape_of},
    hyperspy::{self, Described, Experiment},
};
use hdf5_reader::{Hdf5File, group::Group};
use kalpha_core::Dataset;

/// The file states that HyperSpy wrote it.
pub(super) fn says_hyperspy(input: &Input) -> bool {
    let stated = || -> Option<String> {
        open(input).ok()?.root_group().ok()?.attribute("file_format").ok()?.read_string().ok()
    };
    stated().is_some_and(|format| format == "HyperSpy")
}

/// Experiments that hold data, in the order of the file.
fn experiments(input: &Input, file: &Hdf5File) -> Result<(Vec<Group>, Vec<Experiment>), IoError> {
    let root = file.group("/Experiments").map_err(|e| fail(input, "/Experiments", e))?;
    let groups = root.groups().map_err(|e| fail(input, "/Experiments", e))?;
    let (mut holding, mut found) = (Vec::new(), Vec::new());
    for group in groups {
        let Some(shape) = group.dataset("data").ok().and_then(|data| shape_of(&data)) else {
            continue;
        };
        let dictionary = |i| group.group(&format!("axis-{i}")).map(|g| group_json(&g));
        let axes = (0..shape.len()).map(|i| dictionary(i).unwrap_or_default()).collect();
        found.push(Experiment { name: group.name().to_owned(), shape, axes });
        holding.push(group);
    }
    Ok((holding, found))
}

pub(super) fn signals(input: &Input) -> Result<Vec<String>, IoError> {
    Ok(experiments(input, &open(input)?)?.1.into_iter().map(|e| e.name).collect())
}

pub(super) fn read(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let file = open(input)?;
    let (groups, found) = experiments(input, &file)?;
    let (number, axes, spectra) = hyperspy::choose(input, &found, options)?;
    let (Some(group), Some(chosen)) = (groups.get(number), found.get(number)) else {
        return Err(input.corrupt(0, "/Experiments", "a signal", number));
    };
    let path = format!("/Experiments/{}", chosen.name);
    let data = Hdf5Array::open(input, group, &path, "data")?;
    let data = if spectra { data } else { data.along(None) };
    let tree = |name: &str| group.group(name).map(|g| group_json(&g)).unwrap_or_default();
    let version = file.root_group().and_then(|root| root.attribute("file_format_version")).ok();
    let version = version.and_then(|v| attribute_json(&v).as_str().map(str::to_owned));
    let described = Described {
        axes,
        metadata: tree("metadata"),
        original_metadata: tree("original_metadata"),
        kalpha: own_json(group),
        source: input.source("hspy", version),
    };
    hyperspy::dataset(input, &found, number, options, data, described)
}
