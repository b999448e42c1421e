// Groups: names that keys belong to, for rate limits and permissions. See KeyService.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

inline constexpr std::size_t kGroupsMax = 1000;
// What a key carries along on every request.
inline constexpr std::size_t kGroupsOfKeyMax = 20;

// kNotFound.
Status CheckGroup(store::Store& store, const std::string& name);
// kExhausted, with the limit.
Error TooManyGroups(const std::string& key);

}  // namespace penstock::control
