// KeyTable: who may call, as one immutable snapshot that request threads share.
//
// Only hashes are held. The table never sees the database; the control thread builds a new one when
// the keys change.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace penstock::policy {

enum class Role {
  kUser,   // Calls endpoints, reads their state.
  kAdmin,  // Changes endpoints, models and keys as well.
};
std::string_view RoleName(Role role);  // "user", "admin"
Result<Role> ParseRole(std::string_view name);

using KeyHash = std::array<std::uint8_t, 32>;

// SHA-256 of the secret: the only form in which a key is kept. Secrets are random, so no salt and
// no slow hash is needed. Any thread.
KeyHash HashSecret(std::string_view secret);

// Lower-case hex.
std::string Hex(std::span<const std::uint8_t> bytes);

// `size` random bytes from the system's generator, in lower-case hex.
std::string RandomHex(std::size_t size);

// A new secret: "psk_" and 64 hex digits, 256 random bits.
std::string NewSecret();

struct Key {
  KeyHash hash{};
  std::string name;
  Role role = Role::kUser;
  std::vector<std::string> groups = {};  // Whose rate limits count its calls, too.
};

class KeyTable {
 public:
  KeyTable() = default;
  explicit KeyTable(std::vector<Key> keys);

  // nullptr: nobody has this secret. One hash and one look-up; the comparison of the hashes takes
  // the same time wherever they differ. Any thread; the answer lives as long as the table.
  const Key* Find(std::string_view secret) const;

  bool Has(const KeyHash& hash) const { return keys_.contains(hash); }
  std::size_t size() const { return keys_.size(); }
  auto begin() const { return keys_.begin(); }  // Pairs of a hash and its key, in no order.
  auto end() const { return keys_.end(); }

 private:
  struct Hash {
    std::size_t operator()(const KeyHash& hash) const;
  };
  struct EqualInConstantTime {
    bool operator()(const KeyHash& left, const KeyHash& right) const;
  };
  std::unordered_map<KeyHash, Key, Hash, EqualInConstantTime> keys_;
};

}  // namespace penstock::policy
