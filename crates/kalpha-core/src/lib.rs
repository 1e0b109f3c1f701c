//! Axes, units, rows and cells, metadata, noise, quantities, diagnostics and the primitives.
//!
//! Every other crate stands on this one. It holds the vocabulary and no method:
//!
//! - data: [`Dataset`], [`Axis`], [`Rows`] cut into [`Cell`]s, [`Metadata`], [`NoiseModel`]
//! - answers: [`Quantity`], [`Diagnostic`]
//! - the algebra: [`Map`], [`Fold`], [`Passes`] and [`iterate`]
//! - steps: [`Step`], [`Port`], [`Plan`], [`Artefact`]
//! - control: [`Ctx`]

mod artefact;
mod axis;
mod buffer;
mod cell;
mod csr;
mod ctx;
mod dataset;
mod diagnostic;
mod error;
mod metadata;
mod noise;
mod partial;
mod primitives;
mod quantity;
mod rows;
mod step;

pub use artefact::{Artefact, ArtefactType, Inputs, Outputs};
pub use axis::{Axis, AxisError, Points, Unit};
pub use buffer::Buffer;
pub use cell::{Cell, CellBuffer, CellData, CellGrid, CsrView, ValuesView};
pub use csr::{Count, CountValues, CsrBuilder, CsrCounts};
pub use ctx::{Cancelled, Ctx, Progress, Silent};
pub use dataset::{Dataset, Event, Source};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use error::StepError;
pub use metadata::{Metadata, MetadataError, Modality, Mode, Specimen};
pub use noise::NoiseModel;
pub use partial::{Partial, PartialError};
pub use primitives::{Fold, Map, Merge, Passes, Progressed, Serial, Work, iterate};
pub use quantity::{Cause, Quantity, Systematics};
pub use rows::{
    DType, DenseRows, DenseValues, Difference, ExcludeChannels, Mapped, RowSource, Rows, RowsError,
    RowsMeta,
};
pub use step::{AnyStep, InputMeta, Plan, Port, PortKind, PortMeta, Registered, Step, StepFn};
