//! The nearest airport against a search through all of them.

use paceline_lab::{AIRPORTS_CSV, Airport, Airports, Position};
use proptest::prelude::*;

/// The nearest by looking at every one, with the distance of another formula than the one under test.
fn by_brute_force(airports: &[Airport], from: Position) -> Option<&Airport> {
    let chord = |airport: &Airport| {
        let point = |position: Position| {
            let (lat, lon) = (position.latitude().to_radians(), position.longitude().to_radians());
            [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
        };
        let (a, b) = (point(airport.position), point(from));
        (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>()
    };
    let elsewhere = airports.iter().filter(|airport| airport.position != from);
    // `min_by` keeps the first of equals.
    elsewhere.min_by(|a, b| chord(a).total_cmp(&chord(b)))
}

fn airport(iata: &str, lat: f64, lon: f64) -> Airport {
    Airport {
        iata: iata.to_owned(),
        name: String::new(),
        city: String::new(),
        state: String::new(),
        country: String::new(),
        position: Position::new(lat, lon).unwrap(),
    }
}

#[test]
fn every_row_of_the_file_is_an_airport() {
    let airports = Airports::all().as_slice();
    assert_eq!(airports.len(), 3376);
    assert_eq!(AIRPORTS_CSV.lines().count(), 3377);
    let quoted = airports.iter().find(|airport| airport.iata == "35A").unwrap();
    assert_eq!(quoted.name, "Union County, Troy Shelton");
    assert_eq!(quoted.position, Position::new(34.68680111, -81.64121167).unwrap());
}

#[test]
fn every_airport_finds_its_neighbour() {
    let airports = Airports::all();
    for airport in airports.as_slice().iter().step_by(7) {
        let found = airports.nearest_other(airport.position).unwrap();
        let expected = by_brute_force(airports.as_slice(), airport.position).unwrap();
        assert_eq!(found.airport.iata, expected.iata, "from {}", airport.iata);
        let exact = airport.position.distance_km(expected.position);
        assert!((found.distance_km - exact).abs() <= 0.000_5);
    }
}

#[test]
fn an_airport_at_the_same_place_does_not_count_and_of_equals_the_first_does() {
    let here = Position::new(10.0, 10.0).unwrap();
    let none = Airports::new(vec![airport("A", 10.0, 10.0), airport("B", 10.0, 10.0)]);
    assert!(none.nearest_other(here).is_none());
    assert!(Airports::new(Vec::new()).nearest_other(here).is_none());
    let twins = Airports::new(vec![
        airport("A", 10.0, 10.0),
        airport("B", 0.0, 10.0),
        airport("C", 20.0, 10.0),
        airport("D", 20.0, 10.0),
    ]);
    let north = twins.nearest_other(Position::new(19.0, 10.0).unwrap()).unwrap();
    assert_eq!((north.airport.iata.as_str(), north.bearing_deg), ("C", 0.0));
    // Across the equator only one axis differs: the twins lie exactly on the edge of what may be skipped.
    for twins in 2..9 {
        for lat in [5.0, -5.0] {
            let mirrored = (0..twins).map(|n| airport(&n.to_string(), -lat, 0.0)).collect();
            let mirrored = Airports::new(mirrored);
            let across = mirrored.nearest_other(Position::new(lat, 0.0).unwrap()).unwrap();
            assert_eq!(across.airport.iata, "0", "of {twins} twins");
        }
    }
}

proptest! {
    #[test]
    fn the_tree_finds_what_brute_force_finds(
        lat in -90.0..=90.0_f64,
        lon in -180.0..=180.0_f64,
        points in prop::collection::vec((-90..=90_i32, -180..=180_i32), 1..40),
    ) {
        let from = Position::new(lat, lon).unwrap();
        let all = Airports::all();
        let nearest = all.nearest_other(from).unwrap();
        prop_assert_eq!(Some(nearest.airport), by_brute_force(all.as_slice(), from));
        prop_assert!((0.0..360.0).contains(&nearest.bearing_deg));
        // Whole degrees make twins and neighbours as near as each other likely.
        let points = points.iter().enumerate();
        let few = Airports::new(
            points.map(|(n, p)| airport(&n.to_string(), f64::from(p.0), f64::from(p.1))).collect(),
        );
        let from = Position::new(lat.round(), lon.round()).unwrap();
        let found = few.nearest_other(from).map(|nearest| nearest.airport);
        prop_assert_eq!(found, by_brute_force(few.as_slice(), from));
    }
}
