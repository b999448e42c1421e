// EndpointEvents: what happened to each endpoint, for people: kept in the store, bounded.
//
// On the control thread; the store blocks. An event that cannot be written is only logged: it must
// not stop what it tells of.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

inline constexpr int kEventsMax = 300;  // Of one endpoint; the oldest go first.

class EndpointEvents {
 public:
  // `store` is borrowed and outlives this.
  explicit EndpointEvents(store::Store& store) : store_(store) {}

  // `kind`: one word: created, update, ready, failed, replica, scaled, capacity, deleted.
  void Add(const store::EventRecord& event);
  // Newest first.
  Result<boost::json::object> List(const std::string& endpoint_id);
  void Forget(const std::string& endpoint_id);

 private:
  store::Store& store_;
};

}  // namespace penstock::control
