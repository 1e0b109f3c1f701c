//! The output folder.
use crate::args::RunArgs; use kalpha_core::Dataset; use kalpha_recipe::RunResult; use std::path::Path;
pub fn begin(_p:&Path,_f:bool)->anyhow::Result<()> {Ok(())}
pub fn finish(_a:&RunArgs,_d:&Dataset,r:RunResult,_f:(),_p:&Path)->anyhow::Result<()> { for d in r.diagnostics { println!("{d}"); } for (n,a) in r.session.artefacts() { let t=a.to_json().to_string(); println!("{n}: {}", t.chars().take(300).collect::<String>()); } Ok(())}
