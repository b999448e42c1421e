// KeyService: makes, lists and revokes keys over REST, as Databricks' token API writes them.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

class KeyService {
 public:
  // `store` is borrowed and outlives this. `on_change` is called after each change that is durable.
  KeyService(store::Store& store, std::function<void()> on_change)
      : store_(store), on_change_(std::move(on_change)) {}

  // {"comment": NAME, "role": "user" | "admin"} -> {"token_value", "token_info"}. The secret is
  // never shown again.
  Result<boost::json::object> Create(std::string_view body, WallTime now);
  Result<boost::json::object> List(std::string_view body, WallTime now);
  // {"token_id": NAME}. kNotFound; kConflict for the last admin key.
  Result<boost::json::object> Delete(std::string_view body, WallTime now);

 private:
  store::Store& store_;
  std::function<void()> on_change_;
};

}  // namespace penstock::control
