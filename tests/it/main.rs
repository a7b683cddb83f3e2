//! Everything that needs more than one module: structure, a real Postgres, and flows over HTTP.

mod admin;
mod alerts;
mod audit;
mod audits;
mod bell;
mod cli;
mod demo;
mod destinations;
mod flow;
mod forward;
mod generated;
mod layers;
mod listener;
mod metrics;
mod migrations;
mod notify;
mod openapi;
mod postgres;
mod queue;
mod receiver;
mod replay;
mod schedules;
mod sheet;
mod support;
mod tidy;
