// Authorizer: finds the caller's key in a request's head and checks it against the snapshot.
//
// One per I/O thread. Hashing a secret costs more than looking it up, so good secrets are
// remembered until the keys change, at most kRememberedMax of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "http/head.h"
#include "policy/key_table.h"

namespace penstock::gateway {

// Who sent a request, as its key says. Its requests share it.
struct Requester {
  std::string name;
  std::vector<std::string> groups;
  bool admin = false;
  policy::KeyHash key{};
  std::uint64_t keys_version = 0;  // Authorizer::version() when the key was looked up.
};

class Authorizer {
 public:
  static constexpr std::size_t kRememberedMax = 1024;

  // Replaces the keys; forgets what was remembered.
  void SetKeys(std::shared_ptr<const policy::KeyTable> keys);

  bool Has(const policy::KeyHash& key) const { return keys_->Has(key); }

  // Changes with each SetKeys().
  std::uint64_t version() const { return version_; }

  // Whose key `Authorization: Bearer SECRET` or `api-key: SECRET` carries. Errors:
  // kUnauthenticated, saying which field is missing or wrong (never the secret).
  Result<std::shared_ptr<const Requester>> Check(const http::Fields& fields);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::shared_ptr<const policy::KeyTable> keys_ = std::make_shared<policy::KeyTable>();
  std::uint64_t version_ = 0;
  std::unordered_map<std::string, std::shared_ptr<const Requester>, Hash, std::equal_to<>>
      remembered_;
};

}  // namespace penstock::gateway
