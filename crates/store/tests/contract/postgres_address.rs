//! What an address leads to on PostgreSQL: somebody else's schema, a server that cannot keep our data, TLS, a wrong password.

use paceline_clock::{Clock, SimClock};
use paceline_model::{ColumnType, Error, NewTable, Value};
use paceline_store::{Access, PostgresStore};

use crate::backends::{Home, open};
use crate::server::{NETWORK_USER, server};
use crate::support::column;

#[test]
fn foreign_and_newer_schemas_are_left_alone() {
    let Some(home) = Home::postgres() else { return };
    let refused = || open(&home.address, Clock::system()).unwrap_err();
    home.shell("CREATE SCHEMA paceline; CREATE TABLE paceline.photos (id int)");
    let error = refused();
    assert!(matches!(&error, Error::Conflict(text) if text.contains("another program")), "{error}");
    home.shell("DROP SCHEMA paceline CASCADE");
    home.open(Clock::system());
    home.shell("INSERT INTO paceline._ht_migrations VALUES (99, 'next', 'x', 0)");
    let error = refused();
    assert!(matches!(&error, Error::Corrupt(text) if text.contains("newer")), "{error}");
    home.shell("DELETE FROM paceline._ht_migrations WHERE number = 99");
    home.shell("UPDATE paceline._ht_migrations SET checksum = 'other' WHERE number = 1");
    let error = refused();
    assert!(matches!(&error, Error::Corrupt(text) if text.contains("0001")), "{error}");
}

#[test]
fn a_user_who_may_not_make_a_schema_works_in_one_that_was_given() {
    let Some(home) = Home::postgres() else { return };
    home.shell("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN");
    let address = home.address.replace("postgres@", "guest@");
    let error = open(&address, Clock::system()).unwrap_err();
    assert!(error.to_string().contains("CREATE SCHEMA paceline"), "{error}");
    home.shell("CREATE SCHEMA paceline AUTHORIZATION guest");
    open(&address, Clock::system()).unwrap();
    home.shell("DROP OWNED BY guest; DROP ROLE guest");
}

#[test]
fn a_database_that_cannot_keep_every_text_is_refused() {
    let Some(home) = Home::postgres() else { return };
    home.shell("DROP DATABASE IF EXISTS latin");
    home.shell(
        "CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    let (rest, _) = home.address.rsplit_once('/').unwrap();
    let error = open(&format!("{rest}/latin"), Clock::system()).unwrap_err();
    assert!(matches!(&error, Error::Conflict(text) if text.contains("UTF8")), "{error}");
}

#[test]
fn a_row_that_is_too_wide_for_a_page_is_refused_with_the_reason() {
    let Some(home) = Home::postgres() else { return };
    SimClock::new().run(|clock| async {
        let store = home.open(clock);
        let columns = (0..600).map(|n| column(&format!("c{n}"), ColumnType::Text));
        let table = NewTable {
            name: "wide".into(),
            description: String::new(),
            columns: columns.collect(),
        };
        let table = store.create_table(table).await.unwrap();
        let ids: Vec<_> = table.columns.iter().map(|column| column.id).collect();
        let row = vec![Value::Text("a text of some length".into()); ids.len()];
        let error = store.insert_rows(table.id, &ids, vec![row]).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("8 kB")), "{error}");
    });
}

/// The address of a new database over the network, with what comes after it.
fn network(host: &str, tail: &str) -> Option<String> {
    let server = server()?;
    let database = server.database();
    Some(format!("postgres://{NETWORK_USER}@{host}:{}/{database}{tail}", server.port))
}

fn authority() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/tls/authority.pem");
    file.replace('/', "%2F")
}

#[test]
fn tls_is_used_when_it_is_asked_for_and_checked_whenever_it_is_used() {
    let authority = authority();
    let given = format!("sslrootcert={authority}");
    let cases = [
        ("localhost", format!("?sslmode=require&{given}"), "t"),
        ("localhost", format!("?sslmode=verify-full&{given}"), "t"),
        ("localhost", format!("?sslmode=prefer&{given}"), "t"),
        ("localhost", "?sslmode=disable".to_owned(), "f"),
        ("localhost", String::new(), "f"),
        // An authority that nobody here trusts, and a name that is not in the certificate.
        ("localhost", "?sslmode=require".to_owned(), "refused"),
        ("localhost", "?sslmode=prefer".to_owned(), "refused"),
        ("127.0.0.1", format!("?sslmode=require&{given}"), "refused"),
    ];
    for (host, tail, wanted) in cases {
        let Some(url) = network(host, &tail) else { return };
        let (_, database) = url.rsplit_once('/').unwrap();
        let database = database.split('?').next().unwrap().to_owned();
        match open(&url, Clock::system()) {
            Ok(_store) => {
                let used = server().unwrap().run(
                    "postgres",
                    &format!(
                        "SELECT DISTINCT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE datname = '{database}' AND application_name = 'paceline'"
                    ),
                );
                assert_eq!(used, [if wanted == "t" { "true" } else { "false" }], "{host}{tail}");
                assert_ne!(wanted, "refused", "{host}{tail}");
            }
            Err(error) => {
                assert_eq!(wanted, "refused", "{host}{tail}: {error}");
                assert!(error.to_string().contains("sslrootcert"), "{error}");
                assert!(!error.to_string().contains("hidden"), "{error}");
            }
        }
    }
}

#[test]
fn no_password_is_in_an_error_or_shown() {
    let Some(url) = network("localhost", "") else { return };
    let store = PostgresStore::open(&url, Clock::system(), Access::Shared).unwrap();
    assert!(!format!("{store:?}").contains("hidden"));
    let wrong = url.replace("hidden", "guessed");
    let nobody = url.replace(&format!(":{}/", server().unwrap().port), ":1/");
    let nowhere = url.replace("/case", "/no_such_case");
    for url in [wrong, nobody, nowhere] {
        let error = open(&url, Clock::system()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Database { .. }), "{text}");
        assert!(!text.contains("hidden") && !text.contains("guessed"), "{text}");
    }
}
