#include "gateway/authorizer.h"

#include <optional>
#include <utility>

namespace penstock::gateway {

namespace {

constexpr std::string_view kScheme = "Bearer ";

// The secret that the head carries; nullopt if none.
std::optional<std::string_view> FindSecret(const http::Fields& fields) {
  if (const auto authorization = fields.Find("authorization")) {
    if (authorization->size() > kScheme.size() &&
        http::EqualsIgnoreCase(authorization->substr(0, kScheme.size()), kScheme)) {
      return authorization->substr(kScheme.size());
    }
  }
  return fields.Find("api-key");
}

}  // namespace

void Authorizer::SetKeys(std::shared_ptr<const policy::KeyTable> keys) {
  keys_ = std::move(keys);
  ++version_;
  remembered_.clear();
}

Result<std::shared_ptr<const Requester>> Authorizer::Check(const http::Fields& fields) {
  const auto secret = FindSecret(fields);
  if (!secret) {
    return Fail(Code::kUnauthenticated,
                "no API key: send it as 'Authorization: Bearer KEY' or 'api-key: KEY'",
                "authorization");
  }
  if (const auto known = remembered_.find(*secret); known != remembered_.end())
    return known->second;
  const policy::Key* key = keys_->Find(*secret);
  if (key == nullptr) {
    return Fail(Code::kUnauthenticated, "the API key is not one of this server's", "authorization");
  }
  if (remembered_.size() >= kRememberedMax) remembered_.clear();
  auto requester =
      std::make_shared<const Requester>(Requester{.name = key->name,
                                                  .groups = key->groups,
                                                  .admin = key->role == policy::Role::kAdmin,
                                                  .key = key->hash,
                                                  .keys_version = version_});
  remembered_.emplace(std::string(*secret), requester);
  return requester;
}

}  // namespace penstock::gateway
