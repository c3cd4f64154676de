//! Writes `docs/configuration.md` from the table.

use std::fmt::Write;

use super::table::{ALIASES, UNSERVED, VARIABLES};
use super::variable::{Fallback, Section};

const HEAD: &str = "\
# Configuration of the broker

Every setting is an environment variable, and most have a flag of `kafscale broker` with the same meaning; the flag
wins. An empty value counts as not set. A value that is not allowed stops the start with a message that names it, and so
do settings that contradict each other. Keys of the store have no flag, because command lines are visible to other users.

This page is written from the table in `kafscale-server/src/config/table.rs`; a test keeps them equal.
";

const TAIL: &str = "\
## Known names that this version does not serve

The Go implementation's brokers know these variables. Those whose value would change what the broker does stop the
start, so that nobody believes to have what is not there.

| variable | asks for |
|---|---|
";

/// The whole of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for section in Section::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| variable | flag | default | allowed | meaning |\n|---|---|---|---|---|\n",
            section.title()
        );
        for variable in VARIABLES.iter().filter(|variable| variable.section == *section) {
            let flag = variable.flag.map_or("–".to_owned(), |flag| format!("`--{flag}`"));
            let default = match variable.fallback {
                Fallback::Value(value) => format!("`{value}`"),
                Fallback::Unset(words) | Fallback::Derived(words) => words.to_owned(),
            };
            let mut meaning = variable.meaning.to_owned();
            for (alias, _) in ALIASES.iter().filter(|(_, name)| *name == variable.name) {
                let _ = write!(meaning, " `{alias}` is an older name of it.");
            }
            let _ = writeln!(
                page,
                "| `{}` | {flag} | {default} | {} | {meaning} |",
                variable.name, variable.kind
            );
        }
    }
    page.push('\n');
    page.push_str(TAIL);
    for (name, _, asks_for) in UNSERVED {
        let _ = writeln!(page, "| `{name}` | {asks_for} |");
    }
    page
}
