//! Named artefacts of one dataset, and what has been computed already.

use crate::engine::Engine;
use kalpha_core::{
    Artefact, Diagnostic, InputMeta, Inputs, Outputs, Plan, PortMeta, Rows, StepError,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// One step, bound to artefact names.
pub struct StepRun {
    /// Step id and revision, with resolved parameters: what its numbers depend on.
    pub identity: String,
    /// Name under which progress and diagnostics are reported.
    pub name: String,
    /// Input port to artefact name.
    pub inputs: Vec<(String, String)>,
    /// Output port to artefact name.
    pub outputs: Vec<(String, String)>,
    /// The work.
    pub plan: Plan,
}

/// How a step went.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The step's name.
    pub name: String,
    /// Its result was known already.
    pub cached: bool,
    /// What it said.
    pub diagnostics: Vec<Diagnostic>,
}

/// The artefacts of one dataset. Keys say what each depends on.
pub struct Session {
    artefacts: BTreeMap<String, (String, Artefact)>,
    known: HashMap<String, Outputs>,
    seed: u64,
}

impl Session {
    /// A session on raw `counts` whose content is named by `fingerprint`.
    ///
    /// They are `spectra` too, until a step makes others of them.
    pub fn new(counts: Rows, fingerprint: &str, seed: u64) -> Self {
        let mut session = Self { artefacts: BTreeMap::new(), known: HashMap::new(), seed };
        session.insert("counts", fingerprint, Artefact::Rows(Rows::clone(&counts)));
        session.insert("spectra", fingerprint, Artefact::Rows(counts));
        session
    }

    /// Adds an artefact from outside, such as a mask or a second file.
    pub fn insert(&mut self, name: &str, fingerprint: &str, artefact: Artefact) {
        self.artefacts.insert(name.to_owned(), (fingerprint.to_owned(), artefact));
    }

    /// An artefact by name.
    pub fn get(&self, name: &str) -> Option<&Artefact> {
        self.artefacts.get(name).map(|(_, artefact)| artefact)
    }

    /// All artefacts, by name.
    pub fn artefacts(&self) -> impl Iterator<Item = (&str, &Artefact)> {
        self.artefacts.iter().map(|(name, (_, artefact))| (name.as_str(), artefact))
    }

    /// What a step can know of artefacts that exist already.
    pub fn meta(&self) -> BTreeMap<String, PortMeta> {
        self.artefacts().map(|(name, artefact)| (name.to_owned(), meta_of(artefact))).collect()
    }

    /// Runs one step, or takes its known result where nothing it depends on has changed.
    ///
    /// # Errors
    /// What the step says; the session is as it was before.
    pub fn run(&mut self, engine: &Engine, step: StepRun) -> Result<Ran, StepError> {
        let mut inputs = Inputs::default();
        let mut key = format!("{}\nseed {}", step.identity, self.seed);
        for (port, name) in &step.inputs {
            let (depends_on, artefact) = self
                .artefacts
                .get(name)
                .ok_or_else(|| StepError::MissingInput { port: name.clone() })?;
            inputs.bind(port, artefact.clone());
            key.push_str(&format!("\n{port} = {{{depends_on}}}"));
        }
        let key = fingerprint(&key);
        let (outputs, cached) = match self.known.get(&key) {
            Some(outputs) => (outputs.clone(), true),
            None => {
                let lent = engine.named(&step.name);
                let outputs = lent.install(|| (step.plan.run)(&inputs, &lent))?;
                self.known.insert(key.clone(), outputs.clone());
                (outputs, false)
            }
        };
        for (port, name) in &step.outputs {
            if let Some(artefact) = outputs.artefacts.get(port) {
                self.insert(name, &format!("{key}/{port}"), artefact.clone());
            }
        }
        let said = step.plan.diagnostics.into_iter().chain(outputs.diagnostics);
        let diagnostics =
            said.map(|d| if d.step.is_empty() { d.step(&step.name) } else { d }).collect();
        Ok(Ran { name: step.name, cached, diagnostics })
    }
}

/// Shape or type of an artefact.
fn meta_of(artefact: &Artefact) -> PortMeta {
    match artefact {
        Artefact::Rows(rows) => PortMeta::Rows(rows.meta().clone()),
        Artefact::Whole { kind, .. } => PortMeta::Whole(kind),
    }
}

/// A name for a text: its SHA-256.
fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a dataset offers the first step.
impl From<&Session> for InputMeta {
    fn from(session: &Session) -> Self {
        Self { ports: session.meta(), ..Self::default() }
    }
}
