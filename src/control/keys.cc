#include "control/keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/file.h"
#include "control/names.h"

namespace penstock::control {
namespace {

constexpr std::string_view kAdminRole = "admin";

store::KeyRecord RecordOf(const std::string& secret, const std::string& name, policy::Role role,
                          WallTime now) {
  const policy::KeyHash hash = policy::HashSecret(secret);
  return {.hash = std::string(hash.begin(), hash.end()),
          .name = name,
          .role = std::string(policy::RoleName(role)),
          .created_at = now};
}

std::ptrdiff_t CountAdmins(const std::vector<store::KeyRecord>& keys) {
  return std::ranges::count(keys, kAdminRole, &store::KeyRecord::role);
}

// A name that no key has: "admin", or "admin-2" and so on after all admin keys were deleted by
// hand.
std::string FreeAdminName(const std::vector<store::KeyRecord>& keys) {
  std::string name(kAdminRole);
  for (int number = 2; std::ranges::count(keys, name, &store::KeyRecord::name) > 0; ++number) {
    name = fmt::format("{}-{}", kAdminRole, number);
  }
  return name;
}

}  // namespace

Result<bool> EnsureAdminKey(store::Store& store, const std::string& admin_key_path, WallTime now) {
  const auto keys = store.ListKeys();
  if (!keys) return Fail(keys.error());
  if (CountAdmins(*keys) > 0) return false;
  const std::string secret = policy::NewSecret();
  // The file first: a key in the store whose secret nobody has would lock everybody out.
  if (auto written = WriteFileDurably(admin_key_path, secret + "\n", 0600); !written) {
    return Fail(written.error());
  }
  const auto added =
      store.AddKey(RecordOf(secret, FreeAdminName(*keys), policy::Role::kAdmin, now));
  if (!added) return Fail(added.error());
  return true;
}

Result<policy::KeyTable> LoadKeys(store::Store& store) {
  const auto records = store.ListKeys();
  if (!records) return Fail(records.error());
  std::vector<policy::Key> keys;
  for (const store::KeyRecord& record : *records) {
    const auto role = policy::ParseRole(record.role);
    policy::Key key{.hash = {},
                    .name = record.name,
                    .role = role.value_or(policy::Role::kUser),
                    .groups = record.groups};
    if (!role || record.hash.size() != key.hash.size()) {
      return Fail(Code::kCorrupt, fmt::format("key \"{}\" in the store is damaged", record.name));
    }
    std::ranges::copy(record.hash, key.hash.begin());
    keys.push_back(std::move(key));
  }
  return policy::KeyTable(std::move(keys));
}

Result<std::string> CreateKey(store::Store& store, const std::string& name, policy::Role role,
                              WallTime now) {
  if (auto good = CheckEndpointName(name, "name"); !good) return Fail(good.error());
  const auto keys = store.ListKeys();
  if (!keys) return Fail(keys.error());
  if (keys->size() >= kKeysMax) {
    return Fail(Code::kExhausted,
                fmt::format("there are {} keys, the most there may be", kKeysMax));
  }
  std::string secret = policy::NewSecret();
  const auto added = store.AddKey(RecordOf(secret, name, role, now));
  if (added) return secret;
  if (added.error().code != Code::kAlreadyExists) return Fail(added.error());
  return Fail(Code::kAlreadyExists, fmt::format("a key named \"{}\" exists already", name), "name");
}

Status DeleteKey(store::Store& store, const std::string& name) {
  const auto keys = store.ListKeys();
  if (!keys) return Fail(keys.error());
  const auto found = std::ranges::find(*keys, name, &store::KeyRecord::name);
  if (found != keys->end() && found->role == kAdminRole && CountAdmins(*keys) == 1) {
    return Fail(Code::kConflict, fmt::format("\"{}\" is the last admin key", name), "name");
  }
  return store.DeleteKey(name);
}

}  // namespace penstock::control
