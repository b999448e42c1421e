// LoadSource: what was asked of each pool, from the gateway to the autoscaler.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "policy/pool_load.h"

namespace penstock::control {

// Answers the load of the pool with this id (EntityRoute::pool in the routing table) over all I/O
// threads. Called on the control thread, about once a second for each pool, so it must not wait for
// anybody. nullopt: nothing is known of it; the autoscaler then holds what is there.
using LoadSource = std::function<std::optional<policy::PoolLoad>(const std::string& pool)>;

}  // namespace penstock::control
