//! JEOL Analysis Station: `.pts`, `.img`, `.map` and the project `.ASW` that names them.
//!
//! | file | holds |
//! |---|---|
//! | `.pts` | EDS maps as lists of events (`read.rs`) |
//! | `.img`, `.map` | a picture, a map of one line of an element (`image.rs`) |
//! | `.ASW` | the names of the files of a project (`project.rs`); each is a signal |
//!
//! All are headers and trees of tags (`tags.rs`). Events are little-endian u16: the highest four
//! bits are 8 for a column, 9 for a line, 11 for a channel; everything else is skipped. A line
//! above the last one starts a frame. Columns and lines count to 4096 whatever the resolution.
//!
//! The layouts are not published. They were worked out from files and checked against what
//! RosettaSciIO 0.15 gives for them (tests/golden).

mod image;
mod project;
mod read;
mod tags;

use crate::{Confidence, FormatId, Input, IoError, OpenOptions, Reader};
use kalpha_core::{Code, Dataset, Diagnostic};

const EVENTS: &str = "EDS";
const IMAGE: &str = "image";

/// The reader of JEOL's files.
pub(crate) struct Jeol;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Events,
    Image,
    Project,
}

/// What the first bytes say, else what the name says.
fn kind(input: &Input) -> (Kind, Confidence) {
    let behind = input.head(64).get(4..).unwrap_or_default();
    if behind.starts_with(tags::MAGIC) {
        (Kind::Events, Confidence::Certain)
    } else if behind.starts_with(tags::IMAGE_MAGIC) {
        (Kind::Image, Confidence::Certain)
    } else if input.bytes().starts_with(tags::PROJECT_MAGIC) {
        (Kind::Project, Confidence::Certain)
    } else {
        match input.extension().as_str() {
            "pts" => (Kind::Events, Confidence::Name),
            "asw" => (Kind::Project, Confidence::Name),
            // Other programs have these names too.
            "img" | "map" => (Kind::Image, Confidence::No),
            _ => (Kind::Events, Confidence::No),
        }
    }
}

/// The file of the project that was asked for, or the first.
fn read_member(input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
    let (members, listed) = project::members(input)?;
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    let place = match &options.signal {
        None => Some(0),
        Some(asked) => names.iter().position(|name| name == asked),
    };
    let member = place.and_then(|place| members.get(place)).ok_or_else(|| IoError::NoSignal {
        file: input.path().to_owned(),
        asked: options.signal.clone().unwrap_or_default(),
        available: names.clone(),
    })?;
    let part = Input::open(&member.path)?;
    let mut dataset = match kind(&part).0 {
        Kind::Events => read::read(&part)?,
        Kind::Image => image::read(&part)?,
        Kind::Project => {
            let got = member.path.display();
            return Err(input.corrupt(0, "file of the project", "events or an image", got));
        }
    };
    let mut said = Vec::new();
    if options.signal.is_none() && names.len() > 1 {
        let message = format!("the project holds {}; {} was read", names.join(", "), member.name);
        said.push(Diagnostic::note(Code::Assumed, message).hint("--signal NAME reads another"));
    }
    if names.len() < listed.len() {
        let message = format!(
            "{} of {} files of the project are here and can be read",
            names.len(),
            listed.len()
        );
        said.push(Diagnostic::warning(Code::Truncated, message));
    }
    dataset.diagnostics.splice(0..0, said);
    Ok(dataset)
}

impl Reader for Jeol {
    fn format(&self) -> FormatId {
        FormatId::new("jeol")
    }

    fn about(&self) -> &'static str {
        "JEOL Analysis Station (maps as events, images, projects)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pts", "asw", "img", "map"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        kind(input).1
    }

    fn signals(&self, input: &Input) -> Result<Vec<String>, IoError> {
        Ok(match kind(input).0 {
            Kind::Events => vec![EVENTS.to_owned()],
            Kind::Image => vec![IMAGE.to_owned()],
            Kind::Project => project::members(input)?.0.into_iter().map(|m| m.name).collect(),
        })
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        match kind(input).0 {
            Kind::Events => {
                input.only_signal(EVENTS, options)?;
                read::read(input)
            }
            Kind::Image => {
                input.only_signal(IMAGE, options)?;
                image::read(input)
            }
            Kind::Project => read_member(input, options),
        }
    }
}
