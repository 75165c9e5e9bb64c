//! The help of `paceline api`, from the catalogue.

use paceline_server::{CATALOGUE, Field, Kind, Operation, operations};

/// Every operation, by chapter.
pub(super) fn list() -> String {
    let width = operations().map(|operation| operation.name.len()).max().unwrap_or_default();
    let mut lines =
        vec!["Operations; `paceline api OPERATION --help` tells what one takes.".to_owned()];
    for chapter in CATALOGUE {
        lines.push(format!("\n{}: {}", chapter.name, chapter.about));
        for operation in chapter.operations {
            lines.push(format!("  {:width$}  {}", operation.name, operation.summary));
        }
    }
    lines.join("\n")
}

/// What one operation does and takes.
pub(super) fn of(operation: &Operation) -> String {
    let mut lines = vec![
        operation.summary.to_owned(),
        format!("\n{} {}", operation.verb.as_str(), operation.path),
        format!("needs a key with the scope {}", operation.scope.as_str()),
    ];
    if !operation.fields.is_empty() {
        lines.push("\nFields:".to_owned());
    }
    for field in operation.fields {
        let required = if field.required { "" } else { " (optional)" };
        lines.push(format!(
            "  --{} {}{required}\n        {}",
            field.name,
            placeholder(field),
            field.about
        ));
    }
    lines.join("\n")
}

fn placeholder(field: &Field) -> String {
    match &field.kind {
        Kind::Text { .. } => "TEXT".to_owned(),
        Kind::Whole { min, max } => format!("{min}..{max}"),
        Kind::OneOf(names) => names().join("|"),
        Kind::Names { .. } => "NAME,NAME".to_owned(),
        Kind::Flag => "true|false".to_owned(),
        Kind::Rate => "PRESET|JSON".to_owned(),
        _ => "JSON".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_listed_and_tells_all_its_fields() {
        let listed = list();
        for operation in operations() {
            assert!(listed.contains(operation.name), "{}", operation.name);
            let told = of(operation);
            for field in operation.fields {
                assert!(told.contains(&format!("--{} ", field.name)), "{told}");
            }
        }
    }
}
