//! The matrix in markdown: a summary, then one table per set of limits and law of latency.

use std::fmt;

use crate::Failure;
use crate::delays::{LAWS, RUNS};
use crate::judge::{Cell, Client, Course};
use crate::ours;
use crate::sets;
use crate::trace::{self, Trace};
use crate::zoo::KINDS;

/// One line of every table.
struct Row {
    name: String,
    how: String,
    version: String,
    is_ours: bool,
    /// By set of limits, then law of latency, then policy.
    cells: Vec<Vec<Vec<Cell>>>,
}

/// Rows that say the same; never empty.
struct Group {
    rows: Vec<Row>,
    texts: Vec<String>,
}

impl Group {
    fn name(&self) -> String {
        self.rows.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn cells(&self) -> &[Vec<Vec<Cell>>] {
        self.rows.first().map_or(&[], |row| &row.cells)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {:.3}", short(self.refused), self.ratio)
    }
}

pub(crate) fn print_matrix(files: &[&str]) -> Result<(), Failure> {
    let courses: Vec<Course> =
        sets::all()?.into_iter().map(Course::new).collect::<Result<_, Failure>>()?;
    let mut rows = peers(&trace::read(files)?, &courses)?;
    for (name, ours) in ours::ALL {
        let judge = |course: &Course| course.judge(&Client::Ours(ours));
        rows.push(Row {
            name: format!("ours: {name}"),
            how: "driven with answers".to_owned(),
            version: "this tree".to_owned(),
            is_ours: true,
            cells: courses.iter().map(judge).collect::<Result<_, _>>()?,
        });
    }
    let groups = merged(rows);
    print_summary(&groups, &courses);
    for (number, course) in courses.iter().enumerate() {
        for (law, (_, network)) in LAWS.iter().enumerate() {
            println!("### {}, {network}\n", course.set);
            print_cells(&groups, course, |group| &group.cells()[number][law]);
        }
    }
    print_how(&groups);
    Ok(())
}

/// The traces of one peer under every set of limits, judged. A peer that lacks one is left out.
fn peers(traces: &[Trace], courses: &[Course]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for first in traces.iter().filter(|trace| trace.set == 0) {
        let of_set = |set: usize| traces.iter().find(|t| t.set == set && t.peer == first.peer);
        let mut cells = Vec::new();
        for (set, course) in courses.iter().enumerate() {
            match of_set(set) {
                Some(trace) if trace.sent_ns.len() == course.set.calls => {
                    cells.push(course.judge(&Client::Trace(&trace.sent_ns))?);
                }
                _ => {
                    return Err(format!("{}: no whole trace for {}", first.peer, course.set).into());
                }
            }
        }
        let Trace { peer, how, version, .. } = first.clone();
        rows.push(Row { name: peer, how, version, is_ours: false, cells });
    }
    Ok(rows)
}

/// Clients whose every cell reads the same stand in one row.
fn merged(rows: Vec<Row>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let texts: Vec<String> =
            row.cells.iter().flatten().flatten().map(Cell::to_string).collect();
        match groups.iter_mut().find(|group| group.texts == texts) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row], texts }),
        }
    }
    groups
}

/// Share of the calls that one cell refuses, in percent.
fn percent(cell: &Cell, course: &Course) -> f64 {
    100.0 * cell.refused / course.set.calls as f64
}

fn print_summary(groups: &[Group], courses: &[Course]) {
    println!("### Worst cells\n");
    println!(
        "Percent of the calls answered 429 in the worst cell of the tables below, and the largest ratio of a cell."
    );
    println!(
        "A client that never lets more than a limit into any window (property S) is accepted by all policies but \
         `counter` and `bucket L/4`.\n"
    );
    println!("| client | worst % where S is accepted | worst % of all | largest ratio |");
    println!("|---|--:|--:|--:|");
    for group in groups {
        let of_course = |(of_set, course): (&Vec<Vec<Cell>>, &Course)| {
            of_set
                .iter()
                .flat_map(|cells| cells.iter().zip(&KINDS))
                .map(|(cell, kind)| (percent(cell, course), kind.accepts_s, cell.ratio))
                .collect::<Vec<_>>()
        };
        let all: Vec<(f64, bool, f64)> =
            group.cells().iter().zip(courses).flat_map(of_course).collect();
        let worst =
            |share: &dyn Fn(&(f64, bool, f64)) -> f64| all.iter().map(share).fold(0.0, f64::max);
        println!(
            "| {} | {} | {} | {:.3} |",
            group.name(),
            short(worst(&|(percent, accepts_s, _)| if *accepts_s { *percent } else { 0.0 })),
            short(worst(&|(percent, ..)| *percent)),
            worst(&|(.., ratio)| *ratio),
        );
    }
    println!();
}

fn print_cells(groups: &[Group], course: &Course, cells: impl Fn(&Group) -> &[Cell]) {
    let headings: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    println!("| client | {} |", headings.join(" | "));
    println!("|---|{}", "--:|".repeat(KINDS.len()));
    let optima = (0..KINDS.len()).map(|kind| format!("*{:.1}*", course.optimum_s(kind)));
    println!("| *optimum, s* | {} |", optima.collect::<Vec<_>>().join(" | "));
    for group in groups {
        let cells: Vec<String> = cells(group).iter().map(Cell::to_string).collect();
        println!("| {} | {} |", group.name(), cells.join(" | "));
    }
    println!();
}

fn print_how(groups: &[Group]) {
    println!("### How each was asked to hold both windows ({RUNS} runs per cell)\n");
    println!("| client | version | how |\n|---|---|---|");
    for row in groups.iter().flat_map(|group| &group.rows) {
        println!("| {} | {} | {} |", name(row), row.version, row.how);
    }
    println!();
}

fn name(row: &Row) -> String {
    if row.is_ours { format!("**{}**", row.name) } else { row.name.clone() }
}

/// As few digits as tell something.
fn short(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number < 0.05 {
        "<0.1".to_owned()
    } else if number < 99.95 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}
