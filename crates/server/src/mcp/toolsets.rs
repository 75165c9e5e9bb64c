//! Toolsets: which operations are tools of their own. A client that asks for none gets those that most work needs; each
//! chapter of the catalogue can be asked for by its name.

use std::str::FromStr;

use crate::catalog::{CATALOGUE, Chapter, Operation};

/// The name that stands for every chapter.
const ALL: &str = "all";

/// The chapters whose operations a client sees beside the default ones.
///
/// ```
/// use paceline_server::Toolsets;
/// assert!("runs, tables".parse::<Toolsets>().is_ok());
/// let error = "runz".parse::<Toolsets>().unwrap_err().to_string();
/// assert!(error.contains("did you mean \"runs\""), "{error}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolsets(Vec<&'static str>);

/// A toolset that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownToolset {
    name: String,
    pub(super) did_you_mean: Option<&'static str>,
}

impl std::fmt::Display for UnknownToolset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no toolset {:?}", self.name)?;
        if let Some(meant) = self.did_you_mean {
            write!(f, "; did you mean {meant:?}?")?;
        }
        let known: Vec<_> = names().collect();
        write!(f, "; the toolsets are {}", known.join(", "))
    }
}

impl std::error::Error for UnknownToolset {}

impl FromStr for Toolsets {
    type Err = UnknownToolset;

    /// Names separated by commas.
    fn from_str(text: &str) -> Result<Self, UnknownToolset> {
        let mut chosen = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Some(known) = names().find(|known| *known == name) else {
                let did_you_mean = paceline_model::suggest(name, names());
                let name = name.chars().take(64).collect();
                return Err(UnknownToolset { name, did_you_mean });
            };
            // Once each, so that a long list of repetitions is not kept.
            if !chosen.contains(&known) {
                chosen.push(known);
            }
        }
        Ok(Self(chosen))
    }
}

impl Toolsets {
    /// Whether an operation of this chapter is a tool of its own.
    pub(super) fn show(&self, chapter: &Chapter, operation: &Operation) -> bool {
        operation.default_tool || self.0.contains(&ALL) || self.0.contains(&chapter.name)
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|chapter| chapter.name).chain([ALL])
}
