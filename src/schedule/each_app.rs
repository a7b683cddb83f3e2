//! One task for several apps of Shopee: the same tick, one after the other.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::Task;

/// Runs a task for each app, whatever becomes of the others.
pub struct EachApp<T> {
    first: T,
    /// With their partner ids.
    others: Vec<(i64, T)>,
}

impl<T: Task> EachApp<T> {
    /// `first` is the task of `PARTNER_ID`'s app; its name and its interval are those of all.
    pub fn new(first: T, others: Vec<(i64, T)>) -> Self {
        Self { first, others }
    }
}

#[async_trait]
impl<T: Task> Task for EachApp<T> {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn every(&self) -> Duration {
        self.first.every()
    }

    fn lease(&self) -> Duration {
        self.first.lease()
    }

    fn after_outage(&self) -> bool {
        self.first.after_outage()
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let first = self.first.run().await;
        if self.others.is_empty() {
            return first;
        }
        let mut failures = Vec::new();
        let mut result = first.unwrap_or_else(|error| {
            failures.push(error);
            Value::Object(Map::new())
        });
        let mut others = Map::new();
        for (partner_id, task) in &self.others {
            match task.run().await {
                Ok(done) => {
                    others.insert(partner_id.to_string(), done);
                }
                Err(error) => failures.push(error.context(format!("app {partner_id}"))),
            }
        }
        if !failures.is_empty() {
            let said: Vec<String> = failures.iter().map(|error| format!("{error:#}")).collect();
            anyhow::bail!("{}", said.join("; "));
        }
        result["partners"] = Value::Object(others);
        Ok(result)
    }
}
