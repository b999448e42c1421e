// Store: endpoints' changes and what is remembered of them.
#include <fmt/format.h>

#include <chrono>

#include "store/store.h"

namespace penstock::store {
namespace {

std::int64_t ToMs(WallTime time) { return time.time_since_epoch().count(); }
WallTime FromMs(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

}  // namespace

Status Store::UpdateEndpoint(const EndpointRecord& endpoint) {
  auto update = database_.Prepare(
      "UPDATE endpoint SET definition = ?2, config_version = ?3, update_state = ?4, "
      "update_message = ?5, updated_at_ms = ?6 WHERE id = ?1");
  if (!update) return Fail(update.error());
  update->Bind(1, endpoint.id).Bind(2, endpoint.definition).Bind(3, endpoint.config_version);
  update->Bind(4, endpoint.update_state).Bind(5, endpoint.update_message);
  update->Bind(6, ToMs(endpoint.updated_at));
  return RunOnExisting(*update, fmt::format("endpoint with id {}", endpoint.id));
}

Status Store::AddEvent(const EventRecord& event, int kept_max) {
  auto insert = database_.Prepare(
      "INSERT INTO endpoint_event (endpoint_id, at_ms, kind, served_entity, message) "
      "VALUES (?1, ?2, ?3, ?4, ?5)");
  if (!insert) return Fail(insert.error());
  insert->Bind(1, event.endpoint_id).Bind(2, ToMs(event.at)).Bind(3, event.kind);
  insert->Bind(4, event.served_entity).Bind(5, event.message);
  if (auto inserted = insert->Run(); !inserted) return inserted;
  auto prune = database_.Prepare(
      "DELETE FROM endpoint_event WHERE endpoint_id = ?1 AND number <= (SELECT number FROM "
      "endpoint_event WHERE endpoint_id = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)");
  if (!prune) return Fail(prune.error());
  return prune->Bind(1, event.endpoint_id).Bind(2, std::int64_t{kept_max}).Run();
}

Result<std::vector<EventRecord>> Store::ListEvents(std::string_view endpoint_id) {
  auto query = database_.Prepare(
      "SELECT endpoint_id, at_ms, kind, served_entity, message FROM endpoint_event "
      "WHERE endpoint_id = ?1 ORDER BY number DESC");
  if (!query) return Fail(query.error());
  query->Bind(1, endpoint_id);
  std::vector<EventRecord> events;
  for (;;) {
    auto row = query->Step();
    if (!row) return Fail(row.error());
    if (!*row) return events;
    events.push_back({.endpoint_id = query->Text(0),
                      .at = FromMs(query->Integer(1)),
                      .kind = query->Text(2),
                      .served_entity = query->Text(3),
                      .message = query->Text(4)});
  }
}

Status Store::DeleteEvents(std::string_view endpoint_id) {
  auto statement = database_.Prepare("DELETE FROM endpoint_event WHERE endpoint_id = ?1");
  if (!statement) return Fail(statement.error());
  return statement->Bind(1, endpoint_id).Run();
}

Status Store::PutBillingSpan(const BillingSpanRecord& span) {
  auto put = database_.Prepare(
      "INSERT INTO billing_span (endpoint_id, served_entity, from_ms, until_ms, endpoint, model, "
      "unit, level, replicas) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
      "ON CONFLICT (endpoint_id, served_entity, from_ms) DO UPDATE SET until_ms = "
      "excluded.until_ms");
  if (!put) return Fail(put.error());
  put->Bind(1, span.endpoint_id).Bind(2, span.served_entity).Bind(3, ToMs(span.from));
  put->Bind(4, ToMs(span.until)).Bind(5, span.endpoint).Bind(6, span.model).Bind(7, span.unit);
  return put->Bind(8, span.level).Bind(9, span.replicas).Run();
}

Result<std::vector<BillingSpanRecord>> Store::ListBillingSpans(WallTime from, WallTime until) {
  auto query = database_.Prepare(
      "SELECT endpoint_id, served_entity, from_ms, until_ms, endpoint, model, unit, level, "
      "replicas FROM billing_span WHERE until_ms > ?1 AND from_ms < ?2 "
      "ORDER BY endpoint, served_entity, from_ms");
  if (!query) return Fail(query.error());
  query->Bind(1, ToMs(from)).Bind(2, ToMs(until));
  std::vector<BillingSpanRecord> spans;
  for (;;) {
    auto row = query->Step();
    if (!row) return Fail(row.error());
    if (!*row) return spans;
    spans.push_back({.endpoint_id = query->Text(0),
                     .served_entity = query->Text(1),
                     .from = FromMs(query->Integer(2)),
                     .until = FromMs(query->Integer(3)),
                     .endpoint = query->Text(4),
                     .model = query->Text(5),
                     .unit = query->Text(6),
                     .level = query->Integer(7),
                     .replicas = query->Integer(8)});
  }
}

}  // namespace penstock::store
