//! How many requests of each kind were answered how, in each phase of a scenario.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What a request is for, as the table names it.
pub(crate) type Kind = &'static str;

/// The outcome of a request that nobody answered, or not to its end.
pub(crate) const NO_ANSWER: &str = "no answer";

#[derive(Default)]
pub(crate) struct Tally(Mutex<Phases>);

#[derive(Default)]
struct Phases {
    names: Vec<String>,
    /// How long each answer took, by phase, kind and outcome.
    answers: BTreeMap<(usize, Kind, String), Vec<Duration>>,
    /// Requests that no node fulfilled, by phase and kind.
    failed: BTreeMap<(usize, Kind), usize>,
}

impl Tally {
    /// Answers that come from now on belong to another phase.
    pub(crate) fn begin(&self, phase: &str) {
        self.lock().names.push(phase.to_owned());
    }

    pub(crate) fn note(&self, kind: Kind, outcome: &str, took: Duration) {
        let mut phases = self.lock();
        let phase = phases.names.len() - 1;
        phases.answers.entry((phase, kind, outcome.to_owned())).or_default().push(took);
    }

    /// A request that its caller gave up, whatever the nodes had answered.
    pub(crate) fn note_failed(&self, kind: Kind) {
        let mut phases = self.lock();
        let phase = phases.names.len() - 1;
        *phases.failed.entry((phase, kind)).or_default() += 1;
    }

    /// How often the current phase had this outcome.
    pub(crate) fn count(&self, kind: Kind, outcome: &str) -> usize {
        let phases = self.lock();
        let key = (phases.names.len() - 1, kind, outcome.to_owned());
        phases.answers.get(&key).map_or(0, Vec::len)
    }

    /// How many requests of a kind the current phase had.
    pub(crate) fn total(&self, kind: Kind) -> usize {
        let phases = self.lock();
        let phase = phases.names.len() - 1;
        let answers = phases.answers.iter().filter(|((of, own, _), _)| *of == phase && *own == kind);
        answers.map(|(_, times)| times.len()).sum()
    }

    /// Outcomes of all phases for which `is_wrong` holds, for a message.
    pub(crate) fn outcomes(&self, is_wrong: impl Fn(Kind, &str, Duration) -> bool) -> Vec<String> {
        let phases = self.lock();
        let mut found = Vec::new();
        for ((phase, kind, outcome), times) in &phases.answers {
            let slowest = times.iter().copied().max().unwrap_or_default();
            if is_wrong(kind, outcome, slowest) {
                found.push(format!("{}: {kind}: {outcome} × {} ({slowest:.2?})", phases.names[*phase], times.len()));
            }
        }
        found
    }

    /// Requests that no node fulfilled.
    pub(crate) fn failed(&self) -> usize {
        self.lock().failed.values().sum()
    }

    /// The table: a line for each phase and kind, with the slowest answer of each outcome.
    pub(crate) fn table(&self) -> String {
        let phases = self.lock();
        let mut table = String::new();
        for (phase, name) in phases.names.iter().enumerate() {
            let _ = writeln!(table, "  {name}");
            let mut last = "";
            for ((of, kind, outcome), times) in &phases.answers {
                if *of != phase {
                    continue;
                }
                if *kind != last {
                    let end = if last.is_empty() { "" } else { "\n" };
                    let _ = write!(table, "{end}    {kind:26}");
                    last = kind;
                } else {
                    table.push_str(", ");
                }
                let _ = write!(table, "{outcome} × {} ({})", times.len(), spread(times));
            }
            table.push('\n');
            for ((_, kind), count) in phases.failed.iter().filter(|((of, _), _)| *of == phase) {
                let _ = writeln!(table, "    not fulfilled: {kind} × {count}");
            }
        }
        table
    }

    fn lock(&self) -> MutexGuard<'_, Phases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The median and the longest.
fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    let [half, longest] = [times[times.len() / 2], times[times.len() - 1]].map(|time| time.as_millis());
    format!("{half}/{longest} ms")
}
