//! The real work of the lab's vendor: which airport is nearest, how far, and in which direction.

mod sphere;
mod tree;

use std::sync::OnceLock;

use serde::Serialize;

pub use sphere::{EARTH_RADIUS_KM, Position};

use tree::Tree;

/// The airports the lab knows, with a header line: `iata,name,city,state,country,latitude,longitude`.
pub const AIRPORTS_CSV: &str = include_str!("../../data/airports.csv");

/// One airport.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Airport {
    /// Its code; it has no second.
    pub iata: String,
    /// Its name.
    pub name: String,
    /// The town, as the source writes it.
    pub city: String,
    /// The state's letters, as the source writes them.
    pub state: String,
    /// The country's name.
    pub country: String,
    /// Where it lies.
    #[serde(flatten)]
    pub position: Position,
}

/// The nearest airport to a position. As JSON it is one flat object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Nearest<'a> {
    /// Which one it is.
    #[serde(flatten)]
    pub airport: &'a Airport,
    /// The great-circle distance, to the metre.
    pub distance_km: f64,
    /// The direction to set out in, clockwise from north, to a tenth of a degree, below 360.
    pub bearing_deg: f64,
}

/// A set of airports that answers which one is nearest.
///
/// ```
/// use paceline_lab::{Airports, Position};
///
/// let thigpen = Position::new(31.95376472, -89.23450472).ok_or("on Earth")?;
/// let nearest = Airports::all().nearest_other(thigpen).ok_or("some airport")?;
/// assert_eq!((nearest.airport.iata.as_str(), nearest.distance_km), ("LUL", 31.818));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug)]
pub struct Airports {
    airports: Vec<Airport>,
    tree: Tree,
}

impl Airports {
    /// The airports of [`AIRPORTS_CSV`], read once.
    #[must_use]
    pub fn all() -> &'static Self {
        static ALL: OnceLock<Airports> = OnceLock::new();
        ALL.get_or_init(|| Self::new(read_airports()))
    }

    /// A set of these airports.
    #[must_use]
    pub fn new(airports: Vec<Airport>) -> Self {
        let tree = Tree::new(airports.iter().map(|airport| airport.position.unit_vector()));
        Self { airports, tree }
    }

    /// The airports, in the order of the source.
    #[must_use]
    pub fn as_slice(&self) -> &[Airport] {
        &self.airports
    }

    /// The airport nearest to `from`, of those that do not lie exactly there; the earlier one of two as near.
    #[must_use]
    pub fn nearest_other(&self, from: Position) -> Option<Nearest<'_>> {
        let elsewhere = |place: usize| self.airports[place].position != from;
        let place = self.tree.nearest(from.unit_vector(), elsewhere)?;
        let airport = &self.airports[place];
        Some(Nearest {
            airport,
            distance_km: (from.distance_km(airport.position) * 1e3).round() / 1e3,
            bearing_deg: (from.bearing_deg(airport.position) * 10.0).round() / 10.0 % 360.0,
        })
    }
}

#[expect(
    clippy::expect_used,
    reason = "the file is part of the program and a test reads all of it"
)]
fn read_airports() -> Vec<Airport> {
    let mut reader = csv::Reader::from_reader(AIRPORTS_CSV.as_bytes());
    reader
        .records()
        .map(|record| {
            let record = record.expect("a row of seven fields");
            let text = |field: usize| record.get(field).unwrap_or_default().to_owned();
            let degrees = |field: usize| text(field).parse().unwrap_or(f64::NAN);
            Airport {
                iata: text(0),
                name: text(1),
                city: text(2),
                state: text(3),
                country: text(4),
                position: Position::new(degrees(5), degrees(6)).expect("a position on Earth"),
            }
        })
        .collect()
}
