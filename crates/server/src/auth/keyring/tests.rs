//! Keys that end, the writing of their use, and strangers at the door.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_store::SqliteStore;

use super::*;
use crate::auth::access::Shown;
use crate::auth::caller::Face;

fn ring(clock: &Clock) -> (Arc<KeyRing>, Arc<dyn Store>) {
    let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let operator = ApiKeys::from_key("operator").unwrap();
    (Arc::new(KeyRing::new(Arc::clone(&store), clock.clone(), operator)), store)
}

async fn made(ring: &KeyRing, expires_at: Option<Timestamp>) -> (String, KeyId) {
    let random = Random::seeded(1);
    let (key, made) =
        ring.create(&random, "k".to_owned(), KeyScope::Read, expires_at).await.unwrap();
    (key, KeyId::Made(made.id))
}

#[test]
fn whoever_waits_for_the_end_of_a_key_is_told_when_it_is_revoked() {
    SimClock::new().run(async |clock| {
        let (ring, _) = ring(&clock);
        let (_, key) = made(&ring, None).await;
        assert!(ring.is_live(key));
        let waiting = Arc::clone(&ring);
        let waiting = tokio::spawn(async move { waiting.gone(key).await });
        clock.sleep(Duration::from_secs(3_600)).await;
        assert!(!waiting.is_finished());
        let before = clock.now();
        ring.revoke(key.number()).await.unwrap().unwrap();
        waiting.await.unwrap();
        assert_eq!((clock.now(), ring.is_live(key)), (before, false));
    });
}

#[test]
fn whoever_waits_for_the_end_of_a_key_is_told_when_it_expires() {
    SimClock::new().run(async |clock| {
        let (ring, _) = ring(&clock);
        let hour = Duration::from_secs(3_600);
        let at = Timestamp::from_micros(clock.wall().as_micros() + 3_600_000_000);
        let (_, key) = made(&ring, Some(at)).await;
        let began = clock.now();
        ring.gone(key).await;
        assert_eq!(clock.now() - began, hour);
        assert!(ring.is_live(KeyId::Operator(0)));
    });
}

#[test]
fn the_use_of_a_key_is_written_once_a_minute_at_the_most() {
    SimClock::new().run(async |clock| {
        let (ring, store) = ring(&clock);
        let (key, id) = made(&ring, None).await;
        for _ in 0..100 {
            ring.holder(&key).await.unwrap().unwrap();
            clock.sleep(Duration::from_secs(1)).await;
        }
        let item = store.item(KIND, id.number()).await.unwrap().unwrap();
        assert_eq!(item.version, 3, "at once, and a minute later");
        let used = ring.all().await.unwrap()[0].last_used_at().unwrap();
        assert_eq!(clock.wall().since(used), Duration::from_secs(1), "it is known to the second");
    });
}

#[test]
fn strangers_of_one_address_are_answered_up_to_a_limit_and_holders_of_a_key_are_not_held_back() {
    SimClock::new().run(async |clock| {
        let (_, store) = ring(&clock);
        let config = paceline_engine::EngineConfig::default();
        let random = Random::seeded(1);
        let parts = crate::AppParts {
            engine: paceline_engine::Engine::new(store, clock.clone(), random.clone(), config),
            clock: clock.clone(),
            random,
            keys: ApiKeys::from_key("operator").unwrap(),
            config: crate::ServerConfig::default(),
            dir: None,
        };
        let access = crate::App::new(parts).access;
        let tries = paceline_model::limits::STRANGER_TRIES_MAX;
        let enter = async |key, address: &str| {
            let address = address.parse().ok();
            let entered = access.enter(Shown::Key(key), address, Face::WebSocket, "a test").await;
            entered.map_err(|refused| refused.error.0.code.as_str())
        };
        for _ in 0..tries {
            assert_eq!(enter("wrong", "2001:db8::1").await.unwrap_err(), "UNAUTHORIZED");
        }
        assert_eq!(enter("wrong", "2001:db8::2").await.unwrap_err(), "RATE_LIMITED", "one network");
        assert_eq!(enter("wrong", "2001:db8:0:1::1").await.unwrap_err(), "UNAUTHORIZED");
        assert!(enter("operator", "2001:db8::1").await.is_ok());
        clock.sleep(Duration::from_secs(61)).await;
        assert_eq!(enter("wrong", "2001:db8::1").await.unwrap_err(), "UNAUTHORIZED");
    });
}
