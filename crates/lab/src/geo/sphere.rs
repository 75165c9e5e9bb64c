//! Positions on a sphere: distance and direction.

use serde::Serialize;

/// The mean radius of the Earth that distances are computed with.
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// A position on Earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Position {
    latitude: f64,
    longitude: f64,
}

impl Position {
    /// A position; none unless the latitude is in `-90..=90` and the longitude in `-180..=180`.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        on_earth.then_some(Self { latitude, longitude })
    }

    /// Degrees north of the equator.
    #[must_use]
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east of Greenwich.
    #[must_use]
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// The great-circle distance in kilometres.
    #[must_use]
    pub fn distance_km(self, to: Position) -> f64 {
        let (here, there) = (self.latitude.to_radians(), to.latitude.to_radians());
        let half_north = ((there - here) / 2.0).sin();
        let half_east = ((to.longitude - self.longitude).to_radians() / 2.0).sin();
        let haversine = half_north * half_north + here.cos() * there.cos() * half_east * half_east;
        // Rounding may carry antipodes a little above 1.
        2.0 * EARTH_RADIUS_KM * haversine.min(1.0).sqrt().asin()
    }

    /// The direction of the great circle at its start, clockwise from north, in `0.0..360.0`.
    #[must_use]
    pub fn bearing_deg(self, to: Position) -> f64 {
        let (here, there) = (self.latitude.to_radians(), to.latitude.to_radians());
        let east = (to.longitude - self.longitude).to_radians();
        let eastward = east.sin() * there.cos();
        let northward = here.cos() * there.sin() - here.sin() * there.cos() * east.cos();
        // A tiny negative angle rounds up to 360 itself.
        eastward.atan2(northward).to_degrees().rem_euclid(360.0) % 360.0
    }

    /// The same position as a point on the unit sphere; chords there are as long as arcs are far.
    pub(super) fn unit_vector(self) -> [f64; 3] {
        let (latitude, longitude) = (self.latitude.to_radians(), self.longitude.to_radians());
        let across = latitude.cos();
        [across * longitude.cos(), across * longitude.sin(), latitude.sin()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Position {
        Position::new(latitude, longitude).unwrap()
    }

    #[test]
    fn distances_and_bearings_of_known_arcs() {
        let quarter = EARTH_RADIUS_KM * std::f64::consts::FRAC_PI_2;
        let cases = [
            (at(0.0, 0.0), at(0.0, 90.0), quarter, 90.0),
            (at(0.0, 0.0), at(0.0, -90.0), quarter, 270.0),
            (at(0.0, 0.0), at(90.0, 0.0), quarter, 0.0),
            (at(0.0, 0.0), at(-90.0, 0.0), quarter, 180.0),
            (at(0.0, 179.0), at(0.0, -179.0), quarter / 45.0, 90.0),
            (at(0.0, 0.0), at(0.0, 180.0), 2.0 * quarter, 90.0),
            // San Francisco to New York; computed once with the vector formulas instead of these.
            (
                at(37.61900194, -122.3748433),
                at(40.63975111, -73.77892556),
                4_151.777_967,
                69.787_736,
            ),
        ];
        for (from, to, distance_km, bearing_deg) in cases {
            assert!((from.distance_km(to) - distance_km).abs() < 1e-5, "{from:?} {to:?}");
            assert!((from.bearing_deg(to) - bearing_deg).abs() < 1e-5, "{from:?} {to:?}");
        }
    }

    #[test]
    fn refuses_what_is_not_on_earth() {
        for (latitude, longitude) in
            [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)]
        {
            assert_eq!(Position::new(latitude, longitude), None);
        }
    }
}
