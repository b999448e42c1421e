#include "control/endpoint_keys.h"

#include <utility>

namespace penstock::control {
namespace {

// Every external entity that has a key, the newest configuration's first.
std::vector<const ServedEntity*> WithKeys(const Endpoint* endpoint) {
  std::vector<const ServedEntity*> found;
  if (endpoint == nullptr) return found;
  for (const auto* config : {&endpoint->pending, &endpoint->config}) {
    if (!*config) continue;
    for (const ServedEntity& entity : (*config)->served_entities) {
      if (entity.external && !entity.key_file.empty()) found.push_back(&entity);
    }
  }
  return found;
}

bool IsSameServer(const ServedEntity& one, const ServedEntity& other) {
  return one.name == other.name && one.external->provider == other.external->provider &&
         one.external->call.url == other.external->call.url &&
         one.external->call.key_header == other.external->call.key_header;
}

}  // namespace

void NameKeyFiles(EndpointConfig& config, const Endpoint* before, const SecretFiles& secrets) {
  const auto known = WithKeys(before);
  for (ServedEntity& entity : config.served_entities) {
    if (!entity.external || !entity.external->key_reference.empty()) continue;
    std::string& key = entity.external->api_key;
    for (const ServedEntity* one : known) {
      const bool same =
          key.empty() ? IsSameServer(entity, *one) : secrets.Holds(one->key_file, key);
      if (!same) continue;
      entity.key_file = one->key_file;
      key.clear();
      break;
    }
    if (!key.empty()) entity.key_file = SecretFiles::NewName();
  }
}

Result<std::vector<std::string>> WriteKeys(Endpoint& endpoint, const SecretFiles& secrets) {
  std::vector<std::string> written;
  for (auto* config : {&endpoint.pending, &endpoint.config}) {
    if (!*config) continue;
    for (ServedEntity& entity : (*config)->served_entities) {
      if (!entity.external || entity.external->api_key.empty()) continue;
      if (auto done = secrets.Write(entity.key_file, entity.external->api_key); !done) {
        for (const std::string& file : written) secrets.Forget(file);
        return Fail(done.error());
      }
      written.push_back(entity.key_file);
      entity.external->api_key.clear();
    }
  }
  return written;
}

std::set<std::string> KeyFilesOf(const Endpoint& endpoint) {
  std::set<std::string> files;
  for (const ServedEntity* entity : WithKeys(&endpoint)) files.insert(entity->key_file);
  return files;
}

}  // namespace penstock::control
