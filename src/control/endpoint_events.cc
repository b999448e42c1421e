#include "control/endpoint_events.h"

#include "base/log.h"

namespace penstock::control {

void EndpointEvents::Add(const store::EventRecord& event) {
  if (auto added = store_.AddEvent(event, kEventsMax); !added) {
    Log().warn("event of endpoint {}: {}", event.endpoint_id, added.error().message);
  }
}

Result<boost::json::object> EndpointEvents::List(const std::string& endpoint_id) {
  const auto events = store_.ListEvents(endpoint_id);
  if (!events) return Fail(events.error());
  boost::json::array list;
  for (const store::EventRecord& event : *events) {
    list.push_back({{"timestamp", event.at.time_since_epoch().count()},
                    {"type", event.kind},
                    {"served_entity_name", event.served_entity},
                    {"message", event.message}});
  }
  return boost::json::object{{"events", std::move(list)}};
}

void EndpointEvents::Forget(const std::string& endpoint_id) {
  if (auto done = store_.DeleteEvents(endpoint_id); !done) {
    Log().warn("events of endpoint {}: {}", endpoint_id, done.error().message);
  }
}

}  // namespace penstock::control
