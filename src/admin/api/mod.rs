//! The resources of the API, one file each: views, handlers, documentation.
//!
//! A new endpoint is a handler with `#[utoipa::path]` in its resource's file and its name in [`routes()`];
//! then `UPDATE=1 cargo test openapi` writes it into `openapi/admin.json`. Handlers take parameters through
//! `extract`, make one call into `store` or `queue`, and answer a view; they never check tokens.

pub mod admin_actions;
pub mod alerts;
pub mod announcements;
pub mod bulk_operations;
pub mod dead_groups;
pub mod destination_pauses;
pub mod destinations;
pub mod event_replays;
pub mod events;
pub mod exports;
pub mod job_changes;
pub mod jobs;
pub mod order_views;
pub mod orders;
pub mod queues;
pub mod reconciliations;
pub mod rejections;
pub mod replays;
pub mod schedules;
pub mod series;
pub mod settings;
pub mod shopee;
pub mod shops;
pub mod sources;
pub mod stats;
pub mod subscriptions;
pub mod trials;
pub mod workers;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;

/// Everything under `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(stats::get_stats))
        .routes(routes!(series::get_series))
        .routes(routes!(events::list_events))
        .routes(routes!(events::get_event))
        .routes(routes!(events::unmask_event))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(job_changes::retry_job))
        .routes(routes!(job_changes::cancel_job))
        .routes(routes!(job_changes::delete_job))
        .routes(routes!(dead_groups::list_dead_groups))
        .routes(routes!(bulk_operations::list_bulk_operations))
        .routes(routes!(bulk_operations::start_bulk_operation))
        .routes(routes!(bulk_operations::get_bulk_operation))
        .routes(routes!(bulk_operations::cancel_bulk_operation))
        .routes(routes!(replays::list_replays))
        .routes(routes!(replays::start_replay))
        .routes(routes!(replays::get_replay))
        .routes(routes!(replays::cancel_replay))
        .routes(routes!(event_replays::replay_event))
        .routes(routes!(orders::list_orders))
        .routes(routes!(orders::get_order))
        .routes(routes!(orders::unmask_order))
        .routes(routes!(exports::get_export, exports::export_orders))
        .routes(routes!(workers::list_workers))
        .routes(routes!(admin_actions::list_admin_actions))
        .routes(routes!(queues::list_queues))
        .routes(routes!(queues::pause_queue))
        .routes(routes!(queues::resume_queue))
        .routes(routes!(sources::list_sources))
        .routes(routes!(subscriptions::list_subscriptions))
        .routes(routes!(subscriptions::create_subscription))
        .routes(routes!(subscriptions::ensure_subscriptions))
        .routes(routes!(rejections::list_rejections))
        .routes(routes!(rejections::get_rejection))
        .routes(routes!(rejections::accept_rejection))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(schedules::list_schedules))
        .routes(routes!(schedules::get_schedule))
        .routes(routes!(schedules::run_schedule))
        .routes(routes!(schedules::pause_schedule))
        .routes(routes!(schedules::resume_schedule))
        .merge(outside())
}

/// What is about those outside: whose orders they are, and where effects go.
fn outside() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(shops::list_shops))
        .routes(routes!(shops::get_shop))
        .routes(routes!(shops::make_authorization_link))
        .routes(routes!(shops::exchange_code))
        .routes(routes!(shops::refresh_shop))
        .routes(routes!(shops::disable_shop))
        .routes(routes!(shops::enable_shop))
        .routes(routes!(shopee::get_push_config))
        .routes(routes!(shopee::set_push_config))
        .routes(routes!(reconciliations::list_reconciliations))
        .routes(routes!(reconciliations::get_reconciliation))
        .routes(routes!(reconciliations::start_reconciliation))
        .routes(routes!(destinations::list_destinations))
        .routes(routes!(destinations::reset_destination))
        .routes(routes!(destination_pauses::pause_destination))
        .routes(routes!(destination_pauses::resume_destination))
        .routes(routes!(destinations::list_deliveries))
        .routes(routes!(announcements::list_announcements))
        .merge(setting_routes())
}

/// What is set, and trying it out.
fn setting_routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(settings::get_settings, settings::change_settings))
        .routes(routes!(trials::try_message))
        .routes(routes!(trials::try_row))
        .routes(routes!(trials::try_push))
}
