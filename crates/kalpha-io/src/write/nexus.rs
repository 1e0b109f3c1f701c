//! NeXus: one NXentry with one NXdata, its axes beside the values.

use super::{
    Writer,
    hdf5::Attribute,
    hspy::{borrowed, own, with_hdf5},
};
use crate::{
    FormatId, IoError,
    plain::{Number, NumberKind},
};
use kalpha_core::{Dataset, Event};
use std::path::Path;

/// The writer of `.nxs`.
pub(super) struct NexusWriter;

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

impl Writer for NexusWriter {
    fn format(&self) -> FormatId {
        FormatId::new("nexus")
    }

    fn about(&self) -> &'static str {
        "NeXus (HDF5), one NXdata group"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["nxs", "nx", "nx5"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, history: &[Event]) -> Result<(), IoError> {
        with_hdf5(path, dataset, |file, values| {
            let signal = if dataset.meta().noise.is_counts() { "counts" } else { "intensity" };
            let mut members = vec![(signal.to_owned(), values.write(file)?)];
            let mut names: Vec<String> = Vec::new();
            for (i, axis) in values.shape().iter().enumerate() {
                // Names are unique and one step of a path.
                let mut name = axis.name.replace(['/', ':', ','], "-");
                if name.is_empty() || name == signal || name == "kalpha" || names.contains(&name) {
                    name = format!("axis_{i}");
                }
                let bytes: Vec<u8> = axis.to_vec().iter().flat_map(|x| x.to_le_bytes()).collect();
                let number = Number { kind: NumberKind::Float, width: 8, big_endian: false };
                let units = [("units", text(axis.unit.symbol()))];
                members.push((name.clone(), file.numbers(number, &bytes, &units)?));
                names.push(name);
            }
            members.push(("kalpha".to_owned(), own(file, dataset, history)?));
            let attributes = [
                ("NX_class", text("NXdata")),
                ("signal", text(signal)),
                ("axes", Attribute::Texts(names)),
            ];
            let data = file.group(&attributes, &borrowed(&members))?;
            let mut members = vec![("data".to_owned(), data)];
            if let Some(title) = &dataset.metadata.title {
                members.push(("title".to_owned(), file.strings(std::slice::from_ref(title))?));
            }
            if let Some(name) = &dataset.metadata.instrument {
                let name = file.strings(std::slice::from_ref(name))?;
                let class = [("NX_class", text("NXinstrument"))];
                members.push(("instrument".to_owned(), file.group(&class, &[("name", name)])?));
            }
            let attributes = [("NX_class", text("NXentry")), ("default", text("data"))];
            let entry = file.group(&attributes, &borrowed(&members))?;
            let attributes = [
                ("NX_class", text("NXroot")),
                ("default", text("entry")),
                ("creator", text(concat!("kalpha ", env!("CARGO_PKG_VERSION")))),
            ];
            file.group(&attributes, &[("entry", entry)])
        })
    }
}
