// EndpointKeys: the keys that come with served entities' external models, from a request to files.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/endpoint.h"
#include "control/secret_files.h"

namespace penstock::control {

// Says which file each external entity's key is in. One that `before` (which may be null) has
// already is not written again, so that its relays go on. An entity that comes without a key keeps
// the one of its name, as long as it is for the same provider and URL.
void NameKeyFiles(EndpointConfig& config, const Endpoint* before, const SecretFiles& secrets);

// Writes the keys that are not written yet, and forgets them here. Answers their files; on failure
// none is left.
Result<std::vector<std::string>> WriteKeys(Endpoint& endpoint, const SecretFiles& secrets);

// Of both configurations.
std::set<std::string> KeyFilesOf(const Endpoint& endpoint);

}  // namespace penstock::control
