//! A column gets another name: formulas follow, or refuse.

use paceline_script::Formula;
use proptest::prelude::*;

fn renamed(source: &str) -> Result<String, String> {
    let new = |name: &str| (name == "city").then(|| "town".to_owned());
    Formula::renamed(source, &new).map_err(|error| error.to_string())
}

#[test]
fn names_follow_and_fields_texts_and_comments_stay() {
    for (source, expected) in [
        ("city", "town"),
        ("city.city['city'] // city", "town.city['city'] // city"),
        ("`${city} city`", "`${town} city`"),
        ("{ city: city }", "{ city: town }"),
        ("f({city, a})", "f({city: town, a})"),
        ("f(city, a)", "f(town, a)"),
        ("[a, city]", "[a, town]"),
        ("a ? city : b", "a ? town : b"),
        ("a ? b : city", "a ? b : town"),
        ("/city/.test(city)", "/city/.test(town)"),
        ("cities.map((city) => city.x)", "cities.map((town) => town.x)"),
        ("const {city} = a; return city", "const {city: town} = a; return town"),
        ("velocity", "velocity"),
        ("...city", "...town"),
    ] {
        assert_eq!(renamed(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn where_it_cannot_be_known_the_rename_is_refused() {
    for source in
        ["town + city", "x => { const town = 1; return city }", "({ city() { return 1 } })"]
    {
        assert!(renamed(source).is_err(), "{source}");
    }
    let reserved = |_: &str| Some("class".to_owned());
    assert!(Formula::renamed("city", &reserved).is_err());
}

proptest! {
    #[test]
    fn a_rename_and_its_way_back_give_the_same_names(words in prop::collection::vec(
        prop::sample::select(vec!["city", "+", "(", ")", "'city'", "a", ".", ",", "?", ":", "[", "]", "/", " ", "`", "1"]), 0..20,
    )) {
        let source = words.join(" ");
        if let Ok(there) = renamed(&source) {
            let back = Formula::renamed(&there, &|name| (name == "town").then(|| "city".to_owned())).unwrap();
            prop_assert_eq!(back, source);
        }
    }
}
