//! Threads, cancellation and progress.

use kalpha_core::{Ctx, Passes, StepError, Work};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// Threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {threads} threads: {source} (hint: --threads 1)")]
pub struct EngineError {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}

/// A pool of threads that runs the jobs of a pass.
pub struct Engine {
    pool: rayon::ThreadPool,
    ctx: Ctx,
}

impl Engine {
    /// An engine with `threads` threads; 0 takes one per core.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(threads: usize, ctx: Ctx) -> Result<Self, EngineError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("kalpha-{i}"))
            .build()
            .map_err(|source| EngineError { threads, source })?;
        Ok(Self { pool, ctx })
    }

    /// The same threads under another context.
    #[must_use]
    pub fn with_ctx(self, ctx: Ctx) -> Self {
        Self { ctx, ..self }
    }

    /// The same threads, progress reported as `what`.
    pub(crate) fn named(&self, what: &str) -> Named<'_> {
        Named { pool: &self.pool, ctx: self.ctx.named(what) }
    }
}

/// An engine lent to one step.
pub(crate) struct Named<'a> {
    pool: &'a rayon::ThreadPool,
    ctx: Ctx,
}

impl Named<'_> {
    /// Runs a step inside the pool, so that nested parallel kernels share its threads.
    pub(crate) fn install<R: Send>(&self, run: impl FnOnce() -> R + Send) -> R {
        self.pool.install(run)
    }
}

impl Passes for Named<'_> {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError> {
        parallel(self.pool, &self.ctx, jobs, work)
    }
}

impl Passes for Engine {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    fn parallel(&self, jobs: usize, work: &Work<'_>) -> Result<(), StepError> {
        parallel(&self.pool, &self.ctx, jobs, work)
    }
}

/// Threads take job numbers in turn; after the first error no new job starts.
fn parallel(
    pool: &rayon::ThreadPool,
    ctx: &Ctx,
    jobs: usize,
    work: &Work<'_>,
) -> Result<(), StepError> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Option<StepError>> = Mutex::new(None);
    let take_jobs = || {
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return;
            }
            let result = ctx.checkpoint().map_err(StepError::from).and_then(|()| work(job));
            if let Err(error) = result {
                next.store(jobs, Ordering::Relaxed);
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
            ctx.progress(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, jobs as u64);
        }
    };
    let helpers = pool.current_num_threads().min(jobs);
    if helpers <= 1 {
        take_jobs();
    } else {
        pool.scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|_| take_jobs());
            }
        });
    }
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_job_runs_once_and_the_first_error_stops_the_rest() {
        for threads in [1, 2, 5] {
            let engine = Engine::new(threads, Ctx::default()).unwrap();
            let seen: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
            engine
                .parallel(100, &|job| {
                    seen[job].fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
                .unwrap();
            assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            let ran = AtomicUsize::new(0);
            let error = engine.parallel(1_000_000, &|job| {
                ran.fetch_add(1, Ordering::Relaxed);
                if job < 10 { Ok(()) } else { Err(StepError::MissingInput { port: "x".into() }) }
            });
            assert!(error.is_err());
            assert!(ran.load(Ordering::Relaxed) < 1000);
        }
    }

    #[test]
    fn cancellation_from_another_thread_ends_a_pass() {
        let ctx = Ctx::default();
        let flag = ctx.cancel_flag();
        let engine = Engine::new(2, ctx).unwrap();
        let hits = Arc::new(AtomicUsize::new(0));
        let result = engine.parallel(usize::MAX, &|_| {
            if hits.fetch_add(1, Ordering::Relaxed) == 50 {
                flag.store(true, Ordering::Relaxed);
            }
            Ok(())
        });
        assert!(matches!(result, Err(StepError::Cancelled(_))));
    }
}
