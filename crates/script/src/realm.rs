//! One runtime of JavaScript with one script in it, its deadline and its cap of memory.

mod thrown;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use paceline_clock::{Clock, Tick};
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::function::Args;
use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Function, Module, Persistent, Runtime, Value as Js};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::convert;
use crate::error::{ScriptCode, ScriptError};

/// What the script is called in its own stack traces.
const FILE: &str = "script";
/// Bytes of stack that a script may use; its thread has more.
pub(crate) const STACK_BYTES: usize = 512 * 1024;

/// What a formula gets of the language: nothing that tells two rows apart, and no big blocks of bytes.
type ForFormula = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::Promise,
);

/// How much a script may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Time for one call.
    pub(crate) timeout: Duration,
    /// Memory of the runtime.
    pub(crate) memory_bytes: usize,
}

/// For whom a realm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Face {
    /// For a formula: frozen, without a clock and without chance.
    Formula,
    /// For a function, in a process of its own.
    #[default]
    Function,
}

/// See the module. It stays on the thread that made it.
pub(crate) struct Realm {
    // In the order in which they must go.
    main: Persistent<Function<'static>>,
    context: Context,
    runtime: Runtime,
    watch: Rc<Watch>,
    limits: Limits,
    /// Nothing more is to be called in it: it was stopped in the middle of something.
    spent: bool,
}

/// When a call must end, and whether it had to be stopped.
struct Watch {
    clock: Clock,
    deadline: Cell<Tick>,
    tripped: Cell<bool>,
}

impl Watch {
    fn is_over(&self) -> bool {
        if self.clock.now() >= self.deadline.get() {
            self.tripped.set(true);
        }
        self.tripped.get()
    }

    fn start(&self, timeout: Duration) {
        self.tripped.set(false);
        self.deadline.set(self.clock.now() + timeout);
    }
}

impl Realm {
    /// A realm whose main function is what `source` evaluates to, within the time of a call.
    pub(crate) fn new(
        source: &str,
        face: Face,
        limits: Limits,
        clock: &Clock,
    ) -> Result<Self, ScriptError> {
        let broken = |_| ScriptError::memory(limits.memory_bytes);
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_memory_limit(limits.memory_bytes);
        runtime.set_max_stack_size(STACK_BYTES);
        let context = match face {
            Face::Formula => Context::custom::<ForFormula>(&runtime),
            Face::Function => Context::full(&runtime),
        };
        let context = context.map_err(broken)?;
        let watch = Rc::new(Watch {
            clock: clock.clone(),
            deadline: Cell::new(Tick::NEVER),
            tripped: Cell::new(false),
        });
        let handler = Rc::clone(&watch);
        context.with(|ctx| {
            let prepared = |text: &str| {
                let done = ctx.eval::<(), _>(text);
                done.map_err(|error| thrown::error(&ctx, error, limits, false))
            };
            prepared(include_str!("realm/no_eval.js"))?;
            if face == Face::Formula {
                prepared(include_str!("realm/prelude.js"))?;
            }
            Ok(())
        })?;
        runtime.set_interrupt_handler(Some(Box::new(move || handler.is_over())));
        watch.start(limits.timeout);
        let main = context.with(|ctx| {
            let mut options = EvalOptions::default();
            options.filename = Some(FILE.to_owned());
            match ctx.eval_with_options::<Function<'_>, _>(source, options) {
                Ok(main) => Ok(Persistent::save(&ctx, main)),
                Err(error) => Err(thrown::error(&ctx, error, limits, watch.tripped.get())),
            }
        })?;
        Ok(Self { main, context, runtime, watch, limits, spent: false })
    }

    /// Whether the text is JavaScript, found out without running it.
    pub(crate) fn check(source: &str) -> Result<(), ScriptError> {
        let limits = Limits { timeout: Duration::MAX, memory_bytes: 256 << 20 };
        let broken = |_| ScriptError::memory(limits.memory_bytes);
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_memory_limit(limits.memory_bytes);
        runtime.set_max_stack_size(STACK_BYTES / 2);
        let context = Context::custom::<ForFormula>(&runtime).map_err(broken)?;
        context.with(|ctx| match Module::declare(ctx.clone(), FILE, source) {
            Ok(_) => Ok(()),
            Err(error) => {
                let found = thrown::error(&ctx, error, limits, false);
                Err(ScriptError { code: ScriptCode::Source, ..found })
            }
        })
    }

    /// Calls the main function; a promise is waited for within the same time.
    pub(crate) fn call<A>(&mut self, given: &[A], into: Into<A>) -> Result<Json, ScriptError> {
        self.watch.start(self.limits.timeout);
        let (limits, watch) = (self.limits, &self.watch);
        let main = self.main.clone();
        let ended = self.context.with(|ctx| {
            let called = (|| {
                let main = main.restore(&ctx)?;
                let mut args = Args::new(ctx.clone(), given.len());
                for one in given {
                    args.push_arg(into(&ctx, one)?)?;
                }
                main.call_arg::<Js<'_>>(args)
            })();
            let value =
                called.map_err(|error| thrown::error(&ctx, error, limits, watch.tripped.get()))?;
            let value = settled(&ctx, value, limits, watch)?;
            convert::out_of_js(&ctx, value).map_err(|wrong| {
                wrong.unwrap_or_else(|| {
                    let tripped = watch.tripped.get();
                    thrown::error(&ctx, rquickjs::Error::Exception, limits, tripped)
                })
            })
        });
        // Stopped in the middle, or with work left that would go on in the next row.
        self.spent = self.watch.tripped.get()
            || matches!(&ended, Err(error) if error.code == ScriptCode::Memory)
            || self.runtime.is_job_pending();
        // It may have been stopped while what it threw was read.
        ended.map_err(|error| {
            if self.watch.tripped.get() { ScriptError::timeout(limits.timeout) } else { error }
        })
    }

    /// Whether the next row needs another realm.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }
}

/// How an argument comes into JavaScript.
pub(crate) type Into<A> = for<'js> fn(&Ctx<'js>, &A) -> rquickjs::Result<Js<'js>>;

/// What a promise comes to, or the value itself.
fn settled<'js>(
    ctx: &Ctx<'js>,
    value: Js<'js>,
    limits: Limits,
    watch: &Watch,
) -> Result<Js<'js>, ScriptError> {
    let Some(promise) = value.as_promise().cloned() else {
        return Ok(value);
    };
    while promise.state() == PromiseState::Pending {
        if watch.is_over() {
            return Err(ScriptError::timeout(limits.timeout));
        }
        if !ctx.execute_pending_job() {
            // A job that was stopped leaves none behind it.
            if watch.is_over() {
                return Err(ScriptError::timeout(limits.timeout));
            }
            let message =
                "waits for a promise that nothing will keep; there are no timers and no calls here";
            return Err(ScriptError::new(ScriptCode::Error, message));
        }
    }
    match promise.result::<Js<'js>>() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(thrown::error(ctx, error, limits, watch.tripped.get())),
        None => Err(ScriptError::timeout(limits.timeout)),
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").field("limits", &self.limits).field("spent", &self.spent).finish()
    }
}
