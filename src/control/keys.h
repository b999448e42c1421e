// Keys: who may call, kept as hashes in the store; and the first admin key, made at first start.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "policy/key_table.h"
#include "store/store.h"

namespace penstock::control {

inline constexpr std::size_t kKeysMax = 10'000;

// Where the store has no admin key, makes one and writes the secret to `admin_key_path` (mode
// 0600). Both are durable on return. True when one was made. A secret that was written before a
// crash but never reached the store is replaced.
Result<bool> EnsureAdminKey(store::Store& store, const std::string& admin_key_path, WallTime now);

// All keys, for the request threads.
Result<policy::KeyTable> LoadKeys(store::Store& store);

// Adds a key and answers its secret, which is never shown again. `name`: as endpoints' names.
// Errors: kInvalidArgument, kAlreadyExists, kExhausted (too many).
Result<std::string> CreateKey(store::Store& store, const std::string& name, policy::Role role,
                              WallTime now);

// kNotFound; kConflict for the last admin key, without which nobody could make another.
Status DeleteKey(store::Store& store, const std::string& name);

}  // namespace penstock::control
