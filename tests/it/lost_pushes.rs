//! Pushes that never stay lost: whatever happens to whoever fetches them.

use std::sync::Arc;
use std::time::Duration;

use pushbox::clients::shopee::ShopeeClient;
use pushbox::clock;
use pushbox::queue::{Plan, Waker};
use pushbox::schedule::Task;
use pushbox::schedule::lost_pushes::LostPushes;
use pushbox::simulator::{Action, Fault, Service, Simulator, SimulatorOptions};
use sqlx::PgPool;

use crate::support::app::{PARTNER, SHOP, config, simulated_world, status_push};
use crate::support::crash::{Moment, dies_at};
use crate::support::database::{TestDatabase, database};

const AT: i64 = 1_790_000_200;

struct World {
    simulator: Simulator,
    database: TestDatabase,
    client: Arc<ShopeeClient>,
    lost: usize,
}

impl World {
    async fn new() -> Self {
        let simulator = simulated_world(SimulatorOptions::default()).await;
        let database = database().await;
        let config = config(&simulator, &database.url);
        let client = Arc::new(ShopeeClient::new(&config.shopee, clock::system()).expect("a client"));
        Self { simulator, database, client, lost: 0 }
    }

    fn drain(&self, pool: PgPool) -> LostPushes {
        LostPushes {
            pool,
            client: self.client.clone(),
            clock: clock::system(),
            plan: Plan::default(),
            waker: Waker::default(),
            every: Duration::from_mins(15),
        }
    }

    /// Pages full of pushes, with what cannot be read and what Postgres cannot hold as JSON among them.
    fn lose(&mut self, pushes: usize) {
        for n in 0..pushes {
            let body = match n % 50 {
                7 => format!("not JSON, number {}", self.lost),
                8 => {
                    format!(r#"{{"code":99,"shop_id":{SHOP},"data":{{"n":{},"zero":"\u0000"}}}}"#, self.lost)
                }
                9 => {
                    format!(r#"{{"code":99,"shop_id":{SHOP},"data":{{"n":{},"huge":1e999999}}}}"#, self.lost)
                }
                _ => status_push(&format!("L{}", self.lost), "READY_TO_SHIP", AT).to_string(),
            };
            self.simulator.lose_push(PARTNER, Some(SHOP), 3, &body);
            self.lost += 1;
        }
    }

    async fn stored(&self) -> usize {
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM pushbox.events")
            .fetch_one(&self.database.pool)
            .await
            .expect("events");
        usize::try_from(events).expect("a count")
    }
}

#[tokio::test]
async fn a_drain_that_dies_anywhere_loses_nothing_and_stores_nothing_twice() {
    let mut world = World::new().await;
    for moment in [Moment::Asleep, Moment::Woken] {
        let mut points = 0;
        for n in 1.. {
            world.lose(120);
            let pool = world.database.lone_pool().await;
            let ended = dies_at(n, moment, world.drain(pool.clone()).run()).await;
            world.database.bury(pool).await;
            let (left, stored) = (world.simulator.lost_pushes(), world.stored().await);
            assert!(left + stored >= world.lost, "{moment:?} {n}: confirmed what was not committed");
            world.drain(world.database.pool.clone()).run().await.expect("the run after");
            assert_eq!(world.simulator.lost_pushes(), 0, "{moment:?} {n}");
            assert_eq!(world.stored().await, world.lost, "{moment:?} {n}: each once");
            if ended.is_some() {
                points = n;
                break;
            }
        }
        assert!(points >= 4, "{moment:?}: {points} points");
    }
}

#[tokio::test]
async fn faults_of_the_lost_queue_confirm_nothing_and_are_made_up_for() {
    let mut world = World::new().await;
    for (call, times) in [("get_lost_push_message", 0), ("confirm_consumed_lost_push_message", 1)] {
        for action in [
            Action::Html(502),
            Action::Cut,
            Action::Hang(Duration::from_millis(200)),
            Action::RetryAfter(1),
            Action::ShopeeError { error: "error_server".into(), message: "Something wrong".into() },
        ] {
            world.lose(30);
            world.simulator.script(Fault::once(Service::Shopee, call, action.clone()));
            let drain = world.drain(world.database.pool.clone());
            drain.run().await.expect_err("a failure is told");
            assert_eq!(world.simulator.lost_pushes(), 30, "{call} {action:?}");
            assert_eq!(world.stored().await, world.lost - 30 * (1 - times), "{call} {action:?}");
            drain.run().await.expect("the run after");
            assert_eq!((world.simulator.lost_pushes(), world.stored().await), (0, world.lost));
        }
    }
    let asked = |world: &World, call: &str| -> u64 {
        world
            .simulator
            .read(|world| world.calls.iter().filter(|one| one.0.contains(call)).map(|one| *one.1).sum())
    };
    let confirmed = asked(&world, "confirm_consumed");
    world.drain(world.database.pool.clone()).run().await.expect("a run");
    assert_eq!(asked(&world, "confirm_consumed"), confirmed, "an empty page is not confirmed");
}
